"""A stage program without a model: everything around the science is real, the answers are made up.

``python -m tests.training_app.scripted JOB.json --lifeline`` behaves as `training_app.core.stage` does (lock, events,
resuming, exit codes, lifeline), so the runner can be tested in fractions of a second. `script.json` in the run's folder
may ask for trouble, per stage: ``{"revise": {"wait_at": 2, "kill_after": 3, "kills": 1, "fail": "out_of_memory"}}``.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import struct
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from training_app.core import stage as program
from training_app.core.checkpoints import find_published, manifest_content, write_or_take_up
from training_app.core.errors import BadInput, DiskFull, NotFinite, OutOfMemory, StageError, Stopped
from training_app.core.events import EventLog
from training_app.core.job import Job
from training_app.core.manifest import dataset_digests

SCRIPT = "script.json"
PATIENCE_S = 60.0
ERRORS: dict[str, type[StageError]] = {
    "bad_input": BadInput, "out_of_memory": OutOfMemory, "disk_full": DiskFull, "not_finite": NotFinite,
}  # fmt: skip
Records = Iterator[tuple[str, str, dict[str, Any]]]


def command(stage: str, job: Path) -> list[str]:
    """What a test's runner starts instead of the real program."""
    return [sys.executable, "-m", "tests.training_app.scripted", str(job), "--lifeline"]


