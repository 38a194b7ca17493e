"""One principle of a draft, as its controls hold it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from constitutions_app.actions.drafting import MAX_TEXT
from constitutions_app.core import principles as core
from constitutions_app.forms.fields import TagsField, TextListField
from constitutions_app.models import DraftPrinciple

STAGE_CHOICES = (("revise", "critique and revise"), ("label", "preference labels"))

BOXES = frozenset({"strict", "enabled", "stages"})
"""Controls that a browser leaves out of a form when they are not ticked."""


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
