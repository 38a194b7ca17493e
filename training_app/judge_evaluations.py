"""From a queued judge evaluation to its report: the work that `asked` does with the stage program `judge_eval`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from uuid import UUID

from training_app import artifacts, asked
from training_app.asked import Conduct, Work
from training_app.base_models import folder_of
from training_app.core.datasets import write_text
from training_app.core.job import SCHEMA
from training_app.core.judge_spec import JudgeSpec
from training_app.judges import register
from training_app.models import Judge, JudgeEvaluation

ITEMS = "items.jsonl"
STAGE = "judge_eval"


def waiting() -> list[UUID]:
    """Those that nobody works on: queued, or left by a worker that vanished."""
    return asked.waiting(JudgeEvaluation)


def run_once(pk: UUID, *, conduct: Conduct | None = None) -> str | None:
    """Claim it and bring it to its end. Returns the state it was left in; None when it was not ours to take."""
    return asked.run_once(MEASURING, pk, conduct or Conduct())


def _result(row: JudgeEvaluation, report: dict[str, Any]) -> dict[str, Any]:
    return {"report": report, "judge": _judge(report), "done": report["n"]}


def _said(row: JudgeEvaluation, report: dict[str, Any]) -> dict[str, Any]:
    figures = {"n": report["n"], "accuracy": report["accuracy"]}
    return {"judge": _judge(report).digest, "file": row.file_digest, **figures}


def _judge(report: dict[str, Any]) -> Judge:
    """The judge that a report is about, registered when it is new."""
    parts = {name: report["judge"][name] for name in JudgeSpec.__dataclass_fields__}
    return register(JudgeSpec(**parts), actor=None)


def write_job(row: JudgeEvaluation) -> Path:
    """The job file of an evaluation, beside its items; the same bytes every time. Raises StorageFailed."""
    artifacts.get(row.folder)
    model = dict(row.model)
    if "path" in model:
        model["path"] = str(folder_of(model))
    job = {
        "schema": SCHEMA, "stage": STAGE, "run": str(row.pk), "seed": 0, "out": ".", "model": model,
        "inputs": {"items": {"path": ITEMS, "digest": row.file_digest}}, "params": row.params,
    }  # fmt: skip
    write_text(row.folder / "job.json", json.dumps(job, indent=2, sort_keys=True) + "\n")
    return row.folder / "job.json"


MEASURING = Work(
    model=JudgeEvaluation,
    stage=STAGE,
    folder=lambda row: row.folder,
    write_job=write_job,
    result=_result,
    said=_said,
    done_verb="judge.measured",
    failed_verb="judge.not_measured",
)