def base_model(folder: Path) -> Path:
    """A folder that passes for a model as long as nobody loads it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text('{"model_type": "llama"}')
    (folder / "tokenizer_config.json").write_text('{"chat_template": "{{ messages }}"}')
    (folder / "model.safetensors").write_bytes(weights({"format": "pt"}))
    return folder


def weights(metadata: dict[str, str]) -> bytes:
    """The smallest safetensors file: one number."""
    tensor = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}
    header = json.dumps({"__metadata__": metadata, "weight": tensor}).encode()
    return struct.pack("<Q", len(header)) + header + struct.pack("<f", 0.5)


def run(job: Job, events: EventLog, should_stop: Callable[[], bool]) -> None:
    """Do the stage `job` names, as its script says."""
    script = _script(job)
    if kind := script.get("fail"):
        raise ERRORS[kind](f"{job.stage} was told to fail.", "Tell it otherwise, and resume.")
    if size := script.get("allocate"):
        resource.setrlimit(resource.RLIMIT_AS, (size // 2, size // 2))
        bytearray(size)
    records = list(_RECORDS[job.stage](job))
    made = 0
    done = sum(events.has(kind, key) for kind, key, _ in records)
    events.started(device="scripted", dtype="float32", total=len(records), unit="items", resumed_at=done)
    for kind, key, data in records:
        if events.has(kind, key):
            continue
        if should_stop() and not script.get("deaf"):
            raise Stopped
        time.sleep(script.get("pause", 0.0))
        done += events.record(kind, key, data)
        events.progress(done)
        made += 1
        if done == script.get("wait_at"):
            _wait(should_stop)
        if made == script.get("kill_after") and _times(job) <= script.get("kills", 1):
            os.kill(os.getpid(), signal.SIGKILL)
    if job.stage in ("sft", "reward", "rl", "dpo"):
        for step in (1, 2, 3):
            events.metric(step, {"loss": float("nan") if step == script.get("nan_at") else 1.0 / step})
        _publish(job, events, script)
    name = {"generate": "response", "revise": "step", "sample": "comparison", "label": "label", "write": "prompt"}.get(
        job.stage
    )
    outputs = {f"{name}s": events.write_output(name, f"{name}s")} if name else {}
    events.finished(outputs=outputs, summary={"items": len(records)})


def _wait(should_stop: Callable[[], bool]) -> None:
    """Stand still until somebody stops or kills this process."""
    deadline = time.monotonic() + PATIENCE_S
    while not should_stop() and time.monotonic() < deadline:
        time.sleep(0.02)


def _script(job: Job) -> dict[str, Any]:
    file = job.out.parent / SCRIPT
    script: dict[str, Any] = json.loads(file.read_text()).get(job.stage, {}) if file.is_file() else {}
    return script


def _times(job: Job) -> int:
    """How often this stage has come to its kill, counted in a file."""
    file = job.out / "kills.txt"
    with file.open("a") as log:
        log.write("x")
    return file.stat().st_size


def _responses(job: Job) -> Records:
    for prompt in job.input_rows("prompts"):
        yield "response", prompt["id"], {
            "prompt_id": prompt["id"], "prompt": prompt["text"], "kind": prompt["kind"],
            "text": f"An answer to {prompt['text']}\x00", "tokens": 7, "finish": "stop",
        }  # fmt: skip


def _steps(job: Job) -> Records:
    principles = [principle.id for principle in job.constitution().serving("revise")]
    asked = [row for row in job.input_rows("responses") if row["kind"] == "red_team"]
    for place, row in enumerate(asked):
        for number in range(1, job.raw_params["rounds"] + 1):
            yield "step", f"{row['prompt_id']}/{number}", {
                "prompt_id": row["prompt_id"], "round": number,
                "principle_id": principles[(place + number) % len(principles)],
                "critique_request": "Say what is wrong.", "critique": "It watches somebody.",
                "revision_request": "Do better.", "revision": f"A better answer, round {number}.", "flags": [],
                "sent": {"critique": "all of it", "revision": "all of it too"}, "tokens": 9, "seed": 2**62,
            }  # fmt: skip


def _comparisons(job: Job) -> Records:
    for place, prompt in enumerate(job.input_rows("prompts")):
        yield "comparison", prompt["id"], {
            "prompt_id": prompt["id"], "prompt": prompt["text"], "kind": prompt["kind"], "response_a": "No.",
            "response_b": "No." if place == 0 else "Perhaps.", "tokens": 4, "identical": place == 0,
        }  # fmt: skip


def _labels(job: Job) -> Records:
    principles = [principle.id for principle in job.constitution().serving("label")]
    for place, row in enumerate(job.input_rows("comparisons")):
        if row["identical"]:
            continue
        key = principles[place % len(principles)]
        orders = [{"order": order, "logp_a": -0.2, "logp_b": -1.7, "p_a": 0.8} for order in ("ab", "ba")]
        yield "label", f"{row['prompt_id']}/{key}", {
            "comparison_id": row["prompt_id"], "principle_id": key, "question": "Which one?", "template": "paper",
            "orders": orders, "p_a": 0.8, "clamp": None, "p_a_clamped": 0.8, "same_position": False,
            "sent": {"ab": "A, B?", "ba": "B, A?"}, "dtype": "float32",
        }  # fmt: skip


def _rollouts(job: Job) -> Records:
    yield "rollout", "1/0", {"step": 1, "prompt": "p", "text": "t", "reward": 0.5}


def _answers(job: Job) -> Records:
    prompts = job.input_rows("prompts")
    for model in ("base", "sl_cai", "rl_cai", "dpo_cai"):
        if model not in job.models:
            continue
        for prompt in prompts:
            yield "answer", f"{model}/{prompt['id']}", {
                "model": model, "prompt_id": prompt["id"], "prompt": prompt["text"], "text": "Words.", "reward": 0.1,
                "evasive": False, "boilerplate": False, "words": 1, "finish": "stop", "features": {"short": True},
            }  # fmt: skip
        yield "evaluation", model, {"model": model, "n": len(prompts), "reward_mean": 0.1, "reward_interval": [0, 1]}


def _written(job: Job) -> Records:
    for row in job.input_rows("seeds"):
        text = f"And also: {row['text']}"
        yield "attempt", row["id"], {"text": text, "reason": ""}
        key = f"written-{row['id']}"
        yield "prompt", key, {"id": key, "text": text, "kind": "red_team", "tags": ["written"]}


def _nothing(job: Job) -> Records:
    job.input_rows("train")
    yield from ()


_RECORDS: dict[str, Callable[[Job], Records]] = {
    "generate": _responses, "revise": _steps, "sft": _nothing, "sample": _comparisons, "label": _labels,
    "reward": _nothing, "rl": _rollouts, "dpo": _nothing, "evaluate": _answers,
    "write": _written,
}  # fmt: skip


def _publish(job: Job, events: EventLog, script: dict[str, Any]) -> None:
    if find_published(job) is None:
        folder = job.out / "checkpoint"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        content = manifest_content(job, device="scripted")
        constitution = job.constitution_ref
        assert constitution is not None
        text = constitution.path.read_bytes()
        if script.get("forge"):
            import hashlib

            text = text.replace(b"person", b"nobody")
            content["constitution"]["digest"] = hashlib.sha256(text).hexdigest()
        (folder / "constitution.json").write_bytes(text)
        (folder / "config.json").write_text('{"model_type": "llama"}')
        stamp = {
            "constitution_digest": content["constitution"]["digest"],
            "dataset_digests": ",".join(dataset_digests(content)),
        }
        content_of_weights = weights(stamp)
        if script.get("other_weights"):
            content_of_weights = content_of_weights[:-1] + b"\0"
        (folder / "model.safetensors").write_bytes(content_of_weights)
        write_or_take_up(folder, content, job.out)
    published = find_published(job)
    assert published is not None
    if script.get("tamper"):  # before it is announced: the worker verifies what is announced at once
        (weights_file := job.out / "checkpoint" / "model.safetensors").write_bytes(weights_file.read_bytes() + b"\0")
    events.checkpoint(
        path="checkpoint", digest=published.digest, constitution_digest=published.constitution_digest,
        files=published.files, weights_moved={"changed": 1, "of": 1, "max_abs": 0.1},
    )  # fmt: skip


if __name__ == "__main__":
    program.STAGES.update(dict.fromkeys(_RECORDS, "tests.training_app.scripted:run"))
    sys.exit(program.main(prepare=lambda job: None))  # torch alone would take longer than any script
