"""Scenarios, and the filters of their list."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django import forms

from constitutions_app.actions.scenarios import MAX_SCENARIO_TEXT
from constitutions_app.forms.fields import set_choices


class ScenarioForm(forms.Form):
    """One scenario. The principles to choose from are those of the draft; keys it has beside them stay choosable."""

    title = forms.CharField(required=False, max_length=200, help_text="What it tests, in a few words.")
    prompt = forms.CharField(
        max_length=MAX_SCENARIO_TEXT, widget=forms.Textarea(attrs={"rows": 4, "class": "matter", "dir": "auto"})
    )
    response_a = forms.CharField(
        required=False,
        max_length=MAX_SCENARIO_TEXT,
        label="Response A",
        widget=forms.Textarea(attrs={"rows": 6, "class": "matter", "dir": "auto"}),
    )
    response_b = forms.CharField(
        required=False,
        max_length=MAX_SCENARIO_TEXT,
        label="Response B",
        widget=forms.Textarea(attrs={"rows": 6, "class": "matter", "dir": "auto"}),
    )
    expected = forms.ChoiceField(
        required=False,
        label="Expected to win",
        choices=(("", "not said yet"), ("a", "Response A"), ("b", "Response B")),
    )
    principles = forms.MultipleChoiceField(
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text="It is judged under each of them. With none, it is judged under the whole constitution.",
    )
    note = forms.CharField(
        required=False,
        max_length=MAX_SCENARIO_TEXT,
        widget=forms.Textarea(attrs={"rows": 2, "dir": "auto"}),
        help_text="Why that response should win.",
    )

    def __init__(self, *args: Any, choices: Iterable[tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        set_choices(self, "principles", list(choices))


class ScenarioFilterForm(forms.Form):
    """The filters of the list of scenarios; nothing else of the address reaches a query."""

    principle = forms.ChoiceField(required=False)
    state = forms.ChoiceField(
        required=False,
        label="Result",
        choices=(
            ("", "any"),
            ("passed", "passed"),
            ("failed", "failed"),
            ("not run", "not run on these words"),
            ("incomplete", "incomplete"),
        ),
    )
    words = forms.ChoiceField(required=False, label="Under the words of")
    retired = forms.BooleanField(required=False, label="Retired ones")

    def __init__(
        self, *args: Any, principles: Iterable[tuple[str, str]], texts: Iterable[tuple[str, str]], **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        set_choices(self, "principle", [("", "any"), *principles])
        set_choices(self, "words", list(texts))
