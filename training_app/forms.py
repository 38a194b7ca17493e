"""What people type: the launch form, audits, filters. Each turns text into the values the verbs take.

Messages say what is wrong and what to do. Nothing here reads or writes more than the choices it offers.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from django import forms
from django.forms import BoundField

from constitutions_app.models import Version
from constitutions_app.templatetags.diffs import spelled
from training_app.arms import OFFERED, Arm, arms_of, name_of
from training_app.core.aggregate import HOW, Aggregation
from training_app.core.config import PRESETS, STAGE_SLUGS
from training_app.core.expected import (
    BadExpectations,
    Expectation,
    check_expectations,
    counted_in,
    read_expectations,
)
from training_app.core.judge_items import QUESTION
from training_app.core.params import CHOICES
from training_app.models import Audit, PromptSet
from training_app.options import CHOICE_WORDS, STAGE_DOES, STAGE_NAMES, Option, all_options
from training_app.options_read import JUDGE_ONLY, OF_ROWS, PPO_ONLY

OPTIONS = all_options()
PRESET_WORDS: Mapping[str, str] = {
    "demo": "Demo: the whole line in minutes on two CPU cores",
    "small": "Small: an evening on one small GPU",
    "full": "Full: the paper's values",
}
LARGEST_SEED = 2**31 - 1


@dataclass(frozen=True)
class OwnFields:
    """Fields under a heading of their own; `of` names the choice that reads them to the stylesheet, "" is any."""

    of: str
    name: str
    fields: tuple[BoundField, ...]

    @property
    def is_open(self) -> bool:
        """Whether something in it needs to be seen."""
        return any(field.errors for field in self.fields)


@dataclass(frozen=True)
class StageFields:
    """The fields of one stage as the form's template lays them out."""

    slug: str
    name: str
    does: str
    essential: tuple[BoundField, ...]
    advanced: tuple[BoundField, ...]
    own: tuple[OwnFields, ...]

    @property
    def is_open(self) -> bool:
        """Whether something in the advanced part needs to be seen."""
        return any(field.errors for field in self.advanced)


OWN: Mapping[str, tuple[tuple[str, str, frozenset[str]], ...]] = {
    "label": (("", "How labels and human comparisons become rows to learn from", OF_ROWS),),
    "rl": (("judge", "With the judge as reward", JUDGE_ONLY), ("ppo", "PPO only", PPO_ONLY)),
}
"""By the stage under which they stand: options with a heading of their own."""
APART = frozenset().union(*(paths for parts in OWN.values() for _, _, paths in parts))


