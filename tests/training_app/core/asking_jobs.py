"""Jobs for the stages that ask a model (generate, revise, sample, label), on the two-layer model or on a script."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from constitutions_app.core.principles import Constitution, Exemplar, Principle, canonical_json, digest
from training_app.core.digests import digest_file
from training_app.core.events import read_events

CONSTITUTION = Constitution(
    name="House rules",
    principles=(
        Principle(
            id="gentle",
            title="Gentle",
            text="Be gentle.",
            critique_request="Is it gentle?",
            revision_request="Make it gentle.",
            comparison_question="Which is gentler?",
        ),
        Principle(id="brief", title="Brief", text="Be brief.", weight=2.0),
        Principle(id="label-only", title="Label only", text="Be plain.", stages=("label",)),
        Principle(id="off", title="Off", text="Be loud.", enabled=False),
    ),
    exemplars=(
        Exemplar("Hi", "Go away.", "Is it kind?", "It sends the person away.", "Make it kind.", "Hello! What is it?"),
        Exemplar("Help?", "Sure.", "Is it kind?", "It is.", "Make it kind.", "Sure."),
    ),
)


def prompts(count: int, *, kind: str = "red_team") -> list[dict[str, Any]]:
    """Prompts of different lengths with stable ids."""
    return [
        {
            "id": f"{kind}-{number:02d}",
            "text": f"Tell me about number {number}" + " please" * (number % 5),
            "kind": kind,
        }
        for number in range(count)
    ]


def responses(count: int) -> list[dict[str, Any]]:
    """Initial responses to `prompts(count)`."""
    return [
        {
            "prompt_id": row["id"],
            "prompt": row["text"],
            "kind": row["kind"],
            "text": f"Answer {number}. " * (number % 4),
        }
        for number, row in enumerate(prompts(count), start=1)
    ]


def comparisons(count: int) -> list[dict[str, Any]]:
    """Comparisons of two different responses."""
    return [
        {
            "prompt_id": row["id"],
            "prompt": row["text"],
            "response_a": f"Answer {number} " + "yes " * (number % 3),
            "response_b": f"No answer {number} " + "no " * (number % 4),
        }
        for number, row in enumerate(prompts(count))
    ]


def write_asking_job(
    out: Path,
    stage: str,
    model: Path,
    inputs: Mapping[str, Sequence[Mapping[str, Any]]],
    params: Mapping[str, Any] | None = None,
    *,
    backend: str = "local",
    constitution: Constitution | None = CONSTITUTION,
    seed: int = 7,
) -> Path:
    """Write a job with its inputs (digested) and its constitution into `out`; returns the job file."""
    out.mkdir(parents=True, exist_ok=True)
    job: dict[str, Any] = {
        "schema": 1,
        "stage": stage,
        "run": "a run",
        "seed": seed,
        "out": ".",
        "model": {"path": str(model), "name": model.name, "backend": backend},
        "inputs": {},
        "params": dict(params or {}),
    }
    for name, rows in inputs.items():
        path = out / f"{name}.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        job["inputs"][name] = {"path": path.name, "digest": digest_file(path), "rows": len(rows)}
    if constitution is not None:
        (out / "constitution.json").write_text(canonical_json(constitution), encoding="utf-8")
        job["constitution"] = {
            "path": "constitution.json",
            "digest": digest(constitution),
            "slug": "rules",
            "number": 3,
        }
    file = out / "job.json"
    file.write_text(json.dumps(job, sort_keys=True, indent=2), encoding="utf-8")
    return file


def write_script(path: Path, outputs: Sequence[str] = (), scores: Sequence[tuple[float, float]] = ()) -> Path:
    """A script for the scripted backend."""
    path.write_text(json.dumps({"outputs": list(outputs), "scores": list(scores)}), encoding="utf-8")
    return path


def records(out: Path, kind: str) -> dict[str, dict[str, Any]]:
    """Key → data of the records a stage left, as often as they stand in its log."""
    found: dict[str, dict[str, Any]] = {}
    for event in read_events(out / "events.jsonl"):
        if event.get("record") == kind:
            assert event["key"] not in found, f"{event['key']} was recorded twice"
            found[event["key"]] = event["data"]
    return found


def last_event(out: Path) -> dict[str, Any]:
    """The last event of a stage's log."""
    return read_events(out / "events.jsonl")[-1]


SHORT = {"sampling": {"max_new_tokens": 12, "batch_size": 4}}
