"""Signatures of checkpoints: whose key, which one counts, the work that makes one, and whether a folder's holds.

A worker signs, never the web process: it reads every byte (program `sign`, core/signing.py). The signature lies beside
the weights as `model.sig`; its text, digest and public key stand in the row, its digest in the ledger.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from django.conf import settings

from training_app import artifacts, asked
from training_app.asked import Conduct, NotKept, Work
from training_app.core.checkpoints import sync_path
from training_app.core.datasets import write_text
from training_app.core.digests import SIGNATURE, digest_file
from training_app.core.job import SCHEMA
from training_app.core.manifest import Problem
from training_app.core.signing import key_named_by, verify_signature
from training_app.core.signing_keys import NoKey, PublicKey, public_half
from training_app.models import Checkpoint, CheckpointSignature

STAGE = "sign"
State = CheckpointSignature.State


@dataclass(frozen=True)
class Signing:
    """What pages say of a checkpoint's signature. `no_key` says why nothing can be signed here; empty when it can."""

    made: CheckpointSignature | None
    """The newest that was made."""
    last: CheckpointSignature | None
    """The newest that was asked for, whatever became of it."""
    key: PublicKey | None
    no_key: str

    @property
    def is_under_way(self) -> bool:
        return self.last is not None and not self.last.has_ended

    @property
    def has_failed(self) -> bool:
        return self.last is not None and self.last.state == State.FAILED

    @property
    def by_this_key(self) -> bool:
        """Whether the newest signature was made with the key that this installation has now."""
        return self.made is not None and self.key is not None and self.made.fingerprint == self.key.fingerprint


def signing_of(checkpoint: Checkpoint) -> Signing:
    """How it stands with a checkpoint's signature. One query and one small file."""
    rows = list(CheckpointSignature.objects.filter(checkpoint=checkpoint).select_related("created_by").defer("bundle"))
    made = next((row for row in rows if row.state == State.SUCCEEDED), None)
    try:
        key, no_key = installation_key(), ""
    except NoKey as error:
        key, no_key = None, str(error)
    return Signing(made, rows[0] if rows else None, key, no_key)


def installation_key() -> PublicKey:
    """The public half of the key this installation signs with. Raises NoKey: nobody chose one, or it is unreadable."""
    return public_half(Path(settings.MODEL_SIGNING_KEY))


def waiting() -> list[UUID]:
    """Signatures that nobody works on."""
    return asked.waiting(CheckpointSignature)


def run_once(pk: UUID, *, conduct: Conduct | None = None) -> str | None:
    """Claim a signature and have it made. Returns the state it was left in; None when it was not ours to take."""
    return asked.run_once(SIGNING, pk, conduct or Conduct(look_every_s=0.2))


def checked(folder: Path, *, digest: str | None, key: PublicKey | None = None) -> tuple[list[str], list[Problem]]:
    """Verify `model.sig` of a folder whose manifest has this digest: what holds, in sentences, and what does not.

    With `key`, it must be that one's. Else it is the key that the database knows the signature by, or that of this
    installation; a signature whose key is not known proves nothing and is a problem. Reads all of the folder's files.
    """
    known = list(CheckpointSignature.objects.filter(checkpoint__digest=digest, state=State.SUCCEEDED)) if digest else []
    path = folder / SIGNATURE
    if not path.is_file():
        if known:
            who = known[0].fingerprint[:12]
            return [], [Problem(SIGNATURE, f"The signature by the key {who}… is missing from the folder.")]
        return [], [Problem(SIGNATURE, "There is no signature to check with that key.")] if key else []
    if key is None:
        its_own = digest_file(path)
        row = next((one for one in known if one.digest == its_own), None)
        if row is None and known:
            return [], [Problem(SIGNATURE, "model.sig is not the signature that the database knows.")]
        key = PublicKey(row.public_key) if row else _own_key(key_named_by(path))
    if key is None:
        named = (key_named_by(path) or "")[:12]
        whose = f"It is signed by the key {named}…, which" if named else "It names no key that"
        return [], [Problem(SIGNATURE, f"{whose} is not known here. Give its public half: --key FILE.")]
    with tempfile.NamedTemporaryFile("w", encoding="ascii", suffix=".pub") as file:
        file.write(key.pem)
        file.flush()
        problems = verify_signature(folder, key, Path(file.name))
    held = [] if problems else [f"{SIGNATURE} is a signature of these files by the key {key.fingerprint[:12]}…."]
    return held, problems


