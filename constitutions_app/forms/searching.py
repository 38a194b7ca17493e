"""Searches and filters. Nothing else of an address reaches a query."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.validators import RegexValidator

from constitutions_app.forms.fields import set_choices
from constitutions_app.searching import LONGEST_QUESTION


class SearchForm(forms.Form):
    """What is searched for, and where; nothing else of the address reaches a query."""

    q = forms.CharField(required=False, max_length=LONGEST_QUESTION, label="Search for")
    constitution = forms.ChoiceField(required=False)
    where = forms.ChoiceField(
        required=False,
        choices=(
            ("", "everywhere"),
            ("drafts", "drafts"),
            ("versions", "versions"),
            ("preambles", "preambles of drafts"),
            ("published_preambles", "preambles of versions"),
            ("notes", "change notes"),
            ("threads", "threads"),
            ("scenarios", "scenarios"),
        ),
    )

    def __init__(self, *args: Any, constitutions: list[tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        set_choices(self, "constitution", [("", "all"), *constitutions])


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


class ActivityForm(forms.Form):
    """The filters of an activity page; nothing else of the address reaches a query."""

    person = forms.ChoiceField(required=False)
    verb = forms.ChoiceField(required=False, label="What was done")
    principle = forms.SlugField(required=False, max_length=80)
    before = forms.IntegerField(required=False, min_value=1, max_value=2**63 - 1, widget=forms.HiddenInput)

    def __init__(self, *args: Any, people: list[tuple[str, str]], verbs: list[tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        set_choices(self, "person", [("", "everybody"), *people])
        set_choices(self, "verb", [("", "everything"), *verbs])