class LaunchForm(forms.Form):
    """A run to be: version, model, prompt sets, preset, seed, and every option of every stage, named by its path."""

    version = forms.ChoiceField(help_text="Only published versions can be trained on.")
    base_model = forms.ChoiceField(help_text="A folder with safetensors weights.")
    generator = forms.ChoiceField(required=False, help_text="Writes first responses, critiques and revisions.")
    judge = forms.ChoiceField(required=False, help_text="Gives the AI labels and the win rates.")
    red_team = forms.MultipleChoiceField(
        label="Red-team prompts", widget=forms.CheckboxSelectMultiple, help_text="Answered, criticised and revised."
    )
    helpful = forms.MultipleChoiceField(
        label="Helpfulness prompts", widget=forms.CheckboxSelectMultiple, required=False,
        help_text="Answered and trained on as they are.",
    )  # fmt: skip
    comparisons = forms.MultipleChoiceField(
        label="Human comparisons", widget=forms.CheckboxSelectMultiple, required=False,
        help_text="Mixed into the reward model's training.",
    )  # fmt: skip
    preset = forms.ChoiceField(choices=tuple(PRESET_WORDS.items()), widget=forms.RadioSelect)
    arms = forms.ChoiceField(
        label="Compare", required=False, help_text="Launches a run for each side, the same but for this.",
        choices=[("", "nothing: one run"), *((slug, words) for slug, (words, _) in OFFERED.items())],
    )  # fmt: skip
    also = forms.MultipleChoiceField(
        label="Versions", widget=forms.CheckboxSelectMultiple, required=False,
        help_text="Launches a run on each of them too, the same but for the words.",
    )  # fmt: skip
    expects = forms.CharField(
        label="Expected", required=False, max_length=4000,
        widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false"}),
        help_text="What each side's text asks for, named before any figure is seen: only this is tested. A line each, "
        "“with critique: more words” or “harmless-assistant@4: less list”.",
    )  # fmt: skip
    seeds = forms.IntegerField(
        min_value=1, max_value=16, required=False, initial=1, label="Seeds",
        help_text="Runs for each side, from the seed upwards. At least 3 show what chance does.",
    )  # fmt: skip
    seed = forms.IntegerField(min_value=0, max_value=LARGEST_SEED, help_text="The same seed makes the same run.")
    name = forms.CharField(max_length=200, required=False, help_text="For the list of runs.")
    accept_older = forms.BooleanField(
        label="The older words are meant",
        required=False,
        help_text="For a version that a newer one changes.",
    )
    idempotency_key = forms.UUIDField(widget=forms.HiddenInput, required=False, initial=uuid.uuid4)

    def __init__(
        self,
        *args: Any,
        versions: Iterable[Version],
        base_models: Iterable[tuple[str, str]],
        servers: Iterable[tuple[str, str]] = (),
        prompt_sets: Iterable[PromptSet],
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.versions = {version_name(version): version for version in versions}
        self.prompt_sets = {prompt_set.slug: prompt_set for prompt_set in prompt_sets}
        for field in ("version", "also"):
            self._offer(field, [(name, spelled(name_of(version))) for name, version in self.versions.items()])
        self._offer("base_model", list(base_models))
        answering = [("", "The base model"), *servers]
        for role in ("generator", "judge"):
            self._offer(role, answering)
        for kind in PromptSet.Kind.values:
            self._offer(
                kind,
                [(one.slug, f"{one.name} ({one.rows} rows)") for one in self.prompt_sets.values() if one.kind == kind],
            )
        for option in OPTIONS:
            self.fields[option.path] = field_for(option)

    def stages(self) -> Iterator[StageFields]:
        """The option fields, stage by stage."""
        for slug in STAGE_SLUGS:
            shared = [option for option in OPTIONS if option.stage == slug and option.path not in APART]
            yield StageFields(
                slug, STAGE_NAMES[slug], STAGE_DOES[slug],
                tuple(self[option.path] for option in shared if option.essential),
                tuple(self[option.path] for option in shared if not option.essential),
                tuple(OwnFields(of, name, tuple(self[option.path] for option in OPTIONS if option.path in paths))
                      for of, name, paths in OWN.get(slug, ())),
            )  # fmt: skip

    def whole_run(self) -> list[BoundField]:
        """The option fields that belong to no stage."""
        return [self[option.path] for option in OPTIONS if not option.stage]

    def clean_version(self) -> Version:
        return self.versions[self.cleaned_data["version"]]

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        chosen = (slug for kind in PromptSet.Kind.values for slug in cleaned.get(kind, ()))
        cleaned["prompt_sets"] = [self.prompt_sets[slug] for slug in chosen]
        cleaned["seeds"] = cleaned.get("seeds") or 1
        cleaned["also"] = [self.versions[name] for name in cleaned.get("also", ())]
        if cleaned["also"] and cleaned.get("arms"):
            self.add_error("also", "Compare either versions or an option, not both at once.")
        if not self.errors.keys() & {"version", "arms", "also", "expects"}:
            cleaned["expects"] = self._expected(cleaned)
        return cleaned

    def _expected(self, cleaned: Mapping[str, Any]) -> list[Expectation]:
        """What is expected of which side, the sides by the names of their arms; a version may be named as in URLs."""
        sides = self.sides(cleaned)
        names = {version_name(one): name_of(one) for one in (cleaned["version"], *cleaned["also"])}
        try:
            said = read_expectations(cleaned.get("expects") or "")
            said = [replace(one, arm=names.get(one.arm, one.arm)) for one in said]
            check_expectations(said, [arm.name for arm in sides], counted_in(self.config_shown()))
        except BadExpectations as error:
            self.add_error("expects", str(error))
            return []
        return said

    def sides(self, cleaned: Mapping[str, Any]) -> tuple[Arm, ...]:
        """The arms that are launched: of an option, or of versions; one of them where nothing is compared."""
        return OFFERED[cleaned["arms"]][1] if cleaned["arms"] else arms_of(cleaned["version"], cleaned["also"])

    def config_shown(self) -> dict[str, Any]:
        """The configuration as the fields show it, as plain data; what cannot be read is left empty."""
        return nested({option.path: self._shown(option.path) for option in OPTIONS})

    def _shown(self, path: str) -> Any:
        try:
            return self.fields[path].clean(self[path].value())
        except forms.ValidationError:
            return None

    def _offer(self, name: str, choices: list[tuple[str, str]]) -> None:
        field = self.fields[name]
        if isinstance(field, forms.ChoiceField):
            field.choices = choices


def overrides_in(cleaned: Mapping[str, Any]) -> dict[str, Any]:
    """Every option as the form says it, as changes to a preset: what is shown is what is launched."""
    return nested(cleaned)


def values_of_preset(preset: str) -> dict[str, Any]:
    """The option fields' values under a preset; an unknown name counts as "demo"."""
    return values_of_config(asdict(PRESETS.get(preset, PRESETS["demo"])))


def values_of_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """The option fields' values in a configuration as plain data, for a form to start from."""
    return {option.path: option.value_in(config) for option in OPTIONS}


def version_name(version: Version) -> str:
    """How a version is named in URLs and forms: "harmless-assistant@4". Reads the constitution."""
    return f"{version.constitution.slug}@{version.number}"


def field_for(option: Option) -> forms.Field:
    """The field an option is typed into, with its words and limits."""
    common: dict[str, Any] = {"label": option.label, "help_text": option.help, "required": not option.optional}
    if option.kind is bool:
        return forms.BooleanField(**{**common, "required": False})
    if option.choices:
        return forms.ChoiceField(choices=[(name, CHOICE_WORDS[name]) for name in option.choices], **common)
    if option.kind is str:
        return forms.CharField(
            **{**common, "required": False}, max_length=4000, widget=forms.Textarea(attrs={"rows": 2})
        )
    kind = forms.IntegerField if option.kind is int else forms.FloatField
    widget = forms.NumberInput(attrs={"step": "1" if option.kind is int else "any"})
    limits: dict[str, Any] = {"min_value": _limit(option, option.at_least), "max_value": _limit(option, option.at_most)}
    return kind(widget=widget, **limits, **common)


def _limit(option: Option, value: float | None) -> float | None:
    return int(value) if value is not None and option.kind is int else value


def nested(cleaned: Mapping[str, Any], options: Iterable[Option] = OPTIONS) -> dict[str, Any]:
    """The options by path ("rl.beta") as the nested data that `RunConfig` is read from."""
    data: dict[str, Any] = {}
    for option in options:
        *places, name = option.path.split(".")
        where = data
        for place in places:
            where = where.setdefault(place, {})
        where[name] = cleaned[option.path]
    return data


class CompareVerdictsForm(forms.Form):
    """How often both arms are trained."""

    seeds = forms.IntegerField(
        min_value=1, max_value=16, help_text="Runs for each arm. At least 3 show what chance does."
    )
    idempotency_key = forms.UUIDField(widget=forms.HiddenInput)


class AuditForm(forms.Form):
    """What every audit may carry. `idempotency_key` is the audit's id: sending a form twice saves it once."""

    idempotency_key = forms.UUIDField(widget=forms.HiddenInput)
    verdict = forms.ChoiceField(choices=Audit.Verdict.choices, required=False)
    reason = forms.ChoiceField(choices=[("", "no reason given"), *Audit.Reason.choices], required=False)
    confidence = forms.TypedChoiceField(
        choices=[("", "not said"), ("1", "1, a guess"), ("2", "2"), ("3", "3"), ("4", "4, certain")],
        coerce=int, empty_value=None, required=False,
    )  # fmt: skip
    comment = forms.CharField(max_length=10_000, required=False)

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if cleaned.get("verdict") == Audit.Verdict.COMMENT and not cleaned.get("comment"):
            self.add_error("comment", "Write the comment first, then save it.")
        return cleaned


class LabelAuditForm(AuditForm):
    """A choice between two responses; whether it agrees with the AI or overrides it follows from the choice."""

    choice = forms.ChoiceField(choices=Audit.Choice.choices, required=False)

    def __init__(self, *args: Any, ai_choice: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.ai_choice = ai_choice or Audit.Choice.NEITHER.value

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        choice = cleaned.get("choice")
        if choice:
            cleaned["verdict"] = Audit.Verdict.AGREE if choice == self.ai_choice else Audit.Verdict.OVERRIDE
        elif cleaned.get("verdict") != Audit.Verdict.COMMENT:
            self.add_error(None, "Nothing was saved: choose a response, or neither.")
        return cleaned


def _yes_or_no(label: str) -> forms.TypedChoiceField:
    return forms.TypedChoiceField(
        choices=[("", "not said"), ("yes", "yes"), ("no", "no")],
        coerce=lambda value: value == "yes", empty_value=None, required=False, label=label,
    )  # fmt: skip


class StepAuditForm(AuditForm):
    """A verdict on one critique and revision."""

    critique_fair = _yes_or_no("Critique fair?")
    revision_better = _yes_or_no("Revision better?")

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        if not cleaned.get("verdict") and "verdict" not in self.errors:
            self.add_error(None, "Nothing was saved: say whether you agree, override, or only comment.")
        return cleaned


def new_key() -> str:
    """A fresh audit id for a form."""
    return str(uuid.uuid4())


class LoadPromptsForm(forms.Form):
    """A prompt file on its way to becoming a frozen set: chosen now, or `kept` since it was last looked at."""

    name = forms.CharField(max_length=200, help_text="What the launch form will call it.")
    kind = forms.ChoiceField(choices=PromptSet.Kind.choices)
    licence = forms.CharField(max_length=100, required=False, help_text="Under which the prompts may be used.")
    file = forms.FileField(
        required=False,
        help_text='JSON lines {"text": …} or {"chosen": …, "rejected": …}, CSV, text, Parquet or another project\'s.',
        error_messages={"empty": "The file is empty: there is no prompt in it."},
    )
    column = forms.CharField(
        max_length=100, required=False, label="Column of the prompts", help_text="Where it is not the usual one."
    )
    chosen = forms.CharField(
        max_length=100, required=False, label="Column of the better response", help_text="Of comparisons."
    )
    rejected = forms.CharField(
        max_length=100, required=False, label="Column of the other response", help_text="Of comparisons."
    )
    kept = forms.UUIDField(required=False, widget=forms.HiddenInput)
    kept_name = forms.CharField(max_length=200, required=False, widget=forms.HiddenInput)

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        if not cleaned.get("file") and not cleaned.get("kept") and "file" not in self.errors:
            self.add_error("file", "Choose a file.")
        return cleaned

    def offer(self, columns: Iterable[str]) -> None:
        """Let the columns be chosen among those of the file."""
        choices = [("", "the usual one"), *((name, name) for name in columns if len(name) <= 100)]
        for name in ("column", "chosen", "rejected"):
            self.fields[name].widget = forms.Select(choices=choices)


class ImportTracesForm(forms.Form):
    """A file of published traces, and the version whose principles its keys mean."""

    file = forms.FileField(
        help_text='JSONL as the paper\'s authors published it: {"rl_prompt", "initial_response", "cst"} a line.',
        error_messages={"empty": "The file is empty: there is no trace in it."},
    )
    version = forms.ModelChoiceField(
        queryset=Version.objects.select_related("constitution").defer("canonical"), label="Constitution version",
        help_text="Published from the paper's list of principles. A key that names none of them is refused.",
    )  # fmt: skip
    licence = forms.CharField(max_length=100, required=False, help_text="Under which the traces may be used.")


class AggregateForm(forms.Form):
    """How the targets of a dataset build are made of labels that are there already."""

    how = forms.ChoiceField(
        choices=[(name, CHOICE_WORDS[name]) for name in HOW], label="Principles become one by",
        help_text="Where several judged one comparison.",
    )  # fmt: skip
    orders = forms.ChoiceField(
        choices=[("both", "both"), ("ab", "A shown first"), ("ba", "B shown first")],
        help_text="One order alone shows what averaging hides.",
    )
    clamp_low = forms.FloatField(label="Clamp from", required=False, min_value=0, max_value=1)
    clamp_high = forms.FloatField(label="Clamp to", required=False, min_value=0, max_value=1, help_text="Empty: none.")
    drop_irrelevant = forms.BooleanField(label="Drop irrelevant labels", required=False)
    name = forms.CharField(
        max_length=30, required=False, help_text="Small letters, digits and hyphens; without one it is numbered."
    )

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        low, high = cleaned.get("clamp_low"), cleaned.get("clamp_high")
        if (low is None) != (high is None) or (low is not None and high is not None and low >= high):
            self.add_error("clamp_high", "Both ends go together, and the low one is the smaller.")
        return cleaned

    def aggregation(self) -> Aggregation:
        """What was chosen, as builds take it."""
        said = self.cleaned_data
        clamp = None if said["clamp_low"] is None else (said["clamp_low"], said["clamp_high"])
        return Aggregation(said["how"], said["orders"], clamp, said["drop_irrelevant"])


class MeasureJudgeForm(forms.Form):
    """A file of questions with known answers, and who is to answer them."""

    file = forms.FileField(
        help_text='JSONL, plain or gzip: {"prompt", "corrects", "incorrects"} or {"chosen", "rejected"} a line.',
        error_messages={"empty": "The file is empty: there is no question in it."},
    )
    model = forms.ChoiceField(label="Judge", help_text="A model folder, or a model server.")
    template = forms.ChoiceField(
        choices=[(name, CHOICE_WORDS[name]) for name in CHOICES["template"]],
        help_text="For a multiple choice, paper sends the prompt as it stands in the file.",
    )
    question = forms.CharField(
        max_length=1000, initial=QUESTION, label="Question about a comparison",
        help_text="A multiple choice brings its own.",
    )  # fmt: skip
    most = forms.IntegerField(
        min_value=1, max_value=1_000_000, required=False, label="Only the first",
        help_text="Questions. Empty: all of the file.",
    )  # fmt: skip
    idempotency_key = forms.UUIDField(widget=forms.HiddenInput, initial=uuid.uuid4)

    def __init__(self, *args: Any, models: Iterable[tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["model"]
        if isinstance(field, forms.ChoiceField):
            field.choices = list(models)


class ExemplarsForm(forms.Form):
    """Worked examples for one family of models."""

    family = forms.RegexField(
        r"^[A-Za-z0-9_.-]{1,60}$", help_text="As the model's config.json names its type: llama, qwen2, gemma3."
    )
    exemplars = forms.CharField(
        label="Examples", max_length=200_000, widget=forms.Textarea(attrs={"rows": 16, "spellcheck": "false"}),
        help_text="A JSON list; it starts from the version's own. A revision that is its critique is refused.",
    )  # fmt: skip
    note = forms.CharField(max_length=500, required=False, help_text="Why this family needs its own.")
