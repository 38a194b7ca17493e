"""Stage *generate*: the model's initial response to every prompt, harmful and helpful alike (arXiv 2212.08073, 3.1).

    prompt → response, drawn at temperature 1

The responses to red-team prompts are what critique and revision start from; those to helpfulness prompts go into
SL-CAI as they are (section 3.2). Left out: several responses per prompt (the paper draws two helpful ones).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from training_app.core.backends import (
    Backend,
    GenerationRequest,
    open_for_stage,
    prompt_tokens_of,
    spent_of,
    together_of,
    writing_label,
)
from training_app.core.config import GenerateParams
from training_app.core.engine import WRITE
from training_app.core.errors import Stopped
from training_app.core.events import EventLog
from training_app.core.generation import plan_batches, seed_for
from training_app.core.job import Job
from training_app.core.rows import Message, Prompt
from training_app.core.signals import without_label


def run(job: Job, events: EventLog, should_stop: Callable[[], bool]) -> None:
    """Answer every prompt of ``inputs.prompts``; records "response", output ``responses``."""
    params = job.params(GenerateParams)
    prompts = job.read_input("prompts", Prompt.from_row)
    backend = open_for_stage(job.model, events, WRITE)
    respond(prompts, backend, params, events, should_stop, seed=job.seed)


def respond(
    prompts: Sequence[Prompt],
    backend: Backend,
    params: GenerateParams,
    events: EventLog,
    should_stop: Callable[[], bool],
    *,
    seed: int,
) -> None:
    """Batch by batch; a batch that is already recorded is not done again. Raises Stopped between batches."""
    form = backend.format("auto")
    done, tokens = len(events.known("response")), 0
    events.started(
        device=writing_label(backend),
        dtype=backend.dtype,
        total=len(prompts),
        unit="prompts",
        resumed_at=done,
        notes=[form.note] if form.note else [],
    )
    for batch in plan_batches(
        prompts, lambda prompt: backend.length(form.response(prompt.messages)), params.sampling.batch_size
    ):
        if all(events.has("response", prompt.id) for prompt in batch):
            continue
        if should_stop():
            raise Stopped
        requests = [
            GenerationRequest(prompt.id, form.response(prompt.messages), seed_for(seed, prompt.id, "response"))
            for prompt in batch
        ]
        written = backend.generate(requests, params.sampling, form.stops)
        events.batch("response", [prompt.id for prompt in batch], together_of(backend))
        for prompt, generation in zip(batch, written, strict=True):
            data = {
                "prompt_id": prompt.id,
                "prompt": prompt.text,
                "kind": prompt.kind,
                "text": without_label(generation.text, "Assistant"),
                "tokens": generation.tokens,
                "finish": generation.finish,
                **conversation_data(prompt.messages),
            }
            done += events.record("response", prompt.id, data)
            tokens += generation.tokens
        events.progress(done, tokens=tokens, prompt_tokens=prompt_tokens_of(backend))
    output = events.write_output("response", "responses")
    events.finished(outputs={"responses": output}, summary=_summary(events) | spent_of(backend))


def conversation_data(messages: Sequence[Message]) -> dict[str, Any]:
    """The "messages" of a record when the prompt is more than one message, else nothing."""
    if len(messages) == 1:
        return {}
    return {"messages": [{"role": message.role, "content": message.content} for message in messages]}


def _summary(events: EventLog) -> dict[str, Any]:
    responses = [(data["tokens"], data["finish"]) for _, data in events.iter_records("response")]
    cut = sum(finish == "length" for _, finish in responses)
    return {"responses": len(responses), "tokens": sum(tokens for tokens, _ in responses), "cut_by_length": cut}
