"""The explorer's filters as a form: what is offered, and what is chosen in words.

A page shows some twenty lists, and drawing them takes longer than finding the items. So the options are drawn once for
everybody and kept for a few seconds: a run that was launched just now is offered a moment later.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import User
from django.core.cache import cache
from django.utils.html import escape, format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from constitutions_app.models import Constitution, PrincipleVersion, Version
from constitutions_app.templatetags.diffs import spelled
from training_app.explorer.facets import FINAL_WORDS, SOURCE_WORDS
from training_app.explorer.filters import ORDERS, SORTS, STALENESS, WORDS, Filters, applies
from training_app.explorer.tokens import FINALS, STATES
from training_app.models import Audit, Checkpoint, Judge, PromptSet, Run, TraceImport
from training_app.templatetags.plainly import FLAGS

OFFERED = 200
"""Values offered in one list, the newest."""
KEPT_S = 10
SORT_WORDS = {
    "newest": "newest first", "oldest": "oldest first", "unsure": "least sure first", "p_low": "lowest p(A) first",
    "p_high": "highest p(A) first", "audited": "last audited first", "best": "best match first",
}  # fmt: skip
ORDER_WORDS = {"same": "same position twice", "agree": "same response twice"}
STALE_WORDS = {"stale": "cites words with another meaning now", "current": "cites what still holds"}
READY = ("text", "sort", "run", "key", "judge", "orders", "state", "final", "flag", "verdict")
FOLDED = ("constitution", "version", "principle", "checkpoint", "prompt_set", "file", "tag", "source", "auditor",
          "commented", "imported", "reason", "stale", "p_from", "p_to", "unsure", "since", "until")  # fmt: skip
"""Filters behind "More filters"."""
BOXES = {
    "text": 'type="search" data-key="f" data-key-label="Search the texts"', "tag": 'type="text"',
    "p_from": 'type="number" min="0" max="1" step="any"', "p_to": 'type="number" min="0" max="1" step="any"',
    "unsure": 'type="number" min="0" max="0.5" step="any"', "since": 'type="date"', "until": 'type="date"',
}  # fmt: skip
"""Filters that are typed, by the attributes of their box."""

Choices = Iterable[tuple[Any, str]]


@dataclass(frozen=True)
class Field:
    """One filter as it is drawn."""

    name: str
    label: str
    widget: SafeString


@dataclass(frozen=True)
class ExplorerForm:
    """Shows a question; reading one is `Filters.from_query`."""

    ready: list[Field]
    """Always in view."""
    folded: list[Field]
    is_unfolded: bool
    """Whether one of the folded ones is chosen."""


def form_of(asked: Filters) -> ExplorerForm:
    """The form for a question. A constant number of queries, most of them once in KEPT_S seconds."""
    chosen = asked.asked()
    drawn = _drawn()
    if asked.version or asked.principle:
        drawn = {**drawn, "principle": _options(_cited(asked))}
    drawn = {**drawn, "sort": _options([(one, SORT_WORDS[one]) for one in SORTS[asked.kind]])}

    def fields(names: Iterable[str]) -> list[Field]:
        return [
            Field(name, WORDS[name], _widget(name, chosen.get(name), drawn))
            for name in names
            if applies(name, asked.kind) and (name in BOXES or name in drawn)
        ]

    return ExplorerForm(fields(READY), fields(FOLDED), bool(chosen.keys() & set(FOLDED)))


def in_words(asked: Filters) -> list[tuple[str, str, str]]:
    """What is chosen: the filter's name, its value, and the address without it."""
    return [
        (WORDS[name], str(value), asked.without(name).to_query().urlencode())
        for name, value in asked.asked().items()
        if name not in ("kind", "sort")
    ]


def _widget(name: str, value: object, drawn: Mapping[str, SafeString]) -> SafeString:
    spelt = "" if value is None else escape(f"{value:g}" if isinstance(value, float) else str(value))
    if name in BOXES:
        attributes = mark_safe(BOXES[name])  # noqa: S308  # our own
        return format_html('<input name="{}" id="filter_{}" value="{}" {}>', name, name, spelt, attributes)
    options = str(drawn[name])
    if spelt:
        options = options.replace(f'<option value="{spelt}">', f'<option value="{spelt}" selected>')
    options = mark_safe(options)  # noqa: S308  # drawn by _options, which escapes
    first = "" if name == "sort" else mark_safe('<option value="">any</option>')
    return format_html('<select name="{}" id="filter_{}">{}{}</select>', name, name, first, options)


