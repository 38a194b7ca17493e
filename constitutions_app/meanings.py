"""Read side: what a state of a constitution means, principle by principle, and against which words it was said.

A version's rows carry `change` and `since` (models/version.py). They are worked out here once, when it is published.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import cast

from constitutions_app.core import edits
from constitutions_app.core import principles as core
from constitutions_app.models import Draft, DraftPrinciple, PrincipleVersion, Version


def principle_of_body(body: object) -> core.Principle:
    """A stored part of the canonical JSON as a value."""
    return core.from_dict({"name": "one principle", "principles": [body]}).principles[0]


def edits_of(
    old: core.Constitution | None, new: core.Constitution, declared: Mapping[str, str] | None = None
) -> dict[str, edits.Edit]:
    """What happened to the meaning of each principle of `new`, by key. `declared`: what people said, by key."""
    said = declared or {}
    before = {item.id: item for item in old.principles} if old else {}
    return {
        item.id: edits.classify(before.get(item.id), item, cast(edits.Declared, said.get(item.id, "")))
        for item in new.principles
    }


def edits_of_draft(draft: Draft) -> dict[str, edits.Edit]:
    """What the draft's edits since its base do, by key. Three queries: the draft's principles twice, its name."""
    declared = dict(draft.principles.exclude(edit_kind="").values_list("key", "edit_kind"))
    return edits_of(draft.base.to_core() if draft.base else None, draft.to_core(), declared)


def edit_of(row: DraftPrinciple, words: core.Principle, declared: str) -> edits.Edit | None:
    """What the words of a principle, saved or typed, do to its meaning; None before a first version. One query."""
    base = row.draft.base
    if base is None:
        return None
    body = base.principles.filter(key=row.key).values_list("body", flat=True).first()
    return edits.classify(principle_of_body(body) if body else None, words, cast(edits.Declared, declared))


def principle_rows(version: Version, declared: Mapping[str, str]) -> list[PrincipleVersion]:
    """Unsaved rows of a version, one per principle, each body a part of the very text that was digested.

    `since` goes on from the parent where the meaning stayed; where it did not, it is that of an earlier version that
    meant the very same (a merge, or words that came back), else this version's own number.
    """
    now = version.to_core()
    found = edits_of(version.parent.to_core() if version.parent else None, now, declared)
    told = dict(version.parent.principles.values_list("key", "since")) if version.parent else {}
    fresh = [item for item in now.principles if found[item.id].kind in ("added", "semantic")]
    earlier = _meant_before(version, [item for item in fresh if not found[item.id].declared])
    number = version.number
    return [
        PrincipleVersion(
            version=version,
            key=body["id"],
            position=position,
            title=body["title"],
            text=body["text"],
            body=body,
            change=found[body["id"]].kind,
            since=(
                earlier.get(body["id"], number)
                if found[body["id"]].kind in ("added", "semantic")
                else told.get(body["id"], number)
            ),
        )
        for position, body in enumerate(json.loads(version.canonical)["principles"], start=1)
    ]


def meanings_of(state: Version | Draft) -> dict[str, int]:
    """Key → the number of the version in which its meaning began; 0 in a draft where it is new or was changed."""
    if isinstance(state, Version):
        return dict(state.principles.values_list("key", "since"))
    told = dict(state.base.principles.values_list("key", "since")) if state.base else {}
    return {
        key: told.get(key, 0) if edit.kind in ("same", "minor") else 0 for key, edit in edits_of_draft(state).items()
    }


def _meant_before(version: Version, items: Iterable[core.Principle]) -> dict[str, int]:
    """Key → `since` of the newest earlier version in which a principle meant exactly what it means now. One query."""
    wanted = {item.id: edits.meaning(item) for item in items}
    if not wanted:
        return {}
    rows = PrincipleVersion.objects.filter(
        version__constitution_id=version.constitution_id,
        version__number__lt=version.number,
        key__in=wanted,
        since__gt=0,
    ).order_by("version__number")
    return dict(_same_meaning(rows.values_list("key", "body", "since"), wanted))


def _same_meaning(
    rows: Iterable[tuple[str, object, int]], wanted: Mapping[str, tuple[object, ...]]
) -> Iterator[tuple[str, int]]:
    for key, body, since in rows:
        if edits.meaning(principle_of_body(body)) == wanted[key]:
            yield key, since
