"""Versions: publishing them, naming them, branching from them, merging and comparing them."""

from __future__ import annotations

from typing import Any

from django import forms
from django.db.models import QuerySet

from constitutions_app.actions.publishing import MAX_NOTE
from constitutions_app.forms.fields import set_choices
from constitutions_app.lineages import family_of
from constitutions_app.models import MAIN, Constitution, Version
from constitutions_app.templatetags.diffs import spelled


class PublishForm(forms.Form):
    """The change note of a version, and the draft's revision that the person has read."""

    note = forms.CharField(
        required=False,
        max_length=MAX_NOTE,
        label="Change note",
        widget=forms.Textarea(attrs={"rows": 3, "dir": "auto", "autofocus": True}),
        help_text="What changed and why. It stays with the version for ever.",
    )
    revision = forms.IntegerField(widget=forms.HiddenInput)


class AliasForm(forms.Form):
    """Which alias points to which version; no number takes the alias away."""

    name = forms.CharField(max_length=40)
    number = forms.IntegerField(required=False, min_value=1, max_value=999_999_999)


class BranchForm(forms.Form):
    """The name of a new branch."""

    name = forms.CharField(
        max_length=60,
        label="Name of the branch",
        widget=forms.TextInput(attrs={"autofocus": True, "autocomplete": "off"}),
        help_text="What it tries out, for example “softer tone”. It becomes part of the address.",
    )


class VersionField(forms.ModelChoiceField[Version]):
    """One version, named with its constitution, its branch and the beginning of its note."""

    def label_from_instance(self, obj: Any) -> str:
        branch = "" if obj.branch == MAIN else f", branch {obj.branch}"
        return spelled(f"{obj.constitution.name} {obj}{branch}: {obj.note[:80]}")


class MergeForm(forms.Form):
    """Which version to merge into a draft, and the draft's revision that the person has read."""

    version = VersionField(queryset=Version.objects.none(), empty_label=None, label="Merge")
    revision = forms.IntegerField(required=False, min_value=0, max_value=2**31 - 1, widget=forms.HiddenInput)

    def __init__(self, *args: Any, versions: QuerySet[Version], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["version"]
        if isinstance(field, forms.ModelChoiceField):
            field.queryset = versions


class CompareForm(forms.Form):
    """Which two states of a constitution to compare."""

    old = forms.ChoiceField(label="From")
    new = forms.ChoiceField(label="To")

    def __init__(self, *args: Any, constitution: Constitution, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        drafts = constitution.drafts.defer("preamble", "exemplars")
        states = [
            (draft.ref, draft.ref) for draft in sorted(drafts, key=lambda draft: (not draft.is_main, draft.branch))
        ]
        family = Version.objects.filter(family_of(constitution))
        named = list(
            family.order_by("constitution__name", "-number").values_list(
                "constitution__slug", "constitution__name", "number"
            )
        )
        states += [(f"v{number}", f"v{number}") for slug, _, number in named if slug == constitution.slug]
        others = [place for place in named if place[0] != constitution.slug]
        choices = [*states, *((f"{slug}:v{number}", spelled(f"{name} v{number}")) for slug, name, number in others)]
        for name in ("old", "new"):
            set_choices(self, name, choices)
