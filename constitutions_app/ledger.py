"""The ledger: one hash-chained entry per verb, written in the verb's own transaction, and its verification.

An entry's `body` is canonical JSON (sorted keys, no white space) of seq, at, actor, verb, object and data;
`hash` = sha256(previous hash + body), and the first entry follows 64 zeros. So whoever changes, removes or reorders an
entry must rewrite every later one. What a chain alone cannot show is that its newest entries were cut off: keep
the head that `verify_ledger` prints somewhere else, and hand it back with `--head`.

Usage, from any verb of either app::

    from constitutions_app.ledger import record

    with transaction.atomic():
        ...change rows...
        record(actor=user, verb="run.launch", obj=run, data={"preset": "demo"})   # last: it holds a lock until commit
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from django.contrib.auth.base_user import AbstractBaseUser
from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection, models, transaction
from django.utils import timezone

from constitutions_app.core.principles import digest_of_text
from constitutions_app.models import LedgerEntry, Version

FIRST_PREVIOUS_HASH = "0" * 64
LOCK_KEY = 0x1ED6E5
"""Key of the PostgreSQL advisory lock that lets one transaction at a time append to the chain."""


class NotInTransaction(RuntimeError):
    """`record` was called outside `transaction.atomic()`, where the entry could outlive a verb that failed."""


@dataclass(frozen=True)
class LedgerProblem:
    """One thing that is wrong with the chain: the sequence number it was seen at and a sentence."""

    seq: int
    sentence: str


@dataclass(frozen=True)
class LedgerCheck:
    """What a verification found. `head` is the newest entry's "seq:hash", empty for an empty ledger."""

    entries: int
    head: str
    problems: tuple[LedgerProblem, ...]

    @property
    def ok(self) -> bool:
        return not self.problems


@dataclass(frozen=True)
class VersionsCheck:
    """How many published versions were held against the ledger, and a sentence for each that does not fit."""

    count: int
    problems: tuple[str, ...]


def record(*, actor: AbstractBaseUser | None, verb: str, obj: models.Model, data: Mapping[str, object]) -> LedgerEntry:
    """Append one entry. Call it last in the verb's transaction; `actor` None means the system itself.

    `data` is anything JSON can hold (dates and UUIDs too). Appending is serialised by an advisory lock that is held
    until the transaction ends. Raises NotInTransaction outside `transaction.atomic()`.
    """
    if not connection.in_atomic_block:
        raise NotInTransaction(f"The ledger entry {verb!r} was not written: a verb records inside its own transaction.")
    seq, previous_hash = _newest_locked()
    entry = LedgerEntry(
        seq=seq + 1,
        at=timezone.now(),
        actor_id=actor.pk if actor else None,
        actor_name=_storable(name_of(actor) if actor else "system")[:200],
        verb=verb,
        object_type=obj._meta.label_lower,
        object_id=str(obj.pk),
        object_label=_storable(str(obj))[:300],
        previous_hash=previous_hash,
    )
    entry.body = canonical_body(entry, data)
    entry.hash = chained_hash(entry.previous_hash, entry.body)
    entry.save()
    return entry


