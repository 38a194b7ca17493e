"""Several processes on one stage: accelerate understands the files, and two really train one model together."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.base import wait_for
from tests.tiny_model import build_tiny_model
from tests.training_app.core.training_jobs import events, run, sft_job
from training_app.core import stage as program
from training_app.core.errors import OutOfMemory
from training_app.core.events import EventLog, SilentLog, read_events
from training_app.core.job import Job
from training_app.core.manifest import verify
from training_app.core.spread import LAUNCH, launch_settings, write_launch_file
from training_app.stage_process import StageProcess, stage_command


@pytest.mark.parametrize(
    ("sharding", "kind", "version"),
    [("ddp", "MULTI_GPU", None), ("fsdp2", "FSDP", 2), ("deepspeed", "DEEPSPEED", None)],
)
def test_accelerates_own_loader_and_launcher_accept_the_file(
    tmp_path: Path, sharding: str, kind: str, version: int | None
) -> None:
    from accelerate.commands.config.config_args import load_config_from_file
    from accelerate.commands.launch import _validate_launch_command, launch_command_parser

    file = write_launch_file(tmp_path, processes=4, sharding=sharding)
    assert file is not None
    loaded = load_config_from_file(str(file))
    assert (loaded.distributed_type.value, loaded.num_processes, loaded.use_cpu) == (kind, 4, False)
    command = stage_command("sft", tmp_path / "job.json")
    options = launch_command_parser().parse_args(command[3:])
    assert (options.module, options.training_script) == (True, "training_app.core.stage")
    assert options.training_script_args == [str(tmp_path / "job.json"), "--lifeline"]
    checked, _, _ = _validate_launch_command(options)
    assert (checked.num_processes, checked.use_fsdp, checked.use_deepspeed, checked.multi_gpu) == (
        4, sharding == "fsdp2", sharding == "deepspeed", sharding == "ddp",
    )  # fmt: skip
    assert str(getattr(checked, "fsdp_version", None)) == str(version) or version is None
    if sharding == "deepspeed":
        assert checked.zero_stage == 2


def test_one_process_leaves_no_launch_file(tmp_path: Path) -> None:
    write_launch_file(tmp_path, processes=2)
    assert (tmp_path / LAUNCH).is_file()
    assert write_launch_file(tmp_path, processes=1) is None
    assert not (tmp_path / LAUNCH).exists()
    assert "fsdp_config" not in launch_settings(processes=2, sharding="fsdp2", on_cpu=True)


SHARDED = """
import sys
from pathlib import Path
import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from transformers import AutoModelForCausalLM
from training_app.core.spread import whole
folder = Path(sys.argv[1])
dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=0, world_size=1)
model = AutoModelForCausalLM.from_pretrained(folder / "tiny")
before = {name: value.detach().clone() for name, value in model.state_dict().items()}
assert whole(model) is model
fully_shard(model, mesh=init_device_mesh("cpu", (1,)))
found = whole(model)
assert type(found).__name__ == "LlamaForCausalLM"
assert all(torch.equal(before[name], value) for name, value in found.state_dict().items())
dist.destroy_process_group()
"""


def test_weights_cut_by_fsdp2_are_published_in_one_piece(tmp_path: Path) -> None:
    """In a process of its own: a process group is for a process's whole life. Cut into one piece, for want of GPUs."""
    build_tiny_model(tmp_path / "tiny")
    program = [sys.executable, "-c", SHARDED, str(tmp_path)]
    made = subprocess.run(program, capture_output=True, text=True, check=False, timeout=150)
    assert made.returncode == 0, made.stderr[-2000:]


def test_two_processes_train_one_model_together(tmp_path: Path) -> None:
    """Real DDP over gloo, started as the worker starts it. Slow (two Pythons load torch), and nothing else shows it.

    Two processes with two rows each see the four rows of one process with four, so the losses must be the same; two
    solo trainings that pass for one would differ from the first step on.
    """
    build_tiny_model(tmp_path / "tiny")
    alone = sft_job(tmp_path / "alone", tmp_path / "tiny", batch_size=4)
    together = sft_job(tmp_path / "together", tmp_path / "tiny", batch_size=2)
    write_launch_file(together.parent, processes=2, on_cpu=True)
    log = together.parent / "log.txt"
    process = StageProcess(stage_command("sft", together), folder=together.parent, log=log)
    wait_for(lambda: process.poll() is not None, 150, what="the training to end")
    assert process.poll() == 0, log.read_text()[-3000:]
    process.end()
    assert run(alone) == 0
    (started,) = events(together, "started")
    assert (started["processes"], started["total"]) == (2, 4)
    told = read_events(together.parent / "events.jsonl")
    assert [event["seq"] for event in told] == list(range(1, len(told) + 1))
    assert [event["kind"] for event in told].count("finished") == 1
    losses = [[event["values"]["loss"] for event in events(file, "metric")] for file in (alone, together)]
    assert losses[1] == pytest.approx(losses[0], rel=2e-3)
    assert verify(together.parent / "checkpoint").ok


# -- who may write -----------------------------------------------------------------------------------------------------


@pytest.fixture
def job(tmp_path: Path) -> Path:
    file = tmp_path / "out" / "job.json"
    file.parent.mkdir()
    file.write_text(json.dumps({"schema": 1, "stage": "sft", "run": "r", "seed": 1, "out": "."}))
    return file


def behave(monkeypatch: pytest.MonkeyPatch, error: Exception | None = None) -> None:
    def act(job: Job, events: EventLog, should_stop: object) -> None:
        events.started(device="d", dtype="float32", total=1, unit="steps")
        events.record("rollout", "1", {})
        if error is not None:
            raise error
        events.finished(outputs={"rollouts": events.write_output("rollout", "rollouts")})

    monkeypatch.setattr(program, "stage_function", lambda stage: act)


def test_only_the_first_process_writes(job: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    behave(monkeypatch)
    monkeypatch.setenv("RANK", "1")
    with program.exclusive(job.parent):  # as the first process does meanwhile
        assert program.run_job(job, lambda: False) == program.FINISHED
    assert sorted(path.name for path in job.parent.iterdir()) == [".lock", "job.json"]
    monkeypatch.setenv("RANK", "0")
    assert program.run_job(job, lambda: False) == program.FINISHED
    assert SilentLog(job.parent).is_finished


def test_the_first_process_tells_why_another_one_failed(job: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    behave(monkeypatch, OutOfMemory("GPU 1 is full.", "Smaller."))
    assert program.run_job(job, lambda: False) == program.FAILED
    assert not (job.parent / "events.jsonl").exists()
    left = (job.parent / ".failed-1.json").read_bytes()
    monkeypatch.setenv("RANK", "0")

    def partner_is_gone(job: Job, events: EventLog, should_stop: object) -> None:
        (job.out / ".failed-1.json").write_bytes(left)
        raise RuntimeError("Connection closed by peer")

    monkeypatch.setattr(program, "stage_function", lambda stage: partner_is_gone)
    assert program.run_job(job, lambda: False) == program.FAILED
    (failed,) = events(job, "failed")
    assert (failed["error"], failed["message"]) == ("out_of_memory", "GPU 1 is full.")
    behave(monkeypatch)
    assert program.run_job(job, lambda: False) == program.FINISHED  # what an earlier start left is forgotten
