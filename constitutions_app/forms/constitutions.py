"""New constitutions: from nothing, from a version, or as a fork of one."""

from __future__ import annotations

from typing import Any

from django import forms

from constitutions_app.forms.fields import set_choices
from constitutions_app.models import Version


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


class ForkForm(forms.Form):
    """A new constitution that begins with a version's words."""

    name = forms.CharField(max_length=200, help_text="What people will call it.")
    description = forms.CharField(
        required=False,
        max_length=2000,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="What it is for, in a sentence or two.",
    )
