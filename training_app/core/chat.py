"""A question to one or two models, each by itself, for a person who waits: how a checkpoint answers, side by side.

A stage program like the others (``stage: "chat"``), for conversations of any length. Each model is loaded, answers and
goes, so that two fit where one does. Left out: streaming, and keeping a model loaded between questions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from training_app.core.backends import GenerationRequest, open_backend
from training_app.core.config import Sampling
from training_app.core.errors import BadInput, Stopped
from training_app.core.events import EventLog
from training_app.core.generation import seed_for
from training_app.core.job import Job
from training_app.core.rows import Prompt
from training_app.core.signals import without_label


@dataclass(frozen=True)
class ChatParams:
    """How the answers are drawn."""

    sampling: Sampling = field(default_factory=lambda: Sampling(temperature=0.7, top_p=0.9))


def run(job: Job, events: EventLog, should_stop: Callable[[], bool]) -> None:
    """Ask every model of ``models`` the one conversation of ``inputs.prompts``; the answers stand in the summary.

    Both draw with the same seed, so that two equal models answer alike.
    """
    params = job.params(ChatParams)
    prompts = job.read_input("prompts", Prompt.from_row)
    if len(prompts) != 1 or not job.models:
        raise BadInput(f"{job.file.name}: a chat needs one conversation and at least one model.")
    events.started(device="", dtype="", total=len(job.models), unit="answers", resumed_at=len(events.known("reply")))
    for role, ref in sorted(job.models.items()):
        if events.has("reply", role):
            continue
        if should_stop():
            raise Stopped
        backend = open_backend(ref, lambda message: events.log(message, level="warning"))
        form = backend.format("auto")
        request = GenerationRequest(role, form.response(prompts[0].messages), seed_for(job.seed, prompts[0].id, "chat"))
        (written,) = backend.generate([request], params.sampling, form.stops)
        text = without_label(written.text, "Assistant")
        events.record("reply", role, {"text": text, "tokens": written.tokens, "finish": written.finish})
        events.progress(len(events.known("reply")))
        del backend
    events.finished(outputs={}, summary={"replies": events.records("reply")})
