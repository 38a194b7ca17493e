"""What SFT, reward and RL training share: arguments, events, stopping, resuming, and the proof that weights moved.

A trainer keeps float32 weights and uses AdamW at a constant learning rate (paper, section 3.2) without weight decay; on
a GPU, and on processors with native bfloat16 matrices, the forward pass runs in bfloat16 under autocast. Every step
becomes a "metric" event; a value that is not finite fails the stage. Saves fall on optimizer steps, which here are
rollout boundaries too (`rl.py`), are sealed and verified (`checkpoints.py`), and a resumed stage ends in the very
weights of an uninterrupted one.

What several processes under `accelerate launch` need (one of them writes, all stop and save together) is at the end.
What is left out: starting them (`spread.py`, stage_process.py).
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from training_app.core import checkpoints, spread
from training_app.core.device import Device
from training_app.core.errors import LOWER_RATE, NotFinite, StageError, Stopped
from training_app.core.events import EventLog, read_events
from training_app.core.first_batch import watch_first_batch
from training_app.core.job import Job
from training_app.core.pace import NAMES as PACE
from training_app.core.pace import Pace
from training_app.core.stage import stay_offline

ShouldStop = Callable[[], bool]


def prepare(seed: int) -> None:
    """Seed every generator and keep the libraries quiet and offline. Call before any model is made."""
    stay_offline()
    # TRL still reads a name that transformers renamed; the pinned pair works, and the log is for what the stage says.
    warnings.filterwarnings("ignore", message=".*gradient_checkpointing` is deprecated", category=FutureWarning)
    import datasets
    import transformers

    libraries: Any = transformers.logging  # its functions have no types
    libraries.set_verbosity_error()
    libraries.disable_progress_bar()
    datasets.disable_progress_bars()
    transformers.set_seed(seed % 2**32)


def shared_arguments(job: Job, device: Device, *, learning_rate: float, batch_size: int) -> dict[str, Any]:
    """The arguments every trainer gets; what differs (epochs or steps, lengths) is added by each stage."""
    return {
        "output_dir": str(job.out / checkpoints.TRAINER),
        "seed": job.seed % 2**32,
        "learning_rate": learning_rate,
        "lr_scheduler_type": "constant",
        "weight_decay": 0.0,
        "per_device_train_batch_size": batch_size,
        "bf16": device.dtype == "bfloat16",
        "use_cpu": not device.is_cuda,
        "activation_checkpointing": device.is_cuda,  # on a processor memory is cheap and a second forward pass is not
        "dataloader_num_workers": 0,
        "dataloader_pin_memory": device.is_cuda,
        "logging_steps": 1,
        "logging_nan_inf_filter": False,  # a loss that is no number must be seen
        "save_strategy": "no",  # the reporter below asks for saves, so that none falls on the very last step
        "report_to": [],
        "push_to_hub": False,
        "disable_tqdm": True,
    }


def train(
    trainer: Any,
    job: Job,
    events: EventLog,
    should_stop: ShouldStop,
    *,
    device: Device,
    save_steps: int,
    names: Mapping[str, str],
    notes: Sequence[str] = (),
) -> None:
    """Train to the end, from the newest sound resume state if there is one. Raises Stopped once a stop was asked for.

    `names` maps the trainer's log names to those of the "metric" events, e.g. ``{"completions/mean_length":
    "completion_length"}``.
    """
    from transformers import PrinterCallback

    check_world_size()
    with first_process_first():  # it throws damaged states away; the others then find what it found
        state, thrown = checkpoints.newest_sound_state(job.out / checkpoints.TRAINER, identity=job.identity())
    for sentence in thrown:
        events.log(sentence, level="warning")
    reporter = make_reporter(job, events, should_stop, device=device, save_steps=save_steps, names=names, notes=notes)
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(reporter)
    if state is None and is_first_process():
        watch_first_batch(trainer, events)
    with drawing(lambda: trainer.state.global_step):
        trainer.train(resume_from_checkpoint=None if state is None else str(state))
    if reporter.stopped:
        raise Stopped


@contextmanager
def drawing(step: Callable[[], int]) -> Iterator[None]:
    """Turn torch's refusal to draw from probabilities that are no numbers into NotFinite, before any loss is seen."""
    try:
        yield
    except RuntimeError as error:
        if "probability tensor" not in str(error):
            raise
        raise NotFinite(
            f"The policy's probabilities became no numbers after step {step()}.",
            LOWER_RATE,
        ) from error