def _newest_locked() -> tuple[int, str]:
    """Number and hash of the newest entry, once nobody else is appending, until this transaction ends.

    Two statements in one message: the second sees what was written while the first waited.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(%s);"
            " SELECT seq, hash FROM constitutions_app_ledgerentry ORDER BY seq DESC LIMIT 1",
            [LOCK_KEY],
        )
        cursor.nextset()
        row = cursor.fetchone()
    return (int(row[0]), str(row[1])) if row else (0, FIRST_PREVIOUS_HASH)


def name_of(user: AbstractBaseUser) -> str:
    """How a person is named in the ledger and on pages: the full name, else the sign-in name."""
    full_name = getattr(user, "get_full_name", lambda: "")()
    return full_name or user.get_username()


def canonical_body(entry: LedgerEntry, data: Mapping[str, object]) -> str:
    """The text that is hashed for an entry: sorted keys, no white space, UTC time with microseconds."""
    body = {
        "seq": entry.seq,
        "at": _instant(entry.at),
        "actor": {"id": entry.actor_id, "name": entry.actor_name},
        "verb": entry.verb,
        "object": {"type": entry.object_type, "id": entry.object_id, "label": entry.object_label},
        "data": dict(data),
    }
    text = json.dumps(
        body, cls=DjangoJSONEncoder, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False
    )
    return _storable(text)


def chained_hash(previous_hash: str, body: str) -> str:
    """sha256 of the previous entry's hash followed by this entry's body, 64 hexadecimal digits."""
    return hashlib.sha256((previous_hash + body).encode("utf-8")).hexdigest()


def verbs() -> list[str]:
    """Every verb that has an entry, in order: one step of the index per verb, however many entries there are."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH RECURSIVE step AS (
                (SELECT verb FROM constitutions_app_ledgerentry ORDER BY verb LIMIT 1)
                UNION ALL
                SELECT (SELECT verb FROM constitutions_app_ledgerentry WHERE verb > step.verb ORDER BY verb LIMIT 1)
                FROM step WHERE step.verb IS NOT NULL
            )
            SELECT verb FROM step WHERE verb IS NOT NULL
            """
        )
        return [str(row[0]) for row in cursor.fetchall()]


def verify(expected_head: str = "") -> LedgerCheck:
    """Walk the whole chain, a batch at a time, and name every entry that was altered, is missing or is out of order.

    `expected_head` ("seq:hash", as an earlier verification printed it) must still be part of the chain.
    """
    problems: list[LedgerProblem] = []
    entries, previous_seq, previous_hash = 0, 0, FIRST_PREVIOUS_HASH
    head_seq, _, head_hash = expected_head.partition(":")
    head_seen = not expected_head
    # One transaction, so that the server-side cursor reads one snapshot while others go on writing.
    with transaction.atomic():
        for entry in LedgerEntry.objects.order_by("seq").iterator(chunk_size=1000):
            problems.extend(_problems_of(entry, previous_seq, previous_hash))
            head_seen = head_seen or (str(entry.seq) == head_seq and entry.hash == head_hash)
            entries, previous_seq, previous_hash = entries + 1, entry.seq, entry.hash
    if not head_seen:
        problems.append(
            LedgerProblem(
                int(head_seq) if head_seq.isdigit() else 0,
                f"The head {expected_head} that was kept elsewhere is not in this ledger: "
                "newest entries were cut off, or the chain was written anew.",
            )
        )
    return LedgerCheck(entries, f"{previous_seq}:{previous_hash}" if entries else "", tuple(problems))


def verify_versions() -> VersionsCheck:
    """Recompute the digest of every published version, and find the ledger entry that announced it.

    This also notices what the chain alone cannot: that the newest entries were cut off while their versions stayed.
    """
    problems: list[str] = []
    count = 0
    with transaction.atomic():
        announced = {
            (entry.object_id, data.get("version"), data.get("digest"))
            for entry in LedgerEntry.objects.filter(verb="version.publish").iterator(chunk_size=1000)
            if isinstance(data := _data_of(entry), dict)
        }
        for version in Version.objects.select_related("constitution").iterator(chunk_size=50):
            count += 1
            name = f"{version.constitution.slug} {version}"
            if digest_of_text(version.canonical) != version.digest:
                problems.append(f"Version {name} was altered: its digest does not fit its text.")
            if (str(version.constitution_id), version.number, version.digest) not in announced:
                problems.append(f"Version {name} is not in the ledger with this digest.")
    return VersionsCheck(count, tuple(problems))


def _data_of(entry: LedgerEntry) -> object:
    try:
        return json.loads(entry.body)["data"]
    except (ValueError, KeyError, TypeError):
        return None


def _problems_of(entry: LedgerEntry, previous_seq: int, previous_hash: str) -> Iterator[LedgerProblem]:
    """What is wrong with one entry, given the one before it."""
    if entry.seq != previous_seq + 1:
        missing = f"{previous_seq + 1}" if entry.seq == previous_seq + 2 else f"{previous_seq + 1} to {entry.seq - 1}"
        yield LedgerProblem(entry.seq, f"Before entry {entry.seq}, entry {missing} is missing.")
    elif entry.previous_hash != previous_hash:
        yield LedgerProblem(
            entry.seq, f"Entry {entry.seq} does not follow entry {previous_seq}: one of the two was replaced."
        )
    if chained_hash(entry.previous_hash, entry.body) != entry.hash:
        yield LedgerProblem(entry.seq, f"Entry {entry.seq} was altered: its hash does not fit its body.")
    elif differing := _columns_unlike_body(entry):
        yield LedgerProblem(
            entry.seq, f"Entry {entry.seq} was altered: {', '.join(differing)} in the row differ from its body."
        )


def _columns_unlike_body(entry: LedgerEntry) -> list[str]:
    """Names of the columns that do not repeat what the hashed body says."""
    try:
        body = json.loads(entry.body)
        said = {
            "seq": body["seq"],
            "at": body["at"],
            "actor_id": body["actor"]["id"],
            "actor_name": body["actor"]["name"],
            "verb": body["verb"],
            "object_type": body["object"]["type"],
            "object_id": body["object"]["id"],
            "object_label": body["object"]["label"],
        }
    except (ValueError, KeyError, TypeError):
        return ["body"]
    stored = {name: getattr(entry, name) for name in said} | {"at": _instant(entry.at)}
    return [name for name in said if said[name] != stored[name]]


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _storable(text: str) -> str:
    """Text PostgreSQL can hold: no NUL (it has none), no lone surrogates (they have no UTF-8)."""
    return text.replace("\x00", "").encode("utf-8", "replace").decode("utf-8")
