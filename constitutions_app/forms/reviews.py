"""What people type in a review."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError

from constitutions_app.access import APPROVERS, people_with_role
from constitutions_app.actions.drafting import MAX_TEXT
from constitutions_app.actions.reviewing import MAX_APPROVALS, MAX_WORDS
from constitutions_app.core import principles as core
from constitutions_app.core.offsets import to_code_points
from constitutions_app.forms.fields import set_choices
from constitutions_app.ledger import name_of
from constitutions_app.models import Verdict
from constitutions_app.places import place_words, texts_of
from constitutions_app.reviewing import Rules


def _area(rows: int, look: str = "") -> forms.Textarea:
    return forms.Textarea(attrs={"rows": rows, "dir": "auto", **({"class": look} if look else {})})


class RequestForm(forms.Form):
    """A request for review: what reviewers should know, and who is asked."""

    note = forms.CharField(
        required=False,
        max_length=MAX_WORDS,
        label="What should be looked at",
        widget=_area(2),
    )
    reviewers = forms.MultipleChoiceField(
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text="Nobody chosen: every reviewer is told.",
    )

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.people = {
            str(one.pk): one for one in people_with_role(*APPROVERS).exclude(pk=user.pk).order_by("username")
        }
        set_choices(self, "reviewers", [(pk, name_of(one)) for pk, one in self.people.items()])

    def clean_reviewers(self) -> list[User]:
        return [self.people[pk] for pk in self.cleaned_data["reviewers"]]


class VerdictForm(forms.Form):
    """A verdict on the draft as the page showed it."""

    word = forms.ChoiceField(choices=Verdict.Word.choices, label="Verdict", widget=forms.RadioSelect)
    note = forms.CharField(required=False, max_length=MAX_WORDS, label="Why", widget=_area(3))
    revision = forms.IntegerField(min_value=0, max_value=2**31 - 1, widget=forms.HiddenInput)

    def __init__(self, *args: Any, binding: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not binding:
            set_choices(self, "word", [(Verdict.Word.COMMENT.value, Verdict.Word.COMMENT.label)])

    def clean_word(self) -> Verdict.Word:
        return Verdict.Word(self.cleaned_data["word"])


class ReplyForm(forms.Form):
    """A contribution to a thread, with other words for its range where `suggest` is ticked."""

    body = forms.CharField(required=False, max_length=MAX_WORDS, label="Comment", widget=_area(3))
    suggest = forms.BooleanField(required=False, label="Suggest other words")
    replacement = forms.CharField(
        required=False,
        max_length=MAX_TEXT,
        label="Words to put instead",
        widget=_area(2, "matter"),
        help_text="Left empty with the box ticked: take the words out.",
    )

    def suggestion(self) -> str | None:
        """The suggested words; None where none are suggested. Words typed without the tick are a suggestion too."""
        replacement: str = self.cleaned_data["replacement"]
        return replacement if self.cleaned_data["suggest"] or replacement.strip() else None


class ThreadForm(ReplyForm):
    """A new thread. `start` is where the quote begins, in a browser's units; only a script fills it in."""

    place = forms.ChoiceField(label="About")
    quote = forms.CharField(
        required=False,
        max_length=MAX_TEXT,
        label="The words it is about",
        widget=_area(2, "matter"),
        help_text="As they stand in the text. Empty for a principle as a whole.",
    )
    start = forms.IntegerField(required=False, min_value=0, max_value=10**7, widget=forms.HiddenInput)

    field_order = ("place", "quote", "start", "body", "suggest", "replacement")

    def __init__(
        self, *args: Any, now: core.Constitution, key: str | None = None, part: str = "", **kwargs: Any
    ) -> None:
        """About anything in the draft, about one principle (`key`), or with no key about a part beside them."""
        super().__init__(*args, **kwargs)
        self.texts = texts_of(now)
        set_choices(self, "place", _choices("", self.texts, part) if part else _places(now, key))

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if "place" not in cleaned:
            return cleaned
        key, _, field = cleaned["place"].partition(":")
        quote = core.normalise(cleaned.get("quote") or "")
        # A quote turns "the principle as a whole" into its text: without a script nobody has to choose twice.
        if quote and not field:
            field = "text" if key else "preamble"
        if not quote and field:
            raise ValidationError("Copy the words it is about from the text, or choose the whole principle.")
        units, text = cleaned.get("start"), self.texts.get((key, field), "")
        start = None if units is None else to_code_points(text, units)
        return {**cleaned, "key": key, "field": field, "quote": quote, "start": start}


class ApplyForm(forms.Form):
    """A suggestion put in words that fit the text as it is now: the words, and those that they were read for."""

    words = forms.CharField(required=False, max_length=MAX_TEXT, label="Words to apply", widget=_area(3, "matter"))
    seen = forms.CharField(required=False, max_length=MAX_TEXT, strip=False, widget=forms.HiddenInput)


class RulesForm(forms.Form):
    """What publishing asks for."""

    required_approvals = forms.IntegerField(
        min_value=0,
        max_value=MAX_APPROVALS,
        label="Approvals required",
        help_text="0: one person alone can publish. Nobody's own words count as approved by themselves.",
    )
    threads_resolved = forms.BooleanField(required=False, label="Every thread is resolved")
    scenarios_passed = forms.BooleanField(required=False, label="Every scenario passes under the words to be published")

    def rules(self) -> Rules:
        """The rules as a value."""
        return Rules(**self.cleaned_data)


def _places(now: core.Constitution, key: str | None) -> list[Any]:
    """Choices by principle; with `key`, only those of one."""
    texts = texts_of(now)
    groups: list[Any] = [] if key is not None else [("The draft", _choices("", texts))]
    for number, item in enumerate(now.principles, start=1):
        if key in (None, item.id):
            groups.append((f"{number} {item.title or item.id}", _choices(item.id, texts)))
    return groups


def _choices(key: str, texts: dict[tuple[str, str], str], part: str = "") -> list[tuple[str, str]]:
    """The texts of a principle and the principle as a whole; with `part`, only texts whose names begin so."""
    fields = [field for owner, field in texts if owner == key and field.startswith(part)]
    fields.sort(key=lambda field: field != "text")
    names = fields if part else [*fields, ""]
    return [(f"{key}:{field}", place_words(key, field).capitalize()) for field in names]
