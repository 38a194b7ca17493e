"""Kinds of fields that several forms share, and what fits into a text."""

from __future__ import annotations

import re
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from constitutions_app.actions.drafting import MAX_TEXT
from constitutions_app.core import principles as core


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


class FilesInput(forms.ClearableFileInput):
    """Several files in one control."""

    allow_multiple_selected = True


class FilesField(forms.FileField):
    """Several files, each checked alone; none is an empty list."""

    widget = FilesInput

    def clean(self, data: Any, initial: Any = None) -> list[Any]:
        given = data if isinstance(data, list | tuple) else [data] if data else []
        return [super(FilesField, self).clean(one, initial) for one in given]


def set_choices(form: forms.Form, name: str, choices: list[tuple[str, str]]) -> None:
    """Give a field of one form object its choices, which depend on rows."""
    field = form.fields[name]
    if not isinstance(field, forms.ChoiceField):
        raise TypeError(f"{name} is not a field with choices.")
    field.choices = choices
