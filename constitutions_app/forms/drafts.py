"""What surrounds the principles of a draft: their order, who is where, the preamble and the exemplars."""

from __future__ import annotations

from dataclasses import fields as dataclass_fields
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from constitutions_app.actions.drafting import MAX_PREAMBLE, MAX_TEXT
from constitutions_app.core import principles as core

EXEMPLAR_PARTS = tuple(part.name for part in dataclass_fields(core.Exemplar))


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
        max_length=MAX_PREAMBLE,
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


def exemplar_forms(exemplars: list[dict[str, str]], data: Any = None) -> list[ExemplarForm]:
    """One form per exemplar, named 0-prompt, 0-response …; what `data` does not mention keeps its value."""
    forms_ = []
    for index, exemplar in enumerate(exemplars):
        values = {f"{index}-{part}": text for part, text in exemplar.items()}
        if data is not None:
            values |= {name: data[name] for name in values if name in data}
        forms_.append(ExemplarForm(values, prefix=str(index)))
    return forms_
