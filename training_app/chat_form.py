"""The form of a question to one checkpoint or to two."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Any

from django import forms

from constitutions_app.templatetags.diffs import spelled
from training_app.actions.chat import LONGEST_QUESTION, MOST_TOKENS
from training_app.forms import LARGEST_SEED
from training_app.models import Checkpoint
from training_app.options import STAGE_NAMES


class ChatForm(forms.Form):
    """What is asked, of whom, and how the answer is drawn."""

    question = forms.CharField(
        max_length=LONGEST_QUESTION, widget=forms.Textarea(attrs={"rows": 3}), help_text="As a person would write it."
    )
    temperature = forms.FloatField(min_value=0, max_value=2, initial=0.7, help_text="0 gives the likeliest answer.")
    max_new_tokens = forms.IntegerField(label="Longest answer", min_value=1, max_value=MOST_TOKENS, initial=128)
    seed = forms.IntegerField(min_value=0, max_value=LARGEST_SEED, initial=7, help_text="The same for both.")
    turn_id = forms.UUIDField(widget=forms.HiddenInput, initial=uuid.uuid4)
    after = forms.UUIDField(widget=forms.HiddenInput, required=False)

    def __init__(self, *args: Any, checkpoints: Iterable[Checkpoint], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        names = [(str(one.pk), _name(one)) for one in checkpoints]
        self.fields["left"] = forms.TypedChoiceField(label="Answers", coerce=int, choices=names)
        self.fields["right"] = forms.TypedChoiceField(
            label="Beside it", coerce=int, choices=[("", "nothing"), *names], required=False, empty_value=None
        )


def _name(one: Checkpoint) -> str:
    words = spelled(f"{one.version.constitution} v{one.version.number}")
    return f"{STAGE_NAMES.get(one.stage, one.stage)} of run {one.run.number} ({words})"
