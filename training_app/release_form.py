"""The forms of a checkpoint's release: a sign-off, and the roles that must give one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django import forms

from constitutions_app.access import Role
from training_app.models import SignOff
from training_app.releases import SIGNERS

WORDS = ((SignOff.Word.APPROVE, "sign it off"), (SignOff.Word.REFUSE, "refuse it"))


class SignOffForm(forms.Form):
    """What somebody says of a checkpoint, in one of their roles."""

    field_order = ("role", "word", "note")
    word = forms.ChoiceField(label="You", choices=WORDS, widget=forms.RadioSelect, initial="approve")
    note = forms.CharField(
        required=False,
        max_length=4000,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="What you looked at. A refusal needs a reason.",
    )

    def __init__(self, *args: Any, roles: Iterable[Role], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["role"] = forms.ChoiceField(label="As", choices=[(role.value, role.label) for role in roles])
        self.order_fields(self.field_order)


class ReleaseRulesForm(forms.Form):
    """The roles that must sign off before a checkpoint becomes "production"."""

    roles = forms.MultipleChoiceField(
        label="Roles that must sign off",
        required=False,
        choices=[(role.value, role.label) for role in SIGNERS],
        widget=forms.CheckboxSelectMultiple,
        help_text="Each by another person, and none by whoever launched the run. None chosen: one person can release.",
    )
