"""What a save was made from, and what becomes of it when that is no longer what stands there.

A save may carry the words that its fields held when the person began (`Origin.words`); without them only the revision
tells whether somebody saved in between. Saves also carry a name of their own. When an answer is lost on the way, the
sender cannot know whether the save arrived; it then names it along with the next one, and the ledger tells.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.contrib.auth.models import User
from django.db.models import Q

from constitutions_app.core.saves import Settled, settle
from constitutions_app.models import Draft, LedgerEntry

MOST_EARLIER = 20
_NAME = re.compile(r"[0-9A-Za-z-]{8,64}")


@dataclass(frozen=True)
class Origin:
    """`words`: field by field what the save began from. `save`: its name. `earlier`: saves whose answer was lost."""

    words: Mapping[str, Any] = field(default_factory=dict)
    save: str = ""
    earlier: tuple[str, ...] = ()

    @property
    def names(self) -> list[str]:
        """The names that the ledger may know, this save's own among them; nonsense is left out."""
        return [name for name in (self.save, *self.earlier[-MOST_EARLIER:]) if _NAME.fullmatch(name)]

    @property
    def noted(self) -> dict[str, str]:
        """What a ledger entry keeps of it."""
        return {"save": self.save} if _NAME.fullmatch(self.save) else {}


NOWHERE = Origin()
"""A save that says nothing of where it came from."""


def is_stale(origin: Origin, wanted: Mapping[str, Any], now: Mapping[str, Any], *, same_revision: bool) -> bool:
    """Whether a wanted field no longer holds the words that the save began from."""
    return any(
        origin.words[name] != now[name] if name in origin.words else not same_revision for name in wanted if name in now
    )


def sort_out(
    user: User, draft: Draft, verb: str, origin: Origin, wanted: Mapping[str, Any], now: Mapping[str, Any]
) -> Settled:
    """Sort the fields of a stale save. Words of the person's own that did arrive count as what it began from."""
    arrived = _arrived(user, draft, verb, origin.names) if origin.names else {}
    return settle({**origin.words, **arrived}, wanted, now)


def _arrived(user: User, draft: Draft, verb: str, names: list[str]) -> dict[str, Any]:
    """What saves of these names wrote, the newest words of each field."""
    carried = Q()
    for name in names:
        carried |= Q(body__contains=f'"save":"{name}"')
    entries = LedgerEntry.objects.filter(
        carried,
        object_type=draft.constitution._meta.label_lower,
        object_id=str(draft.constitution_id),
        actor_id=user.pk,
        verb=verb,
    ).order_by("seq")
    found: dict[str, Any] = {}
    for body in entries.values_list("body", flat=True):
        data = json.loads(body)["data"]
        if data.get("save") in names:
            found |= dict(_written(data))
    return found


def _written(data: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The fields that an entry set, by the names that a save uses for them."""
    yield from data.get("set", {}).items()
    exemplars: Iterable[Mapping[str, Any]] = data.get("changed", ())
    for part in exemplars:
        for name, text in part["set"].items():
            yield f"{part['exemplar'] - 1}-{name}", text
