"""The filters of the numbers, as fields: short lists of what exists, and two days."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms

from constitutions_app.models import Version
from constitutions_app.templatetags.diffs import spelled
from training_app.models import Judge, Run

MOST = 200


class ScopeForm(forms.Form):
    """What the figures are about. Two queries for what can be chosen."""

    use_required_attribute = False

    version = forms.ChoiceField(required=False)
    judge = forms.ChoiceField(required=False)
    run = forms.IntegerField(required=False, min_value=1, label="Run number")
    tag = forms.CharField(required=False, max_length=60)
    since = forms.DateField(required=False, widget=forms.DateInput(attrs={"type": "date"}))
    until = forms.DateField(required=False, widget=forms.DateInput(attrs={"type": "date"}))

    def __init__(self, data: Mapping[str, Any]) -> None:
        super().__init__(data, auto_id="scope_%s")
        used = Version.objects.filter(pk__in=Run.objects.values("version")).order_by("-pk")
        versions = used.values_list("pk", "constitution__name", "number")[:MOST]
        judges = Judge.objects.order_by("name").values_list("pk", "name")[:MOST]
        offered = {
            "version": [
                ("", "any version"),
                *((str(pk), spelled(f"{name} v{number}")) for pk, name, number in versions),
            ],
            "judge": [("", "any judge"), *((str(pk), name) for pk, name in judges)],
        }
        for name, choices in offered.items():
            field = self.fields[name]
            if isinstance(field, forms.ChoiceField):
                field.choices = choices
