"""What people type, turned into what the verbs take. Nothing here writes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import fields as dataclass_fields
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db.models import QuerySet

from constitutions_app.access import Role
from constitutions_app.actions.publishing import MAX_NOTE
from constitutions_app.actions.scenarios import MAX_SCENARIO_TEXT
from constitutions_app.core import principles as core
from constitutions_app.core.interchange import FORMATS, Choice
from constitutions_app.core.interchange.documents import MAX_BYTES
from constitutions_app.core.interchange.joining import WAYS
from constitutions_app.lineages import family_of
from constitutions_app.models import MAIN, Constitution, DraftPrinciple, Version
from constitutions_app.searching import LONGEST_QUESTION
from constitutions_app.templatetags.diffs import spelled

MAX_TEXT = 20_000
"""Most characters of one text of a principle: far above any rule, and enough to notice a pasted book."""

LIMIT = f"{MAX_BYTES // 1_000_000} MB"
FORMAT_CHOICES = [("", "recognise it by its content"), *FORMATS.items()]

STAGE_CHOICES = (("revise", "critique and revise"), ("label", "preference labels"))


class TextListField(forms.CharField):
    """Several texts in one area, a line of three dashes between them; empty ones are left out."""

    widget = forms.Textarea

    def prepare_value(self, value: Any) -> Any:
        return "\n---\n".join(value) if isinstance(value, list | tuple) else value

    def to_python(self, value: Any) -> Any:
        parts = re.split(r"^[ \t]*---[ \t]*$", core.normalise(str(value or "")), flags=re.MULTILINE)
        return [text for text in map(core.normalise, parts) if text]

    def validate(self, value: Any) -> None:
        if any(len(text) > MAX_TEXT for text in value):
            raise ValidationError(f"One of these has more than {MAX_TEXT:,} characters; shorten it.")

    def run_validators(self, value: Any) -> None:
        """The limits of a single text do not apply to a list."""


class FilesInput(forms.ClearableFileInput):
    """Several files in one control."""

    allow_multiple_selected = True


class FilesField(forms.FileField):
    """Several files, each checked alone; none is an empty list."""

    widget = FilesInput

    def clean(self, data: Any, initial: Any = None) -> list[Any]:
        given = data if isinstance(data, list | tuple) else [data] if data else []
        return [super(FilesField, self).clean(one, initial) for one in given]


class TagsField(forms.CharField):
    """Tags typed with commas between them, kept in order, each once."""

    def prepare_value(self, value: Any) -> Any:
        return ", ".join(value) if isinstance(value, list | tuple) else value

    def to_python(self, value: Any) -> Any:
        parts = [re.sub(r"\s+", " ", core.normalise(part)) for part in str(value or "").split(",")]
        return list(dict.fromkeys(part for part in parts if part))

    def validate(self, value: Any) -> None:
        if long := next((tag for tag in value if len(tag) > 60), None):
            raise ValidationError(f"The tag “{long[:20]}…” is longer than 60 characters.")

    def run_validators(self, value: Any) -> None:
        """The limits of a single text do not apply to a list."""


class PrincipleForm(forms.Form):
    """One principle of a draft. With `only`, just those fields: an autosave sends what changed and nothing else."""

    title = forms.CharField(required=False, max_length=200)
    text = forms.CharField(
        required=False,
        max_length=MAX_TEXT,
        label="Principle",
        widget=forms.Textarea(attrs={"rows": 5, "class": "matter", "dir": "auto"}),
        help_text="One rule, in words a stranger understands.",
    )
    rationale = forms.CharField(
        required=False, max_length=MAX_TEXT, widget=forms.Textarea(attrs={"rows": 3, "dir": "auto"})
    )
    source_document = forms.CharField(required=False, max_length=300, label="Source document")
    source_article = forms.CharField(required=False, max_length=200, label="Article")
    source_url = forms.URLField(required=False, max_length=500, label="Link", assume_scheme="https")
    tags = TagsField(required=False, help_text="With commas between them.")
    weight = forms.FloatField(
        min_value=0,
        max_value=core.MAX_WEIGHT,
        help_text="How often it is sampled against the others; 0 is never.",
        widget=forms.NumberInput(attrs={"step": "any", "inputmode": "decimal"}),
    )
    strict = forms.BooleanField(required=False, label="Strict: it may not be weighed against other principles")
    enabled = forms.BooleanField(
        required=False, label="In use: without the mark it is retired, kept and sent to no model"
    )
    stages = forms.MultipleChoiceField(
        required=False, choices=STAGE_CHOICES, widget=forms.CheckboxSelectMultiple, label="Serves"
    )
    critique_request = forms.CharField(required=False, max_length=MAX_TEXT)
    revision_request = forms.CharField(required=False, max_length=MAX_TEXT)
    comparison_question = forms.CharField(required=False, max_length=MAX_TEXT)
    positive_examples = TextListField(
        required=False,
        label="Examples that keep to it",
        help_text="Several with a line of three dashes between them.",
        widget=forms.Textarea(attrs={"rows": 3, "class": "matter", "dir": "auto"}),
    )
    negative_examples = TextListField(
        required=False,
        label="Examples that break it",
        help_text="Several with a line of three dashes between them.",
        widget=forms.Textarea(attrs={"rows": 3, "class": "matter", "dir": "auto"}),
    )

    def __init__(self, data: Any = None, *, instance: DraftPrinciple, only: Iterable[str] | None = None) -> None:
        super().__init__(data, initial={name: getattr(instance, name) for name in self.base_fields})
        for name in ("critique_request", "revision_request", "comparison_question"):
            attributes = {"rows": 3, "class": "sent", "dir": "auto", "placeholder": "Empty: derived from the principle"}
            self.fields[name].widget = forms.Textarea(attrs=attributes)
        if only is not None:
            wanted = set(only)
            for name in [name for name in self.fields if name not in wanted]:
                del self.fields[name]

    def clean_weight(self) -> float:
        weight: float = self.cleaned_data["weight"]
        if weight != weight:  # NaN passes both limits
            raise ValidationError("Enter a number.")
        return weight


def principle_values(row: DraftPrinciple) -> dict[str, str | list[str]]:
    """A principle's values as the form's controls hold them, by name: what a conflict answers with."""
    form = PrincipleForm(instance=row)
    return {name: control_value(form[name].value()) for name in form.fields}


def control_value(value: Any) -> str | list[str]:
    """What a control holds for a value: boxes and choices are lists of what is ticked, everything else is text."""
    if isinstance(value, bool):
        return ["on"] if value else []
    if isinstance(value, list | tuple):
        return [str(part) for part in value]
    return "" if value is None else str(value)


BOXES = frozenset({"strict", "enabled", "stages"})
"""Controls that a browser leaves out of a form when they are not ticked."""


def typed_principle(form: PrincipleForm, row: DraftPrinciple) -> core.Principle:
    """A principle with the words in the form, saved or not; what does not fit, or was not sent, is as it stands."""
    form.is_valid()
    is_whole = "weight" in form.data
    for name, value in form.cleaned_data.items():
        if name in form.data or (is_whole and name in BOXES):
            setattr(row, name, value)
    return row.to_core()


class HintForm(forms.Form):
    """Which hint: its kind, and the words it pointed at."""

    hint = forms.RegexField(r"^[a-z_]{1,40}$")
    words = forms.CharField(required=False, max_length=400, strip=False)


class AddPrincipleForm(forms.Form):
    """The title of a new principle; it gives the principle its stable key."""

    title = forms.CharField(
        required=False, max_length=200, label="New principle", widget=forms.TextInput(attrs={"placeholder": "Title"})
    )


class MoveForm(forms.Form):
    """Where a principle goes: a step up or down, or a place of the outline counted from 1. `at`: the part on show."""

    direction = forms.ChoiceField(required=False, choices=[("up", "up"), ("down", "down")])
    place = forms.IntegerField(required=False, min_value=1, max_value=100_000)
    at = forms.SlugField(required=False, max_length=80)

    def clean(self) -> dict[str, Any]:
        if not (self.cleaned_data.get("direction") or self.cleaned_data.get("place")):
            raise ValidationError("Say where it goes.")
        return self.cleaned_data

    def goal(self, index: int) -> int:
        """The index to move to, from the index it stands at."""
        place: int | None = self.cleaned_data["place"]
        return place - 1 if place else index + (-1 if self.cleaned_data["direction"] == "up" else 1)


class PlaceForm(forms.Form):
    """A beat of an open page: the part of the draft it shows (empty: it was closed, and showed `left`)."""

    place = forms.SlugField(required=False, max_length=80)
    left = forms.SlugField(required=False, max_length=80)
    revision = forms.CharField(required=False, max_length=40)


class PreambleForm(forms.Form):
    """The text that stands before all principles."""

    preamble = forms.CharField(
        required=False,
        max_length=MAX_TEXT,
        widget=forms.Textarea(attrs={"rows": 12, "class": "matter", "dir": "auto"}),
        help_text="What these principles are for, for people who read the constitution. It is not sent to the model.",
    )


class ExemplarForm(forms.Form):
    """One worked example: a prompt, a response, its critique and its revision."""

    prompt = forms.CharField(required=False, max_length=MAX_TEXT)
    response = forms.CharField(required=False, max_length=MAX_TEXT)
    critique_request = forms.CharField(required=False, max_length=MAX_TEXT)
    critique = forms.CharField(required=False, max_length=MAX_TEXT)
    revision_request = forms.CharField(required=False, max_length=MAX_TEXT)
    revision = forms.CharField(required=False, max_length=MAX_TEXT)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, field in self.fields.items():
            look = "sent" if name.endswith("_request") else "matter"
            field.widget = forms.Textarea(attrs={"rows": 2 if look == "sent" else 3, "class": look, "dir": "auto"})


EXEMPLAR_PARTS = tuple(part.name for part in dataclass_fields(core.Exemplar))


def exemplar_forms(exemplars: list[dict[str, str]], data: Any = None) -> list[ExemplarForm]:
    """One form per exemplar, named 0-prompt, 0-response …; what `data` does not mention keeps its value."""
    forms_ = []
    for index, exemplar in enumerate(exemplars):
        values = {f"{index}-{part}": text for part, text in exemplar.items()}
        if data is not None:
            values |= {name: data[name] for name in values if name in data}
        forms_.append(ExemplarForm(values, prefix=str(index)))
    return forms_


class CreateForm(forms.Form):
    """A new constitution: its name, and what it starts from."""

    name = forms.CharField(max_length=200, help_text="What people will call it, for example “Harmless assistant”.")
    description = forms.CharField(
        required=False,
        max_length=2000,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="What it is for, in a sentence or two.",
    )
    start = forms.ChoiceField(
        required=False,
        label="Start from",
        help_text="Its principles, preamble and exemplars are copied into the new draft.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        newest = Version.objects.order_by("constitution_id", "-number").distinct("constitution_id")
        versions = Version.objects.filter(pk__in=newest.values("pk")).select_related("constitution").defer("canonical")
        named = [(str(row.pk), f"{row.constitution.name} {row}") for row in versions.order_by("constitution__name")]
        set_choices(self, "start", [("", "an empty draft"), *named])

    def clean_start(self) -> Version | None:
        """The version itself; a choice was checked already, so it is one of those offered."""
        chosen = self.cleaned_data["start"]
        return Version.objects.get(pk=chosen) if chosen else None


def set_choices(form: forms.Form, name: str, choices: list[tuple[str, str]]) -> None:
    """Give a field of one form object its choices, which depend on rows."""
    field = form.fields[name]
    if not isinstance(field, forms.ChoiceField):
        raise TypeError(f"{name} is not a field with choices.")
    field.choices = choices


class PublishForm(forms.Form):
    """The change note of a version, and the draft's revision that the person has read."""

    note = forms.CharField(
        required=False,
        max_length=MAX_NOTE,
        label="Change note",
        widget=forms.Textarea(attrs={"rows": 3, "dir": "auto", "autofocus": True}),
        help_text="What changed and why. It stays with the version for ever.",
    )
    revision = forms.IntegerField(widget=forms.HiddenInput)


