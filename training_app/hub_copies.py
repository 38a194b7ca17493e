"""Handing checkpoints on to a hub: what is asked of the program `push` (core/hub.py), and what becomes of it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction

from constitutions_app.ledger import record
from training_app import artifacts, asked, lineage
from training_app.asked import Conduct, Work
from training_app.core.datasets import write_text
from training_app.core.digests import digest_file
from training_app.core.hub import CARD, FOLDER, PARTIAL, reason_against
from training_app.core.job import SCHEMA
from training_app.model_card import card_of
from training_app.models import Checkpoint, HubCopy

STAGE = "push"
SHOWN = 10
State = HubCopy.State


@dataclass(frozen=True)
class Copies:
    """What pages say of a checkpoint's copies, newest first. `no_hub` says why nothing can be pushed; empty: it can."""

    rows: tuple[HubCopy, ...]
    endpoint: str
    no_hub: str

    @property
    def is_under_way(self) -> bool:
        return any(not row.has_ended for row in self.rows)


def copies_of(checkpoint: Checkpoint) -> Copies:
    """The copies of a checkpoint. One query and a look at one small file."""
    rows = HubCopy.objects.filter(checkpoint=checkpoint).select_related("created_by")
    return Copies(tuple(rows[:SHOWN]), settings.HUB_ENDPOINT, no_hub())


def no_hub() -> str:
    """Why nothing can be pushed from this installation, in a sentence; empty where it can."""
    if not Path(settings.HUB_TOKEN_FILE).is_file():
        return f"There is no token for the hub at {settings.HUB_TOKEN_FILE}."
    return reason_against(settings.HUB_ENDPOINT)


def waiting() -> list[UUID]:
    """Copies that nobody works on."""
    return asked.waiting(HubCopy)


def run_once(pk: UUID, *, conduct: Conduct | None = None) -> str | None:
    """Claim a copy and have it made. Returns the state it was left in; None when it was not ours to take."""
    return asked.run_once(HANDING_ON, pk, conduct or Conduct())


def write_job(row: HubCopy) -> Path:
    """The job file beside the model card. It names the token's file and holds no token. Raises StorageFailed."""
    checkpoint = row.checkpoint
    artifacts.fetch_checkpoint(checkpoint)
    card = row.folder / CARD
    if not card.is_file():  # the card says what holds when it is asked for; a second try sends the same one
        write_text(card, card_of(lineage.of_checkpoint(checkpoint)))
    params = {
        "repository": row.repository, "endpoint": row.endpoint, "token_file": str(settings.HUB_TOKEN_FILE),
        "private": row.is_private, "message": f"{checkpoint.stage} of {checkpoint.run}, {checkpoint.digest[:12]}",
    }  # fmt: skip
    if row.repository and row.endpoint != settings.HUB_ENDPOINT:
        params["endpoint"] = ""  # this worker's token is for another hub: the program refuses
    job = {
        "schema": SCHEMA, "stage": STAGE, "run": str(row.pk), "seed": 0, "out": ".", "params": params,
        "model": {"path": str(checkpoint.folder), "digest": checkpoint.digest, "name": str(checkpoint)},
        "inputs": {"card": {"path": CARD, "digest": digest_file(card)}},
    }  # fmt: skip
    write_text(row.folder / "job.json", json.dumps(job, indent=2, sort_keys=True) + "\n")
    return row.folder / "job.json"


def _result(row: HubCopy, summary: dict[str, Any]) -> dict[str, Any]:
    return {"commit": summary["commit"]}


def _said(row: HubCopy, summary: dict[str, Any]) -> dict[str, Any]:
    where = {"repository": row.repository, "endpoint": row.endpoint, "commit": summary["commit"]}
    return {"digest": row.checkpoint.digest, "files": summary["files"], **(where if row.repository else {})}


def _cancelled(row: HubCopy, events: Sequence[dict[str, Any]]) -> None:
    """Say what a cancelled push had reached. A commit cannot be taken back, so it is kept; else the copy is deleted."""
    last: dict[str, Any] = events[-1] if events else {}
    if row.repository and last.get("kind") == "finished":
        with transaction.atomic():
            said = f"{row.reason} The hub had made the commit before that; it stands there."
            HubCopy.objects.filter(pk=row.pk).update(commit=last["summary"]["commit"], reason=said)
            record(actor=None, verb=HANDING_ON.done_verb, obj=row, data=_said(row, last["summary"]))
        return
    for name in (FOLDER, PARTIAL):
        shutil.rmtree(row.folder / name, ignore_errors=True)
    if row.repository and last.get("kind") == "progress" and last["done"] >= row.total:
        said = f"{row.reason} Every file was with the hub already: look there whether it has made the commit."
        HubCopy.objects.filter(pk=row.pk).update(reason=said)


HANDING_ON = Work(
    model=HubCopy,
    stage=STAGE,
    folder=lambda row: row.folder,
    write_job=write_job,
    result=_result,
    said=_said,
    done_verb="checkpoint.pushed",
    failed_verb="checkpoint.not_pushed",
    cancelled=_cancelled,
)
