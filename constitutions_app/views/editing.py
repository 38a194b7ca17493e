"""What the pages of the editor share: the outline, and the answers that autosave understands."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import prefetch_related_objects
from django.http import HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone

from constitutions_app.access import AuthenticatedHttpRequest
from constitutions_app.comparing import changes_since
from constitutions_app.hints import counts
from constitutions_app.ledger import name_of
from constitutions_app.models import MAIN, Draft, DraftPrinciple, LedgerEntry

REMOVALS_SHOWN = 20


@dataclass(frozen=True)
class OutlineItem:
    """One line of the outline. `number` counts from 1."""

    number: int
    key: str
    title: str
    changed: bool
    enabled: bool
    hints: int


@dataclass(frozen=True)
class Removal:
    """Something the draft lost and can have back: the ledger entry that took it out, and its name."""

    seq: int
    title: str


def is_autosave(request: AuthenticatedHttpRequest) -> bool:
    """Whether autosave.js asks; otherwise a person pressed a button and wants a page."""
    return request.headers.get("X-Autosave") == "1"


def outline_context(draft: Draft, *, current: str) -> dict[str, Any]:
    """What the outline shows, with one query for the principles and one for the removed. `current` is a key or part."""
    prefetch_related_objects([draft], "principles")
    rows = list(draft.principles.all())
    base = draft.base.to_core() if draft.base else None
    working = draft.to_core()
    changed = changes_since(base, working)
    hints = counts(draft, working)
    items = [
        OutlineItem(
            number,
            row.key,
            row.title or _beginning(row.text) or "Untitled",
            row.key in changed,
            row.enabled,
            hints[row.key],
        )
        for number, row in enumerate(rows, start=1)
    ]
    return {
        "draft": draft,
        "working": working,
        "constitution": draft.constitution,
        "outline": items,
        "current": current,
        "outline_url": _address(draft, current),
        "preamble_changed": base is not None and base.preamble != working.preamble,
        "exemplars_changed": base is not None and base.exemplars != working.exemplars,
        "removals": _removals(draft, {row.key for row in rows}),
        **_neighbours(rows, current),
    }


def saved(revision: int | str) -> JsonResponse:
    """200: what autosave.js shows as "saved 12:03:04"."""
    return JsonResponse({"revision": revision, "saved_at": timezone.now().isoformat()})


def unfit(errors: Mapping[str, Sequence[Any]]) -> JsonResponse:
    """422: sentences for the fields that were not saved."""
    return JsonResponse({"errors": {name: list(map(str, found)) for name, found in errors.items()}}, status=422)


def not_there(message: str) -> JsonResponse:
    """404 with a sentence."""
    return JsonResponse({"message": f"{message} Your words are kept in this browser."}, status=404)


def editor_name(row: DraftPrinciple | Draft) -> str:
    """Who saved last."""
    return name_of(row.updated_by)


def render_outline(request: AuthenticatedHttpRequest, draft: Draft, current: str) -> HttpResponse:
    """The outline alone, for htmx, with what else on the page goes by its order."""
    return render(request, "constitutions/_outline_alone.html", outline_context(draft, current=current))


def render_moved(request: AuthenticatedHttpRequest, draft: Draft, current: str, key: str) -> HttpResponse:
    """The outline after a move of `key`, with a sentence to announce that says where it stands now."""
    ctx = outline_context(draft, current=current)
    item = next((item for item in ctx["outline"] if item.key == key), None)
    return render(request, "constitutions/_outline_alone.html", {**ctx, "moved": item, "gone": item is None})


def _address(draft: Draft, current: str) -> str:
    """The page that `current` stands for: a part of the draft, or a principle."""
    slug = draft.address
    if current in {"preamble", "exemplars"}:
        return reverse(f"constitutions:draft_{current}", args=[slug])
    return reverse("constitutions:draft_principle", args=[slug, current])


def place_address(draft: Draft, place: str) -> str:
    """The page of a part of the draft; the draft's own when it has no such part."""
    is_part = place in {"preamble", "exemplars", *draft.principles.values_list("key", flat=True)}
    return _address(draft, place) if is_part else reverse("constitutions:draft", args=[draft.address])


def _neighbours(rows: Sequence[DraftPrinciple], current: str) -> dict[str, Any]:
    keys = [row.key for row in rows]
    if current not in keys:
        return {"next_key": keys[0] if keys else ""}
    at = keys.index(current)
    return {
        "number": at + 1,
        "previous_key": keys[at - 1] if at else "",
        "next_key": keys[at + 1] if at + 1 < len(keys) else "",
    }


def _removals(draft: Draft, present: set[str]) -> list[Removal]:
    """The newest removals of principles that are still out of the draft."""
    entries = LedgerEntry.objects.filter(
        object_type=draft.constitution._meta.label_lower,
        object_id=str(draft.constitution_id),
        verb="draft.remove_principle",
    )[:REMOVALS_SHOWN]
    found: dict[str, Removal] = {}
    for entry in entries:
        data = json.loads(entry.body)["data"]
        if data.get("branch", MAIN) != draft.branch:
            continue
        key = str(data["principle"])
        if key not in present and key not in found:
            found[key] = Removal(entry.seq, data["title"] or _beginning(data["removed"]["text"]) or "Untitled")
    return list(found.values())


def _beginning(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:38].rstrip()}…"


def removed_seq(request: AuthenticatedHttpRequest) -> int | None:
    """The ledger entry of a removal that was just made, so that the page can offer to undo it."""
    seq = request.GET.get("removed", "")
    return int(seq) if seq.isascii() and seq.isdigit() and len(seq) < 19 else None