def make_reporter(
    job: Job,
    events: EventLog,
    should_stop: ShouldStop,
    *,
    device: Device,
    save_steps: int,
    names: Mapping[str, str],
    notes: Sequence[str],
) -> Any:
    """The trainer's callback that tells events, asks for saves, seals them, and stops when asked to."""
    from transformers import TrainerCallback

    identity = job.identity()
    told = {event["step"] for event in read_events(events.path) if event["kind"] == "metric"}

    class Reporter(TrainerCallback):
        stopped = False
        pace = Pace()

        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if state.is_world_process_zero:
                events.started(
                    device=device.label,
                    dtype=device.dtype,
                    total=state.max_steps,
                    unit="steps",
                    resumed_at=state.global_step,
                    notes=notes,
                    processes=world_size(),
                )

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if state.global_step >= state.max_steps:
                return
            if anyone(should_stop()):
                self.stopped = True
                control.should_training_stop = True
            control.should_save = self.stopped or state.global_step % save_steps == 0

        def on_log(self, args: Any, state: Any, control: Any, **told_by: Any) -> None:
            logs: Mapping[str, Any] = told_by["logs"]
            if "loss" not in logs or not state.is_world_process_zero:
                return  # the summary at the end of training
            values = {ours: float(logs[theirs]) for theirs, ours in names.items() if logs.get(theirs) is not None}
            tokens = logs.get("num_tokens")
            pace = self.pace.at(state.global_step, tokens)
            if state.global_step not in told:
                events.metric(state.global_step, values | pace)
            events.progress(state.global_step, tokens=None if tokens is None else int(tokens))

        def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            everyone_is_here()
            if state.is_world_process_zero:
                trainer = Path(args.output_dir)
                newest = trainer / f"checkpoint-{state.global_step}"
                checkpoints.seal_state(newest, step=state.global_step, identity=identity)
                checkpoints.prune_states(trainer)

    return Reporter()


def publish(
    model: Any,
    tokenizer: Any,
    job: Job,
    events: EventLog,
    *,
    device: Device,
    fresh: Mapping[str, Any],
    results: Mapping[str, Any] | None = None,
) -> None:
    """Prove that the weights moved, publish them, say so, and finish the stage."""
    model = spread.whole(model)
    if not is_first_process():
        return
    moved = checkpoints.weights_moved(model, job.model.path, fresh)
    results = training_summary(events) | dict(results or {}) | {"weights_moved": asdict(moved)}
    published = checkpoints.publish(model, tokenizer, job, moved=moved, device=device.label, results=results)
    announce(published, job, events)


def finish_if_published(job: Job, events: EventLog) -> bool:
    """Whether an earlier start already published this job's checkpoint; if so, only what was left to say is said."""
    published = checkpoints.find_published(job)
    if published is None:
        return False
    announce(published, job, events)
    return True


def announce(published: checkpoints.Published, job: Job, events: EventLog) -> None:
    """The "checkpoint" and "finished" events, and the end of everything only a resume would need."""
    events.checkpoint(
        path=checkpoints.PUBLISHED,
        digest=published.digest,
        constitution_digest=published.constitution_digest,
        files=published.files,
        weights_moved=published.weights_moved,
    )
    checkpoints.drop_states(job.out)
    outputs = {"rollouts": events.write_output("rollout", "rollouts")} if events.known("rollout") else {}
    events.finished(outputs=outputs, summary=published.results)


def training_summary(events: EventLog) -> dict[str, Any]:
    """Steps, and every curve's first and last value, over all starts of the stage."""
    points = [event for event in read_events(events.path) if event["kind"] == "metric"]
    if not points:
        return {"steps": 0}
    first, last = points[0]["values"], points[-1]["values"]
    kept = [name for name in last if name in first and name not in PACE]
    curves = {name: {"first": first[name], "last": last[name]} for name in kept}
    return {"steps": points[-1]["step"], "curves": curves}


# Several processes (`accelerate launch`)


def check_world_size() -> None:
    """Raise when the launcher promised more processes than work together: two solo trainings would pass for one."""
    promised, found = int(os.environ.get("WORLD_SIZE", "1")), world_size()
    if promised != found:
        raise StageError(
            f"The launcher started {promised} processes, but {found} of them work together.",
            "Look at the accelerate configuration; without it every process would train alone.",
        )


def is_first_process() -> bool:
    """Whether this process is the one that writes checkpoints and events."""
    from accelerate import PartialState

    return bool(PartialState().is_main_process)


def world_size() -> int:
    """How many processes train together."""
    from accelerate import PartialState

    return int(PartialState().num_processes)


def own_device(device: Device) -> Device:
    """`device`, with the GPU that belongs to this process among several."""
    if not device.is_cuda:
        return device
    return replace(device, torch_name=f"cuda:{os.environ.get('LOCAL_RANK', '0')}")


def anyone(flag: bool) -> bool:
    """Whether the flag is up in any process, so that all of them stop at the same step."""
    from accelerate import PartialState

    state = PartialState()
    if state.num_processes == 1:
        return flag
    import torch
    from accelerate.utils import reduce

    return bool(reduce(torch.tensor(float(flag), device=state.device), "sum").item() > 0)


def first_process_first() -> AbstractContextManager[None]:
    """The first process does what is inside, then the others do."""
    from accelerate import PartialState

    first: AbstractContextManager[None] = PartialState().main_process_first()
    return first


def everyone_is_here() -> None:
    """Wait until every process has written its part of a save."""
    from accelerate import PartialState

    PartialState().wait_for_everyone()
