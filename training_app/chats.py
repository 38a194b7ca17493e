"""From a question to the answers of one or two checkpoints: the work that `asked` does with the program `chat`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from uuid import UUID

from training_app import artifacts, asked
from training_app.asked import Conduct, Work
from training_app.core.datasets import write_text
from training_app.core.digests import digest_file
from training_app.core.job import SCHEMA
from training_app.models import ChatTurn, Checkpoint

STAGE = "chat"
PROMPTS = "prompts.jsonl"
CHATTING_STAGES = ("sft", "rl", "dpo")
"""Stages whose checkpoints answer; a reward model only scores."""


def waiting() -> list[UUID]:
    """Questions that nobody works on."""
    return asked.waiting(ChatTurn)


def run_once(pk: UUID, *, conduct: Conduct | None = None) -> str | None:
    """Claim a question and have it answered. Returns the state it was left in; None when it was not ours to take."""
    return asked.run_once(CHATTING, pk, conduct or Conduct(look_every_s=0.2))


def write_job(row: ChatTurn) -> Path:
    """The job file of a question, beside its conversation; the same bytes every time. Raises StorageFailed."""
    text = str(row.messages[-1]["content"])
    prompt = {"id": "question", "text": text, "kind": "red_team", "messages": row.messages}
    write_text(row.folder / PROMPTS, json.dumps(prompt, sort_keys=True) + "\n")
    sides = {"left": row.left, "right": row.right}
    for checkpoint in filter(None, sides.values()):
        artifacts.fetch_checkpoint(checkpoint)
    job = {
        "schema": SCHEMA, "stage": STAGE, "run": str(row.pk), "seed": row.seed, "out": ".", "params": row.params,
        "inputs": {"prompts": {"path": PROMPTS, "digest": digest_file(row.folder / PROMPTS), "rows": 1}},
        "models": {side: _model(checkpoint) for side, checkpoint in sides.items() if checkpoint is not None},
    }  # fmt: skip
    write_text(row.folder / "job.json", json.dumps(job, indent=2, sort_keys=True) + "\n")
    return row.folder / "job.json"


def _model(checkpoint: Checkpoint) -> dict[str, str]:
    return {"path": str(checkpoint.folder), "digest": checkpoint.digest, "name": str(checkpoint)}


def _result(row: ChatTurn, summary: dict[str, Any]) -> dict[str, Any]:
    return {"replies": summary["replies"], "done": len(summary["replies"])}


def _said(row: ChatTurn, summary: dict[str, Any]) -> dict[str, Any]:
    return {"checkpoints": [one.digest for one in (row.left, row.right) if one is not None]}


CHATTING = Work(
    model=ChatTurn,
    stage=STAGE,
    folder=lambda row: row.folder,
    write_job=write_job,
    result=_result,
    said=_said,
    done_verb="chat.answered",
    failed_verb="chat.not_answered",
)