def _options(choices: Choices) -> SafeString:
    return format_html_join("", '<option value="{}">{}</option>', ((value, spelled(words)) for value, words in choices))


def _drawn() -> dict[str, SafeString]:
    """The options of every list by the name of its filter."""
    drawn: dict[str, SafeString] | None = cache.get("explorer-options")
    if drawn is None:
        drawn = {name: _options(choices()) for name, choices in _LISTS.items()}
        cache.set("explorer-options", drawn, KEPT_S)
    return drawn


def _judged() -> Any:
    """Versions that something was judged under."""
    judged = [Run.objects.values("version"), TraceImport.objects.values("version")]
    return Version.objects.filter(pk__in=judged[0]) | Version.objects.filter(pk__in=judged[1])


def _principles() -> Choices:
    rows = PrincipleVersion.objects.filter(version__in=_judged()).order_by("version_id")
    titles = {key: title or key for key, title in rows.values_list("key", "title")}
    return sorted(titles.items(), key=lambda one: one[1].casefold())[:OFFERED]


def _versions() -> Choices:
    rows = _judged().order_by("-created_at").values_list("pk", "constitution__name", "number")
    return [(pk, f"{name} v{number}") for pk, name, number in rows[:OFFERED]]


def _cited(asked: Filters) -> Choices:
    """Principles of the chosen version, or of that of the chosen principle."""
    rows = PrincipleVersion.objects.order_by("position")
    rows = rows.filter(version=asked.version) if asked.version else rows.filter(version__principles=asked.principle)
    named = rows.values_list("pk", "title", "key", "version__number")[:OFFERED]
    return [(pk, f"{title or key}, v{number}") for pk, title, key, number in named]


def _checkpoints() -> Choices:
    rows = Checkpoint.objects.order_by("-pk").values_list("pk", "run__number", "stage")
    return [(pk, f"Run {number}, {stage}") for pk, number, stage in rows[:OFFERED]]


def _auditors() -> Choices:
    rows = User.objects.filter(groups__name="auditor").order_by("username")
    named = rows.values_list("pk", "username", "first_name", "last_name")[:OFFERED]
    return [(pk, f"{first} {last}".strip() or username) for pk, username, first, last in named]


_LISTS: Mapping[str, Callable[[], Choices]] = {
    "state": lambda: [(one, one) for one in STATES],
    "final": lambda: [(one, FINAL_WORDS[one]) for one in FINALS],
    "orders": lambda: [(one, ORDER_WORDS[one]) for one in ORDERS],
    "source": lambda: list(SOURCE_WORDS.items()),
    "stale": lambda: [(one, STALE_WORDS[one]) for one in STALENESS],
    "flag": lambda: [(slug, words) for slug, (words, _) in FLAGS.items()],
    "verdict": lambda: [(one, str(words)) for one, words in Audit.Verdict.choices],
    "reason": lambda: [(one, str(words)) for one, words in Audit.Reason.choices],
    "commented": lambda: [("yes", "with a comment")],
    "imported": lambda: [("yes", "imported")],
    "run": lambda: [(one, f"Run {one}") for one in
                    Run.objects.order_by("-number").values_list("number", flat=True)[:OFFERED]],
    "judge": lambda: Judge.objects.order_by("-pk").values_list("pk", "name")[:OFFERED],
    "key": _principles,
    "constitution": lambda: Constitution.objects.order_by("name").values_list("slug", "name")[:OFFERED],
    "version": _versions,
    "checkpoint": _checkpoints,
    "prompt_set": lambda: PromptSet.objects.order_by("-pk").values_list("pk", "name")[:OFFERED],
    "file": lambda: TraceImport.objects.values_list("pk", "file_name")[:OFFERED],
    "auditor": _auditors,
}  # fmt: skip
