"""The form that has a model write new red-team prompts: seed set, version, model, and every option of the stage."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from django import forms
from django.forms import BoundField

from constitutions_app.models import Version
from training_app.core.config import WriteParams
from training_app.forms import LARGEST_SEED, field_for, nested, version_name
from training_app.models import PromptSet
from training_app.options import write_options

OPTIONS = write_options()
FIRST = ("write.count", "write.shown", "write.aim")
"""Shown at once; the others stand behind "Advanced"."""


class WritePromptsForm(forms.Form):
    """What is asked of the model; `options()` gives the stage's options as the verb takes them."""

    name = forms.CharField(max_length=200, help_text="What the new set will be called.")
    seeds = forms.ChoiceField(label="Seed prompts", help_text="A red-team set whose prompts are the examples.")
    version = forms.ChoiceField(label="For the constitution", help_text="The run is filed under it.")
    base_model = forms.ChoiceField(label="Written by", help_text="The paper uses a pretrained model.")
    seed = forms.IntegerField(
        min_value=0, max_value=LARGEST_SEED, initial=7, help_text="The same seed writes the same set."
    )
    idempotency_key = forms.UUIDField(widget=forms.HiddenInput, required=False, initial=uuid.uuid4)

    def __init__(
        self,
        *args: Any,
        versions: Iterable[Version],
        base_models: Iterable[str],
        prompt_sets: Iterable[PromptSet],
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.versions = {version_name(version): version for version in versions}
        self.prompt_sets = {one.slug: one for one in prompt_sets if one.kind == PromptSet.Kind.RED_TEAM and one.rows}
        defaults = {"write": _defaults()}
        for option in OPTIONS:
            self.fields[option.path] = field_for(option)
            self.fields[option.path].initial = option.value_in(defaults)
        self._offer("seeds", [(one.slug, f"{one.name} ({one.rows} rows)") for one in self.prompt_sets.values()])
        self._offer("version", [(name, f"{one.constitution} v{one.number}") for name, one in self.versions.items()])
        self._offer("base_model", [(name, name) for name in base_models])

    @property
    def first_fields(self) -> list[BoundField]:
        """The options that people choose every time."""
        return [self[path] for path in FIRST]

    @property
    def advanced(self) -> list[BoundField]:
        """The options behind "Advanced"."""
        return [self[option.path] for option in OPTIONS if option.path not in FIRST]

    @property
    def is_open(self) -> bool:
        """Whether something in the advanced part needs to be seen."""
        return any(field.errors for field in self.advanced)

    def options(self) -> dict[str, Any]:
        """The stage's options as plain data."""
        options: dict[str, Any] = nested(self.cleaned_data, OPTIONS)["write"]
        return options

    def _offer(self, name: str, choices: list[tuple[str, str]]) -> None:
        field = self.fields[name]
        if isinstance(field, forms.ChoiceField):
            field.choices = choices


def _defaults() -> Mapping[str, Any]:
    return asdict(WriteParams())
