"""What a stage imports before its work: at once, and without the garbage collector.

Importing torch, transformers and a trainer makes some two million objects, nearly all of them there to stay. Looking
through them again and again costs a fifth of the imports' processor time (docs/lab-notes.md, 28 November 2026).
"""

from __future__ import annotations

import gc
import importlib
import sys

from training_app.core.job import Job

MODEL = (
    "torch",
    "transformers.models.auto.modeling_auto",
    "transformers.models.auto.tokenization_auto",
    "transformers.models.llama.modeling_llama",  # with what the models of other kinds share, which is nearly all of it
)
TRAINER = {
    "sft": (*MODEL, "datasets", "trl.trainer.sft_trainer"),
    "reward": (*MODEL, "datasets", "trl.trainer.reward_trainer"),
    "rl": (*MODEL, "datasets", "trl.trainer.grpo_trainer"),
    "dpo": (*MODEL, "datasets", "trl.trainer.dpo_trainer"),
}
FILES_ALONE = ("sign", "push")
"""Stages that read a checkpoint's files and load no model. What pushes also sets the hub's package up by itself."""


def modules_for(job: Job) -> tuple[str, ...]:
    """The heavy modules that the stage of `job` needs; none where servers answer and nothing is trained."""
    if job.stage in FILES_ALONE:
        return ()
    models = [job.main_model, *job.models.values()]
    answers_here = any(model is not None and model.backend == "local" for model in models)
    return TRAINER.get(job.stage, MODEL if answers_here else ())


def import_for(job: Job) -> None:
    """Import what `job` needs, unless it is there."""
    import_quickly(modules_for(job))


def import_quickly(modules: tuple[str, ...]) -> None:
    """Import these without the garbage collector, which is told to leave alone for good what there is by then."""
    if all(name in sys.modules for name in modules):
        return
    was_on = gc.isenabled()
    gc.disable()
    try:
        for name in modules:
            importlib.import_module(name)
        gc.freeze()
    finally:
        if was_on:
            gc.enable()
