"""Filters of lists, as they stand in the URL: each is a short list of choices, so no key of a user reaches the ORM.

An unknown value is told as an error and filters nothing. Of each person the newest verdict on an item counts, as
everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django import forms
from django.contrib.auth.models import AnonymousUser, User
from django.db.models import Exists, OuterRef, Q, QuerySet

from constitutions_app.composed import Composed
from constitutions_app.ledger import name_of
from constitutions_app.models import PrincipleVersion, Version
from constitutions_app.templatetags.diffs import spelled
from training_app.access import hidden_items
from training_app.algorithms import ALGORITHMS, by
from training_app.core.config import PRESETS
from training_app.models import AILabel, Audit, PromptSet, Run, Trace, TraceImport, TraceStep
from training_app.models.run import RunState
from training_app.templatetags.plainly import FLAGS

MOST_RUNS = 200
"""Runs offered in a filter, newest first."""

Choices = list[tuple[str, str]]

AUDIT_STATES: Choices = [
    ("", "audited or not"),
    ("waiting", "not audited yet"),
    ("mine_waiting", "not audited by me"),
    ("mine", "audited by me"),
    ("agree", "somebody agrees"),
    ("override", "somebody overrides"),
    ("comment", "with a comment"),
]

TELLING_STATES = ("agree", "override", "comment")
"""States that tell what others said: items that the person has yet to judge blind are not found by them."""


class Filter(forms.Form):
    """Filters of one list. `chosen` holds what was understood; `is_active` says whether anything is filtered."""

    use_required_attribute = False

    def __init__(self, data: Mapping[str, Any], choices: Mapping[str, Choices] | None = None) -> None:
        super().__init__(data, auto_id="filter_%s")
        for name, offered in (choices or {}).items():
            field = self.fields[name]
            if isinstance(field, forms.ChoiceField):
                field.choices = offered
        self.is_valid()
        self.chosen: dict[str, str] = {name: value for name, value in self.cleaned_data.items() if value}

    @property
    def is_active(self) -> bool:
        return bool(self.chosen) or bool(self.errors)


class RunFilter(Filter):
    """Which runs. Four queries for what there is to choose."""

    name = forms.CharField(
        max_length=200, required=False, label="Name",
        widget=forms.TextInput(attrs={"type": "search", "placeholder": "name or number"}),
    )  # fmt: skip
    state = forms.ChoiceField(choices=[("", "any state"), *RunState.choices], required=False)
    version = forms.ChoiceField(required=False)
    algorithm = forms.ChoiceField(choices=[("", "any algorithm"), *ALGORITHMS.items()], required=False)
    preset = forms.ChoiceField(
        choices=[("", "any preset"), *((one, one) for one in (*PRESETS, "write"))], required=False
    )
    model = forms.ChoiceField(required=False)
    prompts = forms.ChoiceField(required=False)
    by = forms.ChoiceField(required=False)

    def __init__(self, data: Mapping[str, Any]) -> None:
        choices = {"version": versions_to_choose(), "model": models_to_choose(), "prompts": sets_to_choose()}
        super().__init__(data, choices | {"by": people_to_choose()})

    def apply(self, runs: QuerySet[Run]) -> QuerySet[Run]:
        if name := self.chosen.get("name"):
            number = name.removeprefix("#")
            is_number = number.isascii() and number.isdigit() and len(number) < 10
            runs = runs.filter(Q(name__icontains=name) | (Q(number=int(number)) if is_number else Q()))
        if state := self.chosen.get("state"):
            runs = runs.filter(state=state)
        if version := self.chosen.get("version"):
            slug, _, number = version.partition("@")
            runs = runs.filter(version__constitution__slug=slug, **({"version__number": int(number)} if number else {}))
        if algorithm := self.chosen.get("algorithm"):
            runs = runs.filter(by(algorithm))
        if preset := self.chosen.get("preset"):
            runs = runs.filter(preset=preset)
        if model := self.chosen.get("model"):
            runs = runs.filter(base_model__name=model)
        if prompts := self.chosen.get("prompts"):
            runs = runs.filter(prompt_sets__slug=prompts)
        if person := self.chosen.get("by"):
            runs = runs.filter(created_by_id=int(person))
        return runs


class ItemFilter(Filter):
    """What the lists of traces and of labels share: run, cited principle, and how it was audited. Two queries."""

    run = forms.ChoiceField(required=False)
    principle = forms.ChoiceField(required=False)
    audit = forms.ChoiceField(choices=AUDIT_STATES, required=False)

    def __init__(
        self, data: Mapping[str, Any], *, user: User | AnonymousUser, choices: Mapping[str, Choices] | None = None
    ) -> None:
        self.user = user
        super().__init__(data, {"run": runs_to_choose(), "principle": principles_to_choose(), **(choices or {})})


class TraceFilter(ItemFilter):
    """Which traces: those with a step that fulfils everything chosen about steps. Four queries."""

    file = forms.ChoiceField(required=False)

    flag = forms.ChoiceField(
        choices=[("", "any flag or none"), *((slug, name) for slug, (name, _) in FLAGS.items())], required=False
    )

    def __init__(self, data: Mapping[str, Any], *, user: User | AnonymousUser) -> None:
        super().__init__(data, user=user, choices={"file": imports_to_choose()})

    def apply(self, traces: QuerySet[Trace]) -> QuerySet[Trace]:
        if run := self.chosen.get("run"):
            traces = traces.filter(run_id=UUID(run))
        if file := self.chosen.get("file"):
            traces = traces.filter(imported_id=int(file))
        steps = TraceStep.objects.filter(trace=OuterRef("pk"))
        if principle := self.chosen.get("principle"):
            steps = steps.filter(principle__key=principle)
        if flag := self.chosen.get("flag"):
            steps = steps.filter(flags__contains=[flag])
        if state := self.chosen.get("audit"):
            steps = steps.filter(audited(state, "step", self.user))
        if state in TELLING_STATES:
            steps = steps.exclude(pk__in=hidden_items(self.user, "step"))
        return traces.filter(Exists(steps)) if self.chosen.keys() & {"principle", "flag", "audit"} else traces


class LabelFilter(ItemFilter):
    """Which AI labels."""

    orders = forms.ChoiceField(
        choices=[("", "any"), ("same", "same position twice"), ("agree", "same response twice")], required=False
    )
    p_a = forms.ChoiceField(
        choices=[("", "any"), ("unsure", "0.4 to 0.6"), ("a", "above 0.6"), ("b", "below 0.4")],
        required=False, label="p(A)",
    )  # fmt: skip

    def apply(self, labels: QuerySet[AILabel]) -> QuerySet[AILabel]:
        if run := self.chosen.get("run"):
            labels = labels.filter(run_id=UUID(run))
        if principle := self.chosen.get("principle"):
            labels = labels.filter(principle__key=principle)
        if orders := self.chosen.get("orders"):
            labels = labels.filter(same_position=orders == "same")
        if p_a := self.chosen.get("p_a"):
            ranges = {"unsure": Q(p_a__gte=0.4, p_a__lte=0.6), "a": Q(p_a__gt=0.6), "b": Q(p_a__lt=0.4)}
            labels = labels.filter(ranges[p_a])
        if state := self.chosen.get("audit"):
            labels = labels.filter(audited(state, "label", self.user))
        if state in TELLING_STATES or self.chosen.keys() & {"orders", "p_a"}:
            labels = labels.exclude(pk__in=hidden_items(self.user, "label"))
        return labels


def audited(state: str, item: str, user: User | AnonymousUser) -> Q:
    """The condition on a step or a label (`item`) that one of `AUDIT_STATES` means. Raises KeyError for another."""
    audits = Audit.objects.filter(**{item: OuterRef("pk")})
    standing = audits.standing()
    own = standing.filter(auditor_id=user.pk)
    return {
        "waiting": ~Q(Exists(standing)),
        "mine_waiting": ~Q(Exists(own)),
        "mine": Q(Exists(own)),
        "agree": Q(Exists(standing.filter(verdict=Audit.Verdict.AGREE))),
        "override": Q(Exists(standing.filter(verdict=Audit.Verdict.OVERRIDE))),
        "comment": Q(Exists(audits.exclude(comment=""))),
    }[state]


_RUNS: Composed[tuple[Any, int, str, int]] = Composed(
    lambda: Run.objects.order_by("-number").values_list(
        "pk", "number", "version__constitution__name", "version__number"
    )[:MOST_RUNS]
)


def runs_to_choose() -> Choices:
    """The newest runs, for a filter."""
    named = ((str(pk), spelled(f"Run {n}, {name} v{version}")) for pk, n, name, version in _RUNS.all())
    return [("", "any run"), *named]


def versions_to_choose() -> Choices:
    """The constitutions that runs were launched from ("slug"), each followed by those of its versions ("slug@3")."""
    used = Version.objects.filter(pk__in=Run.objects.values("version")).order_by("constitution__name", "-number")
    offered: dict[str, str] = {}
    for slug, name, number in used.values_list("constitution__slug", "constitution__name", "number")[:MOST_RUNS]:
        offered.setdefault(slug, spelled(name))
        offered[f"{slug}@{number}"] = spelled(f"{name} v{number}")
    return [("", "any constitution"), *offered.items()]


def models_to_choose() -> Choices:
    """The base models that runs were launched with."""
    names = Run.objects.order_by("base_model__name").values_list("base_model__name", flat=True).distinct()
    return [("", "any model"), *((name, spelled(name)) for name in names[:MOST_RUNS] if name)]


def sets_to_choose() -> Choices:
    """The prompt sets that runs were launched with."""
    used = PromptSet.objects.filter(pk__in=Run.prompt_sets.through.objects.values("promptset"))
    return [
        ("", "any prompts"),
        *((slug, spelled(name)) for slug, name in used.values_list("slug", "name")[:MOST_RUNS]),
    ]


def people_to_choose() -> Choices:
    """Who launched runs."""
    people = User.objects.filter(pk__in=Run.objects.values("created_by"))[:MOST_RUNS]
    named = ((str(one.pk), spelled(name_of(one))) for one in people)
    return [("", "anybody"), *sorted(named, key=lambda one: one[1].casefold())]


def imports_to_choose() -> Choices:
    """The newest imported files of traces, for a filter."""
    imports = TraceImport.objects.values_list("pk", "file_name")
    return [
        ("", "any file or none"),
        *((str(pk), spelled(f"{name} (import {pk})")) for pk, name in imports[:MOST_RUNS]),
    ]


_JUDGED = Q(version__in=Run.objects.values("version")) | Q(version__in=TraceImport.objects.values("version"))
_PRINCIPLES: Composed[tuple[str, str]] = Composed(
    lambda: PrincipleVersion.objects.filter(_JUDGED).order_by("version_id").values_list("key", "title")
)


def principles_to_choose() -> Choices:
    """The principles of versions that runs were launched from or traces imported under, by their stable ids."""
    titles = {key: title or key for key, title in _PRINCIPLES.all()}
    return [("", "any principle"), *sorted(titles.items(), key=lambda item: item[1].casefold())]
