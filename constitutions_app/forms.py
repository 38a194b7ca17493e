"""What people type, turned into what the verbs take. Nothing here writes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import fields as dataclass_fields
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator

from constitutions_app.access import Role
from constitutions_app.actions.publishing import MAX_NOTE
from constitutions_app.core import principles as core
from constitutions_app.models import Constitution, DraftPrinciple, Version

MAX_TEXT = 20_000
"""Most characters of one text of a principle: far above any rule, and enough to notice a pasted book."""

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
    enabled = forms.BooleanField(required=False, label="Enabled")
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
    return {name: _control_value(form[name].value()) for name in form.fields}


def _control_value(value: Any) -> str | list[str]:
    """What a control holds for a value: boxes and choices are lists of what is ticked, everything else is text."""
    if isinstance(value, bool):
        return ["on"] if value else []
    if isinstance(value, list | tuple):
        return [str(part) for part in value]
    return "" if value is None else str(value)


class AddPrincipleForm(forms.Form):
    """The title of a new principle; it gives the principle its stable key."""

    title = forms.CharField(
        required=False, max_length=200, label="New principle", widget=forms.TextInput(attrs={"placeholder": "Title"})
    )


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


class CompareForm(forms.Form):
    """Which two states of a constitution to compare."""

    old = forms.ChoiceField(label="From")
    new = forms.ChoiceField(label="To")

    def __init__(self, *args: Any, constitution: Constitution, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        numbers = constitution.versions.values_list("number", flat=True)
        choices = [("draft", "draft"), *((f"v{number}", f"v{number}") for number in numbers)]
        for name in ("old", "new"):
            set_choices(self, name, choices)


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
