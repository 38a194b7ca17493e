"""The forms of queues: making one, whom it is for, the blind choice, what is kept after the reveal, own settings."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django import forms
from django.contrib.auth.models import User

from constitutions_app.access import Role, people_with_role
from constitutions_app.ledger import name_of
from training_app.actions.create_queue import LARGEST, QueuePlan
from training_app.actions.judge_in_queue import ANSWERS, Said
from training_app.auditor_settings import KEYS
from training_app.forms import LARGEST_SEED
from training_app.models import Audit, AuditorSettings, PromptSet
from training_app.models.queue import DRAWN_BY, KINDS_DRAWN, MOST_AUDITORS

SIDES = (("first", "first"), ("second", "second"), ("neither", "neither"))


class PeopleField(forms.ModelMultipleChoiceField[User]):
    """Auditors by name."""

    def label_from_instance(self, obj: Any) -> str:
        return name_of(obj)


def auditors() -> Any:
    """Everybody who can be given items."""
    return people_with_role(Role.AUDITOR).order_by("first_name", "username")


class QueueForm(forms.Form):
    """A queue to be."""

    name = forms.CharField(max_length=200)
    kind = forms.ChoiceField(choices=KINDS_DRAWN, label="What is judged")
    filters = forms.CharField(
        max_length=2000, required=False, label="Filter",
        help_text="As it stands in the address of the explorer: run=3&key=privacy. Empty: everything.",
    )  # fmt: skip
    rule = forms.ChoiceField(choices=DRAWN_BY, label="Taken from what matches")
    size = forms.IntegerField(min_value=1, max_value=LARGEST, initial=60, label="Items at most")
    per_item = forms.IntegerField(
        min_value=1, max_value=MOST_AUDITORS, initial=1, label="People for each item",
        help_text="Each judges without knowing of the others.",
    )  # fmt: skip
    seed = forms.IntegerField(
        min_value=0, max_value=LARGEST_SEED, initial=7, help_text="The same seed draws the same items."
    )
    goal = forms.IntegerField(
        min_value=0, max_value=10_000, initial=0, label="Goal", help_text="Decisions a person a day. 0: no goal."
    )
    hide_principle = forms.BooleanField(required=False, label="Hide which principle was cited until they have chosen")
    calibration_set = forms.ModelChoiceField(
        queryset=PromptSet.objects.filter(kind=PromptSet.Kind.COMPARISONS), required=False, label="Known answers",
        empty_label="none", help_text="Human comparisons mixed in: how far do auditors agree with people before them?",
    )  # fmt: skip
    calibration = forms.IntegerField(min_value=0, max_value=1000, initial=0, label="Known answers, how many")
    people = PeopleField(
        queryset=User.objects.none(), required=False, widget=forms.CheckboxSelectMultiple, label="For",
        help_text="Nobody ticked: every auditor.",
    )  # fmt: skip

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["people"].queryset = auditors()  # type: ignore[attr-defined]  # it is a field of model choices

    def plan(self) -> QueuePlan:
        """What was asked for, as the verb takes it."""
        said = {name: value for name, value in self.cleaned_data.items() if name != "people"}
        return QueuePlan(**said)

    def people_named(self) -> Iterable[User]:
        people: Iterable[User] = self.cleaned_data["people"]
        return people


class AssignForm(forms.Form):
    """Whom a queue is for."""

    people = PeopleField(
        queryset=User.objects.none(), required=False, widget=forms.CheckboxSelectMultiple, label="For",
        help_text="Nobody ticked: every auditor.",
    )  # fmt: skip

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["people"].queryset = auditors()  # type: ignore[attr-defined]  # it is a field of model choices


def _yes_or_no(label: str) -> forms.TypedChoiceField:
    return forms.TypedChoiceField(
        choices=[("", "not said"), ("yes", "yes"), ("no", "no")],
        coerce=lambda value: value == "yes", empty_value=None, required=False, label=label,
    )  # fmt: skip


class AnswersForm(forms.Form):
    """What is said of a step besides whether it got better."""

    critique_fair = _yes_or_no("Critique fair?")
    principle_fits = _yes_or_no("Principle fits?")
    change_needed = _yes_or_no("Change needed at all?")

    def answers(self) -> dict[str, bool | None]:
        return {name: self.cleaned_data[name] for name in ANSWERS}


class ChoiceForm(AnswersForm):
    """The blind choice, by the place the responses stand in for this person."""

    idempotency_key = forms.UUIDField(widget=forms.HiddenInput)
    side = forms.ChoiceField(choices=SIDES)
    seconds = forms.IntegerField(widget=forms.HiddenInput, required=False, min_value=0)


class DecisionForm(AnswersForm):
    """What is kept after the reveal. `idempotency_key` becomes the audit's id."""

    idempotency_key = forms.UUIDField(widget=forms.HiddenInput)
    side = forms.ChoiceField(choices=SIDES, required=False, widget=forms.RadioSelect)
    reason = forms.ChoiceField(choices=[("", "no reason given"), *Audit.Reason.choices], required=False)
    confidence = forms.TypedChoiceField(
        choices=[("", "not said"), ("1", "1, a guess"), ("2", "2"), ("3", "3"), ("4", "4, certain")],
        coerce=int, empty_value=None, required=False,
    )  # fmt: skip
    comment = forms.CharField(max_length=10_000, required=False, label="Note")

    def said(self, choice: str) -> Said:
        """As the verb takes it; `choice` is the letter behind the side."""
        kept = self.cleaned_data
        names = (*ANSWERS, "confidence", "reason", "comment")
        words: dict[str, Any] = {name: kept[name] for name in names}
        return Said(choice=choice, **words)


class SettingsForm(forms.ModelForm[AuditorSettings]):
    """How the person reads and judges; the keys follow, one field each ("key_first")."""

    veil_tags = forms.CharField(
        max_length=1000, required=False, label="Tags that are always veiled", help_text="Separated by commas."
    )

    class Meta:
        model = AuditorSettings
        fields = ("veil_from", "veil_tags", "raw_text", "break_after_items", "break_after_minutes", "keys_on")
        labels = {
            "veil_from": "Veil until I ask",
            "raw_text": "Show texts of models as they were written, without their Markdown being read",
            "break_after_items": "Offer a break after items",
            "break_after_minutes": "Offer a break after minutes",
            "keys_on": "Single keys work while judging",
        }
        help_texts = {"break_after_items": "0: never.", "break_after_minutes": "0: never."}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial["veil_tags"] = ", ".join(self.instance.veil_tags)
        own = self.instance.keys
        for name, (usual, words) in KEYS.items():
            self.fields[f"key_{name}"] = forms.CharField(
                max_length=20, required=False, label=words, initial=own.get(name, usual), help_text=f"Usually {usual}."
            )

    def clean_veil_tags(self) -> list[str]:
        return [tag.strip()[:60] for tag in self.cleaned_data["veil_tags"].split(",") if tag.strip()]

    def values(self) -> dict[str, Any]:
        """The settings without the keys."""
        return {name: self.cleaned_data[name] for name in self.Meta.fields}

    def keys(self) -> dict[str, str]:
        """The keys by the name of what they do; an empty one stays as usual."""
        return {name: self.cleaned_data[f"key_{name}"].strip() for name in KEYS}

    def key_fields(self) -> list[forms.BoundField]:
        return [self[f"key_{name}"] for name in KEYS]

    def plain_fields(self) -> list[forms.BoundField]:
        return [self[name] for name in self.Meta.fields]