def lies_beside(checkpoint: Checkpoint) -> tuple[list[str], list[Problem]]:
    """Whether the signature in the folder is the one the database knows. Reads that file; the weights are not read."""
    known = CheckpointSignature.objects.filter(checkpoint=checkpoint, state=State.SUCCEEDED).first()
    path = checkpoint.folder / SIGNATURE
    if known is None:
        if path.exists():
            return [], [Problem(SIGNATURE, "There is a signature in the folder that the database does not know.")]
        return [], []
    if not path.is_file() or digest_file(path) != known.digest:
        what = "is not the one that the database knows" if path.is_file() else "is missing"
        return [], [Problem(SIGNATURE, f"The signature by the key {known.fingerprint[:12]}… {what}.")]
    return [f"{SIGNATURE} is the signature by the key {known.fingerprint[:12]}… that a worker made and kept."], []


def _own_key(named: str | None) -> PublicKey | None:
    try:
        own = installation_key()
    except NoKey:
        return None
    return own if own.fingerprint == named else None


def write_job(row: CheckpointSignature) -> Path:
    """The job file of a signature; the same bytes every time. It names the key's file and holds no key.

    Raises StorageFailed where the checkpoint lies elsewhere and cannot be fetched.
    """
    checkpoint = row.checkpoint
    artifacts.fetch_checkpoint(checkpoint)
    job = {
        "schema": SCHEMA, "stage": STAGE, "run": str(row.pk), "seed": 0, "out": ".",
        "model": {"path": str(checkpoint.folder), "digest": checkpoint.digest, "name": str(checkpoint)},
        "params": {"key": str(settings.MODEL_SIGNING_KEY), "fingerprint": row.fingerprint},
    }  # fmt: skip
    write_text(row.folder / "job.json", json.dumps(job, indent=2, sort_keys=True) + "\n")
    return row.folder / "job.json"


def _result(row: CheckpointSignature, summary: dict[str, Any]) -> dict[str, Any]:
    """Put the signature beside the weights, and where other workers fetch them from. Raises NotKept."""
    text = (row.folder / SIGNATURE).read_text(encoding="utf-8")
    try:
        _lay_beside(row.checkpoint, text)
    except (OSError, artifacts.StorageFailed) as error:
        raise NotKept(f"The signature could not be put beside the weights: {error}") from error
    return {"bundle": text, "digest": summary["digest"], "done": 1}


def _lay_beside(checkpoint: Checkpoint, text: str) -> None:
    """Write a signature beside the weights, whole or not at all, and store it. Raises OSError, StorageFailed."""
    target = checkpoint.folder / SIGNATURE
    aside = target.with_name(f"{SIGNATURE}.partial")
    write_text(aside, text)
    sync_path(aside)
    aside.replace(target)
    artifacts.put(checkpoint.folder.parent)


def _cancelled(row: CheckpointSignature, events: Sequence[dict[str, Any]]) -> None:
    """Where it was put beside the weights before the cancelling was seen: put back what lay there, or nothing."""
    target, own = row.checkpoint.folder / SIGNATURE, row.folder / SIGNATURE
    if not (target.is_file() and own.is_file() and digest_file(target) == digest_file(own)):
        return
    before = CheckpointSignature.objects.filter(checkpoint=row.checkpoint_id, state=State.SUCCEEDED).first()
    if before is not None:
        _lay_beside(row.checkpoint, before.bundle)
        return
    target.unlink()
    artifacts.put(row.checkpoint.folder.parent)


def _said(row: CheckpointSignature, summary: dict[str, Any]) -> dict[str, Any]:
    return {"digest": row.checkpoint.digest, "signature": summary["digest"], "key": row.fingerprint}


SIGNING = Work(
    model=CheckpointSignature,
    stage=STAGE,
    folder=lambda row: row.folder,
    write_job=write_job,
    result=_result,
    said=_said,
    done_verb="checkpoint.signed",
    failed_verb="checkpoint.not_signed",
    cancelled=_cancelled,
)
