"""Stage *write*: new red-team prompts by few-shot from a seed set, none like another (arXiv 2212.08073, section 3.2).

    K seed prompts, drawn anew → the model writes one more → kept unless it is unusable or like one that is there

The paper adds 140,335 prompts written so by a pretrained model to 42,496 human ones. Collective Constitutional AI names
prompts that do not bear on the principles as its likely mistake; so each prompt may be written for one principle, drawn
by weight, and carries its id as a tag. Attempts are numbered, each with its own seed, and judged in their order, so the
same job writes the same set and a killed one goes on. Left out: conversations of several turns; rating by a model.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from constitutions_app.core.principles import Principle, normalise
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
from training_app.core.config import WriteParams
from training_app.core.engine import WRITE
from training_app.core.errors import BadInput, Stopped
from training_app.core.events import EventLog
from training_app.core.generation import seed_for
from training_app.core.job import Job
from training_app.core.near_duplicates import Seen
from training_app.core.principle_choice import choose_principle, principles_serving
from training_app.core.prompts import LABELS, PromptFormat
from training_app.core.rows import Message, Prompt
from training_app.core.signals import is_evasive, without_label, words

LEAST_WORDS = 3
SEED = "seed"


def run(job: Job, events: EventLog, should_stop: Callable[[], bool]) -> None:
    """Write prompts after those of ``inputs.seeds``; records "attempt" and "prompt", output ``prompts``."""
    params = job.params(WriteParams)
    principles = principles_serving(job.constitution(), "revise") if params.aim == "principle" else ()
    seeds = job.read_input("seeds", Prompt.from_row)
    backend = open_for_stage(job.model, events, WRITE)
    write(seeds, principles, backend, params, events, should_stop, seed=job.seed)


@dataclass(frozen=True)
class Attempt:
    """One try: the seed prompts shown and the principle aimed at, None where there is no aim."""

    number: int
    shown: tuple[Prompt, ...]
    principle: Principle | None
    seed: int

    @property
    def key(self) -> str:
        """The attempt's number as it is recorded."""
        return str(self.number)


def write(
    seeds: Sequence[Prompt],
    principles: Sequence[Principle],
    backend: Backend,
    params: WriteParams,
    events: EventLog,
    should_stop: Callable[[], bool],
    *,
    seed: int,
) -> None:
    """Batch by batch until `params.count` prompts are kept or the attempts are used up. Raises Stopped in between."""
    form = backend.format(params.format)
    seen = Seen()
    for prompt in seeds:
        seen.add(f"{SEED} {prompt.id}", prompt.text)
    known = events.records("attempt")
    kept = 0
    events.started(
        device=writing_label(backend),
        dtype=backend.dtype,
        total=params.count,
        unit="prompts",
        resumed_at=sum(not data["reason"] for data in known.values()),
        notes=[form.note] if form.note else [],
        format=form.name,
    )
    size, most = params.sampling.batch_size, params.count * params.attempts
    for start in range(0, most, size):
        if kept >= params.count:
            break
        batch = [
            attempt_of(number, seeds, principles, params, seed) for number in range(start, min(start + size, most))
        ]
        if not all(attempt.key in known for attempt in batch):
            if should_stop():
                raise Stopped
            known = _tried(batch, form, backend, params) | known  # what was recorded before a kill stays
            events.batch("attempt", [attempt.key for attempt in batch], together_of(backend))
        for attempt in batch:
            data = known[attempt.key]
            if "reason" not in data:
                data["reason"] = "" if kept < params.count else "enough are written"
                data["reason"] = data["reason"] or why_not(data["text"], data["finish"], seen, params.max_similarity)
            events.record("attempt", attempt.key, data)
            if not data["reason"]:
                kept += 1
                seen.add(f"prompt {data['id']}", data["text"])
                events.record("prompt", data["id"], _row(data))
        events.progress(kept, prompt_tokens=prompt_tokens_of(backend))
    if not kept:
        raise BadInput(
            f"None of {len(known)} attempts gave a usable prompt: {_reasons(events)}.",
            "Show other seed prompts, allow more similarity, or choose a larger model.",
        )
    summary = _summary(events, params) | spent_of(backend)
    events.finished(outputs={"prompts": events.write_output("prompt", "prompts")}, summary=summary)


