"""Saves that met other people's words: what a save was made from, and what a refused one is answered with.

The forms of the editor send, beside their fields, what these held when the person began (`base`, JSON by name of
control), so that both sides' changes can be told apart. Everything here only reads.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, JsonResponse, QueryDict
from django.template.loader import render_to_string

from constitutions_app import actions
from constitutions_app.core.diff import Span, diff_words
from constitutions_app.core.principles import normalise
from constitutions_app.core.saves import Clash
from constitutions_app.forms.principles import PrincipleForm, control_value
from constitutions_app.ledger import name_of
from constitutions_app.models import DraftPrinciple

Values = Mapping[str, str | list[str]]
"""A form's values as its controls hold them, by name."""


@dataclass(frozen=True)
class ShownClash:
    """A field that two people changed: what each made of the words both began from."""

    name: str
    label: str
    mine: tuple[Span, ...]
    theirs: tuple[Span, ...]
    mergeable: bool
    together: bool


def principle_origin(request: HttpRequest, principle: DraftPrinciple) -> actions.Origin:
    """What a save of a principle began from."""
    sent = _base(request)
    data = QueryDict(mutable=True)
    for name, values in sent.items():
        data.setlist(name, values)
    form = PrincipleForm(data, instance=principle, only=sent)
    form.is_valid()
    return _origin(request, {name: _plain(value) for name, value in form.cleaned_data.items()})


def text_origin(request: HttpRequest) -> actions.Origin:
    """What a save of plain texts (the preamble, exemplars) began from."""
    return _origin(request, {name: normalise("".join(values)) for name, values in _base(request).items()})


def stale(
    conflict: actions.Conflict, revision: int | str, fields: Values, form: PrincipleForm | None = None
) -> JsonResponse:
    """409 for autosave.js: what stands there now, what could be merged, and a panel for each field that could not."""
    by = name_of(conflict.current.updated_by)
    settled = conflict.settled
    clashes = {clash.name: _answer(clash, by, form) for clash in settled.clashes}
    merged = {name: _shown(name, value, form) for name, value in settled.merged.items()}
    body = {"revision": revision, "by": by, "fields": dict(fields), "merged": merged, "clashes": clashes}
    return JsonResponse(body, status=409)


def shown_clashes(conflict: actions.Conflict, form: PrincipleForm | None = None) -> list[ShownClash]:
    """The same for a page without scripts."""
    return [_panel(clash, form) for clash in conflict.settled.clashes]


def _base(request: HttpRequest) -> dict[str, list[str]]:
    """The base as sent; whatever is not names with texts counts as nothing."""
    try:
        sent = json.loads(request.POST.get("base", ""))
    except (ValueError, RecursionError):
        return {}
    if not isinstance(sent, dict):
        return {}
    return {name: [*map(str, value)] if isinstance(value, list) else [str(value)] for name, value in sent.items()}


def _origin(request: HttpRequest, words: Mapping[str, Any]) -> actions.Origin:
    earlier = tuple(filter(None, request.POST.get("earlier", "").split(",")))
    return actions.Origin(words, request.POST.get("save", ""), earlier)


def _plain(value: Any) -> Any:
    return normalise(value) if isinstance(value, str) else value


def _answer(clash: Clash, by: str, form: PrincipleForm | None) -> dict[str, Any]:
    """A panel, and what the field holds after each choice."""
    choices: dict[str, str | list[str]] = {
        "mine": clash.kept("ours"),
        "theirs": clash.kept("theirs"),
        "both": clash.kept("both"),
    }
    if clash.merged is None:
        choices = {side: _shown(clash.name, getattr(clash, side), form) for side in ("mine", "theirs")}
    html = render_to_string("constitutions/_clash.html", {"clash": _panel(clash, form), "by": by})
    return {"html": html, "choices": choices}


def _panel(clash: Clash, form: PrincipleForm | None) -> ShownClash:
    base, mine, theirs = (_as_text(value) for value in (clash.base, clash.mine, clash.theirs))
    field = form.fields.get(clash.name) if form else None
    label = str(field.label) if field and field.label else clash.name.replace("_", " ").replace("-", ", ").capitalize()
    return ShownClash(
        clash.name,
        label,
        diff_words(base, mine),
        diff_words(base, theirs),
        mergeable=clash.merged is not None,
        together=clash.together is not None,
    )


def _shown(name: str, value: Any, form: PrincipleForm | None) -> str | list[str]:
    """A value as its control holds it."""
    return control_value(form.fields[name].prepare_value(value) if form and name in form.fields else value)


def _as_text(value: Any) -> str:
    if isinstance(value, list | tuple):
        return "\n".join(map(str, value))
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)


def merged_names(conflict: actions.Conflict, form: PrincipleForm | None = None) -> Sequence[str]:
    """Labels of the fields that hold both people's words after a merge."""
    return [_panel(Clash(name, "", "", ""), form).label for name in conflict.settled.merged]