class BranchForm(forms.Form):
    """The name of a new branch."""

    name = forms.CharField(
        max_length=60,
        label="Name of the branch",
        widget=forms.TextInput(attrs={"autofocus": True, "autocomplete": "off"}),
        help_text="What it tries out, for example “softer tone”. It becomes part of the address.",
    )


class ForkForm(forms.Form):
    """A new constitution that begins with a version's words."""

    name = forms.CharField(max_length=200, help_text="What people will call it.")
    description = forms.CharField(
        required=False,
        max_length=2000,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="What it is for, in a sentence or two.",
    )


class AliasForm(forms.Form):
    """Which alias points to which version; no number takes the alias away."""

    name = forms.CharField(max_length=40)
    number = forms.IntegerField(required=False, min_value=1, max_value=999_999_999)


class VersionField(forms.ModelChoiceField[Version]):
    """One version, named with its constitution, its branch and the beginning of its note."""

    def label_from_instance(self, obj: Any) -> str:
        branch = "" if obj.branch == MAIN else f", branch {obj.branch}"
        return spelled(f"{obj.constitution.name} {obj}{branch}: {obj.note[:80]}")


class MergeForm(forms.Form):
    """Which version to merge into a draft, and the draft's revision that the person has read."""

    version = VersionField(queryset=Version.objects.none(), empty_label=None, label="Merge")
    revision = forms.IntegerField(required=False, min_value=0, max_value=2**31 - 1, widget=forms.HiddenInput)

    def __init__(self, *args: Any, versions: QuerySet[Version], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["version"]
        if isinstance(field, forms.ModelChoiceField):
            field.queryset = versions


class CompareForm(forms.Form):
    """Which two states of a constitution to compare."""

    old = forms.ChoiceField(label="From")
    new = forms.ChoiceField(label="To")

    def __init__(self, *args: Any, constitution: Constitution, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        drafts = constitution.drafts.defer("preamble", "exemplars")
        states = [
            (draft.ref, draft.ref) for draft in sorted(drafts, key=lambda draft: (not draft.is_main, draft.branch))
        ]
        family = Version.objects.filter(family_of(constitution))
        named = list(
            family.order_by("constitution__name", "-number").values_list(
                "constitution__slug", "constitution__name", "number"
            )
        )
        states += [(f"v{number}", f"v{number}") for slug, _, number in named if slug == constitution.slug]
        others = [place for place in named if place[0] != constitution.slug]
        choices = [*states, *((f"{slug}:v{number}", spelled(f"{name} v{number}")) for slug, name, number in others)]
        for name in ("old", "new"):
            set_choices(self, name, choices)


class ScenarioForm(forms.Form):
    """One scenario. The principles to choose from are those of the draft; keys it has beside them stay choosable."""

    title = forms.CharField(required=False, max_length=200, help_text="What it tests, in a few words.")
    prompt = forms.CharField(
        max_length=MAX_SCENARIO_TEXT, widget=forms.Textarea(attrs={"rows": 4, "class": "matter", "dir": "auto"})
    )
    response_a = forms.CharField(
        required=False,
        max_length=MAX_SCENARIO_TEXT,
        label="Response A",
        widget=forms.Textarea(attrs={"rows": 6, "class": "matter", "dir": "auto"}),
    )
    response_b = forms.CharField(
        required=False,
        max_length=MAX_SCENARIO_TEXT,
        label="Response B",
        widget=forms.Textarea(attrs={"rows": 6, "class": "matter", "dir": "auto"}),
    )
    expected = forms.ChoiceField(
        required=False,
        label="Expected to win",
        choices=(("", "not said yet"), ("a", "Response A"), ("b", "Response B")),
    )
    principles = forms.MultipleChoiceField(
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text="It is judged under each of them. With none, it is judged under the whole constitution.",
    )
    note = forms.CharField(
        required=False,
        max_length=MAX_SCENARIO_TEXT,
        widget=forms.Textarea(attrs={"rows": 2, "dir": "auto"}),
        help_text="Why that response should win.",
    )

    def __init__(self, *args: Any, choices: Iterable[tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        set_choices(self, "principles", list(choices))


class ScenarioFilterForm(forms.Form):
    """The filters of the list of scenarios; nothing else of the address reaches a query."""

    principle = forms.ChoiceField(required=False)
    state = forms.ChoiceField(
        required=False,
        label="Result",
        choices=(
            ("", "any"),
            ("passed", "passed"),
            ("failed", "failed"),
            ("not run", "not run on these words"),
            ("incomplete", "incomplete"),
        ),
    )
    words = forms.ChoiceField(required=False, label="Under the words of")
    retired = forms.BooleanField(required=False, label="Retired ones")

    def __init__(
        self, *args: Any, principles: Iterable[tuple[str, str]], texts: Iterable[tuple[str, str]], **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        set_choices(self, "principle", [("", "any"), *principles])
        set_choices(self, "words", list(texts))


class LedgerFilterForm(forms.Form):
    """The ledger's filters; nothing else of the address reaches a query."""

    object = forms.CharField(
        required=False,
        max_length=161,
        widget=forms.HiddenInput,
        validators=[RegexValidator(r"^[a-z_]+\.[a-z_]+:[\w-]{1,80}$", "Not an object of the ledger.")],
    )
    verb = forms.CharField(required=False, max_length=80, validators=[RegexValidator(r"^[a-z_]+\.[a-z_]+$")])
    before = forms.IntegerField(required=False, min_value=1, max_value=2**63 - 1, widget=forms.HiddenInput)
    after = forms.IntegerField(required=False, min_value=0, max_value=2**63 - 1, widget=forms.HiddenInput)


class InviteForm(forms.Form):
    """Who is invited, and with which role."""

    username = forms.CharField(
        max_length=150, label="Sign-in name", widget=forms.TextInput(attrs={"autocomplete": "off"})
    )
    name = forms.CharField(required=False, max_length=150, label="Full name")
    email = forms.EmailField(required=False, label="E-mail")
    role = forms.ChoiceField(choices=[(role.value, f"{role.label}: {role.duty}") for role in Role])

    def clean_role(self) -> Role:
        return Role(self.cleaned_data["role"])


class RoleForm(forms.Form):
    """Another role for a person."""

    role = forms.ChoiceField(choices=Role.choices)

    def clean_role(self) -> Role:
        return Role(self.cleaned_data["role"])


class NameForm(forms.Form):
    """How one's own name is shown."""

    name = forms.CharField(
        required=False, max_length=150, label="Full name", help_text="Shown beside what you write and decide."
    )


class UploadForm(forms.Form):
    """What belongs to a file: its format, the paper's other list, the Model Spec's examples, the licence."""

    format = forms.ChoiceField(required=False, choices=FORMAT_CHOICES)
    link = forms.FileField(
        required=False,
        allow_empty_file=True,
        label="Second file",
        help_text="The paper's other list: its pairs and its questions are linked to each other.",
    )
    examples = FilesField(
        required=False,
        label="Example files",
        help_text="The Model Spec's examples/ folder, at most 90 files here; the shell reads any number.",
    )
    licence = forms.CharField(
        required=False, max_length=200, help_text="Under which licence the words come, such as MIT or CC0."
    )

    def clean_link(self) -> tuple[bytes, str] | None:
        return _content_of(self.cleaned_data["link"])

    def clean_examples(self) -> dict[str, bytes]:
        given = [_content_of(file) for file in self.cleaned_data["examples"]]
        files = {f"examples/{name}": data for data, name in filter(None, given)}
        if sum(map(len, files.values())) > MAX_BYTES:
            raise ValidationError(f"Together they are larger than {LIMIT}; import the file from the shell instead.")
        return files


class NewUploadForm(UploadForm):
    """A file to import, or its text pasted: one of the two, with what belongs to it."""

    file = forms.FileField(required=False, allow_empty_file=True, help_text=f"At most {LIMIT}.")
    text = forms.CharField(
        required=False,
        max_length=MAX_BYTES,
        strip=False,
        label="Or its text",
        widget=forms.Textarea(attrs={"rows": 6, "class": "sent", "dir": "auto"}),
        help_text="Paste it here where there is no file.",
    )

    field_order = ("file", "text", "format", "licence", "link", "examples")

    def clean_file(self) -> tuple[bytes, str] | None:
        return _content_of(self.cleaned_data["file"])

    def clean(self) -> dict[str, Any]:
        said = super().clean() or {}
        file, text = said.get("file"), said.get("text", "")
        if file and text.strip():
            raise ValidationError("Choose a file or paste a text, not both.")
        if not file and not text.strip() and "file" not in self.errors:
            raise ValidationError("Choose a file, or paste its text.")
        said["content"] = file or (text.encode("utf-8", "replace"), "pasted text")
        return said


class WriteImportForm(forms.Form):
    """Where an import is written to: a new constitution by its name, or a draft by its address."""

    name = forms.CharField(required=False, max_length=200, label="Name of the new constitution")
    into = forms.CharField(required=False, max_length=150, widget=forms.HiddenInput)
    way = forms.ChoiceField(required=False, choices=list(WAYS.items()), widget=forms.HiddenInput)
    revision = forms.IntegerField(required=False, min_value=0, max_value=2**31 - 1, widget=forms.HiddenInput)


class LinkForm(forms.Form):
    """Which question belongs to which pair of the paper, one select and one box for each pair."""

    def __init__(self, *args: Any, pairs: list[core.Principle], questions: list[core.Principle], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choices = [("", "no question"), *((str(n), f"{n + 1}. {item.title}") for n, item in enumerate(questions))]
        for number, pair in enumerate(pairs):
            self.fields[f"question-{number}"] = forms.ChoiceField(
                required=False, choices=choices, label=f"Question for {pair.title}"
            )
            self.fields[f"confirmed-{number}"] = forms.BooleanField(required=False, label="They belong together")
        self.pairs = pairs

    def chosen(self) -> dict[str, Choice]:
        """By the pair's id: which question, and whether the person has confirmed it."""
        found = {}
        for number, pair in enumerate(self.pairs):
            question = self.cleaned_data[f"question-{number}"]
            confirmed = bool(question) and self.cleaned_data[f"confirmed-{number}"]
            found[pair.id] = Choice(int(question) if question else None, confirmed)
        return found


def _content_of(file: Any) -> tuple[bytes, str] | None:
    """The bytes of an upload with its name. Raises ValidationError for more than a constitution can have."""
    if not file:
        return None
    if file.size > MAX_BYTES:
        raise ValidationError(f"{file.name} is larger than {LIMIT}. Nothing of it was kept.")
    return file.read(MAX_BYTES + 1), str(file.name)


class SearchForm(forms.Form):
    """What is searched for, and where; nothing else of the address reaches a query."""

    q = forms.CharField(required=False, max_length=LONGEST_QUESTION, label="Search for")
    constitution = forms.ChoiceField(required=False)
    where = forms.ChoiceField(
        required=False,
        choices=(
            ("", "everywhere"),
            ("drafts", "drafts"),
            ("versions", "versions"),
            ("notes", "change notes"),
            ("threads", "threads"),
            ("scenarios", "scenarios"),
        ),
    )

    def __init__(self, *args: Any, constitutions: list[tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        set_choices(self, "constitution", [("", "all"), *constitutions])


class ActivityForm(forms.Form):
    """The filters of an activity page; nothing else of the address reaches a query."""

    person = forms.ChoiceField(required=False)
    verb = forms.ChoiceField(required=False, label="What was done")
    principle = forms.SlugField(required=False, max_length=80)
    before = forms.IntegerField(required=False, min_value=1, max_value=2**63 - 1, widget=forms.HiddenInput)

    def __init__(self, *args: Any, people: list[tuple[str, str]], verbs: list[tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        set_choices(self, "person", [("", "everybody"), *people])
        set_choices(self, "verb", [("", "everything"), *verbs])