def attempt_of(
    number: int, seeds: Sequence[Prompt], principles: Sequence[Principle], params: WriteParams, seed: int
) -> Attempt:
    """What attempt `number` shows and aims at: a pure function of the job."""
    draw = random.Random(seed_for(seed, "attempt", number))  # noqa: S311 (repeatable on purpose)
    shown = tuple(draw.sample(list(seeds), min(params.shown, len(seeds))))
    principle = choose_principle(principles, seed, "attempt", number) if principles else None
    return Attempt(number, shown, principle, seed_for(seed, "write", number))


def prompt_text(form: PromptFormat, attempt: Attempt) -> str:
    """What is sent: a transcript of the person's turns to go on with, or a request for one more in the model's chat."""
    aim = form.defuse(attempt.principle.text or attempt.principle.title) if attempt.principle else ""
    texts = [form.defuse(prompt.text) for prompt in attempt.shown]
    if form.template is None:
        head = f"Messages that put an assistant to the test by this principle: {aim}" if aim else ""
        return head + "".join(f"\n\n{LABELS['user']}: {text}" for text in texts) + f"\n\n{LABELS['user']}:"
    listed = "\n".join(f"{number}. {text}" for number, text in enumerate(texts, start=1))
    test = f"They put it to the test by this principle: {aim}\n" if aim else ""
    asked = "Write one more message of this kind, about something else. Write only the message."
    return form.template([Message("user", f"People sent these messages to an assistant. {test}\n{listed}\n\n{asked}")])


_ITEM = re.compile(r"^\s*(?:\d{1,2}[.)]|[-*])\s+", re.MULTILINE)
_QUOTES = {'"': '"', "“": "”", "'": "'"}


def cleaned(text: str) -> str:
    """One prompt out of what was written: the first item of a list, without its number, label or quotation marks."""
    text = without_label(text, LABELS["user"])
    first = _ITEM.match(text)
    items = [part.strip() for part in _ITEM.split(text) if part.strip()]
    text = items[0] if items and (first or len(items) > 1) else text.strip()
    if len(text) > 1 and _QUOTES.get(text[0]) == text[-1]:
        text = text[1:-1]
    return normalise(text)


def why_not(text: str, finish: str, seen: Seen, most: float) -> str:
    """Why a text is no new prompt; "" when it is one."""
    if not text:
        return "empty"
    if len(words(text)) < LEAST_WORDS:
        return "too short"
    if finish == "length":
        return "cut off"
    if is_evasive(text):
        return "declines instead of asking"
    similarity, name = seen.nearest(text)
    if similarity > most:
        return "like a seed prompt" if name.startswith(f"{SEED} ") else "like one already written"
    return ""


def _tried(
    batch: Sequence[Attempt], form: PromptFormat, backend: Backend, params: WriteParams
) -> dict[str, dict[str, Any]]:
    """The data of the "attempt" records of one batch, still without their reasons."""
    requests = [GenerationRequest(one.key, prompt_text(form, one), one.seed) for one in batch]
    written = backend.generate(requests, params.sampling, form.stops)
    return {one.key: _attempted(one, text) for one, text in zip(batch, written, strict=True)}


def _attempted(attempt: Attempt, written: Generation) -> dict[str, Any]:
    text = cleaned(written.text)
    return {
        "id": f"written-{hashlib.sha256(text.encode()).hexdigest()[:16]}",
        "text": text,
        "shown": [prompt.id for prompt in attempt.shown],
        "principle_id": attempt.principle.id if attempt.principle else None,
        "finish": written.finish,
        "tokens": written.tokens,
        "seed": attempt.seed,
    }


def _row(data: dict[str, Any]) -> dict[str, Any]:
    tags = ["written"] + ([data["principle_id"][:60]] if data["principle_id"] else [])
    return {"id": data["id"], "text": data["text"], "kind": "red_team", "tags": tags}


def _summary(events: EventLog, params: WriteParams) -> dict[str, Any]:
    attempts = list(events.records("attempt").values())
    principles = Counter(one["principle_id"] for one in attempts if one["principle_id"] and not one["reason"])
    return {
        "wanted": params.count,
        "written": sum(not one["reason"] for one in attempts),
        "attempts": len(attempts),
        "left_out": dict(sorted(Counter(one["reason"] for one in attempts if one["reason"]).items())),
        "tokens": sum(one["tokens"] for one in attempts),
    } | ({"principles": dict(sorted(principles.items()))} if principles else {})


def _reasons(events: EventLog) -> str:
    counts = Counter(one["reason"] for one in events.records("attempt").values())
    return ", ".join(f"{count} {reason}" for reason, count in counts.most_common())
