"""Stage *sample*: two responses of the SL-CAI model to every prompt, to be compared (arXiv 2212.08073, section 4.1).

    prompt → (response a, response b), drawn independently at temperature 1

Two equal answers say nothing about any principle: the second is drawn again up to `RETRIES` times, and what is equal
even then is marked "identical" and never labelled.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from training_app.core.backends import (
    Backend,
    Generation,
    GenerationRequest,
    open_for_stage,
    prompt_tokens_of,
    spent_of,
    together_of,
    writing_label,
)
from training_app.core.config import SampleParams, Sampling
from training_app.core.engine import WRITE
from training_app.core.errors import Stopped
from training_app.core.events import EventLog
from training_app.core.generate import conversation_data
from training_app.core.generation import plan_batches, seed_for
from training_app.core.job import Job
from training_app.core.prompts import PromptFormat
from training_app.core.rows import Prompt
from training_app.core.signals import without_label

RETRIES = 3


def run(job: Job, events: EventLog, should_stop: Callable[[], bool]) -> None:
    """Answer every prompt of ``inputs.prompts`` twice; records "comparison", output ``comparisons``."""
    params = job.params(SampleParams)
    prompts = job.read_input("prompts", Prompt.from_row)
    backend = open_for_stage(job.model, events, WRITE)
    draw_pairs(prompts, backend, params, events, should_stop, seed=job.seed)


def draw_pairs(
    prompts: Sequence[Prompt],
    backend: Backend,
    params: SampleParams,
    events: EventLog,
    should_stop: Callable[[], bool],
    *,
    seed: int,
) -> None:
    """Batch by batch; a batch that is already recorded is not done again. Raises Stopped between batches."""
    form = backend.format("auto")
    done, tokens = len(events.known("comparison")), 0
    events.started(
        device=writing_label(backend),
        dtype=backend.dtype,
        total=len(prompts),
        unit="prompts",
        resumed_at=done,
        notes=[form.note] if form.note else [],
    )
    size = max(1, params.sampling.batch_size // 2)
    for batch in plan_batches(prompts, lambda prompt: backend.length(form.response(prompt.messages)), size):
        if all(events.has("comparison", prompt.id) for prompt in batch):
            continue
        if should_stop():
            raise Stopped
        pairs = _pairs(batch, backend, form, params.sampling, seed)
        events.batch("comparison", [prompt.id for prompt in batch], together_of(backend))
        for prompt, (first, second) in zip(batch, pairs, strict=True):
            data = {
                "prompt_id": prompt.id,
                "prompt": prompt.text,
                "kind": prompt.kind,
                "response_a": first.text,
                "response_b": second.text,
                "tokens": first.tokens + second.tokens,
                "identical": first.text == second.text,
                **conversation_data(prompt.messages),
            }
            done += events.record("comparison", prompt.id, data)
            tokens += first.tokens + second.tokens
        events.progress(done, tokens=tokens, prompt_tokens=prompt_tokens_of(backend))
    output = events.write_output("comparison", "comparisons")
    drawn = [(data["tokens"], data["identical"]) for _, data in events.iter_records("comparison")]
    identical = sum(is_identical for _, is_identical in drawn)
    summary = {"comparisons": len(drawn), "identical": identical, "tokens": sum(count for count, _ in drawn)}
    events.finished(outputs={"comparisons": output}, summary=summary | spent_of(backend))


def _pairs(
    prompts: Sequence[Prompt], backend: Backend, form: PromptFormat, sampling: Sampling, seed: int
) -> list[tuple[Generation, Generation]]:
    """Two answers to each prompt; the second is drawn again where it equals the first."""

    def draw(chosen: Sequence[Prompt], names: Sequence[str]) -> list[Generation]:
        requests = [
            GenerationRequest(f"{prompt.id}/{name}", form.response(prompt.messages), seed_for(seed, prompt.id, name))
            for name in names
            for prompt in chosen
        ]
        return [_cleaned(generation) for generation in backend.generate(requests, sampling, form.stops)]

    drawn = draw(prompts, ("a", "b"))
    pairs = dict(zip(range(len(prompts)), zip(drawn[: len(prompts)], drawn[len(prompts) :], strict=True), strict=True))
    for attempt in range(1, RETRIES + 1):
        equal = [index for index, (first, second) in pairs.items() if first.text == second.text]
        if not equal:
            break
        again = draw([prompts[index] for index in equal], (f"b{attempt}",))
        pairs |= {index: (pairs[index][0], second) for index, second in zip(equal, again, strict=True)}
    return list(pairs.values())


def _cleaned(generation: Generation) -> Generation:
    text = without_label(generation.text, "Assistant")
    return Generation(generation.key, text, generation.tokens, generation.finish)
