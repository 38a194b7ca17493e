"""Stage *revise*: the model criticises its own response by a principle and rewrites it, round after round.

    (prompt, answer₀) → critique₁ → revision₁ = answer₁ → critique₂ → … → answer_N       (arXiv 2212.08073, section 3.1)

At every round of every prompt a principle is drawn by weight (other ways in `principle_choice.py`). Worked examples of
the constitution stand before the conversation. The revision prompt extends the critique prompt; after a round, prompt
and revision are set as an ordinary turn again. Every step keeps the principle's id, both texts exactly as sent, and
flags for what usually goes wrong. An empty revision is kept and flagged, and the next round goes on from the last
answer that was not empty. With `critique` off the answer is revised at once, and the examples show none (section 3.5).

Left out: dropping bad revisions (that is a dataset build's decision).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from constitutions_app.core.principles import Constitution, Exemplar, Principle
from constitutions_app.core.wordings import Wordings, wordings_for
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
from training_app.core.config import ReviseParams
from training_app.core.engine import WRITE
from training_app.core.errors import BadInput, Stopped
from training_app.core.events import EventLog
from training_app.core.exemplars import with_family_exemplars
from training_app.core.generation import plan_batches, seed_for
from training_app.core.job import Job
from training_app.core.principle_choice import principles_by_round, principles_serving
from training_app.core.prompts import PromptFormat
from training_app.core.rows import Response
from training_app.core.signals import step_flags, without_label


def run(job: Job, events: EventLog, should_stop: Callable[[], bool]) -> None:
    """Revise every red-team response of ``inputs.responses``; records "step", output ``steps``."""
    params = job.params(ReviseParams)
    constitution = with_family_exemplars(job)
    principles_serving(constitution, "revise")
    responses = [row for row in job.read_input("responses", Response.from_row) if row.kind == "red_team"]
    if not responses:
        raise BadInput("There is no response to a red-team prompt to revise.", "Add red-team prompts to the run.")
    backend = open_for_stage(job.model, events, WRITE)
    revise(responses, constitution, backend, params, events, should_stop, seed=job.seed)


@dataclass(frozen=True)
class Asking:
    """One step about to be made: an answer, the principle it is held against, and the texts that will be sent."""

    key: str
    response: Response
    round: int
    answer: str
    principle: Principle
    wordings: Wordings
    seed: int


@dataclass(frozen=True)
class Criticised:
    """A critique and the text it was asked with."""

    sent: str
    critique: Generation


def revise(
    responses: Sequence[Response],
    constitution: Constitution,
    backend: Backend,
    params: ReviseParams,
    events: EventLog,
    should_stop: Callable[[], bool],
    *,
    seed: int,
) -> None:
    """All rounds of one batch, then the next batch. What is recorded is not done again. Raises Stopped in between."""
    form = backend.format(params.format)
    principles = principles_serving(constitution, "revise")
    exemplars = constitution.exemplars[: params.exemplars]
    rounds = len(principles) if params.draw == "in_order" else params.rounds
    revisions = {key: data["revision"] for key, data in events.iter_records("step")}
    events.started(
        device=writing_label(backend),
        dtype=backend.dtype,
        total=len(responses) * rounds,
        unit="steps",
        resumed_at=len(revisions),
        notes=[form.note] if form.note else [],
        format=form.name,
    )
    tokens = 0
    batches = plan_batches(responses, lambda row: backend.length(row.prompt + row.text), params.sampling.batch_size)
    if batches:
        _refuse_too_long(batches[0][0], principles, exemplars, form, backend, params)
    for batch in batches:
        answers = {row.prompt_id: row.text for row in batch}
        drawn = {
            row.prompt_id: principles_by_round(principles, seed, row.prompt_id, params.rounds, params.draw)
            for row in batch
        }
        for round_number in range(1, rounds + 1):
            keys = {row.prompt_id: f"{row.prompt_id}/{round_number}" for row in batch}
            if not all(key in revisions for key in keys.values()):
                if should_stop():
                    raise Stopped
                askings = [
                    _asking(row, round_number, answers[row.prompt_id], drawn[row.prompt_id][round_number - 1], seed)
                    for row in batch
                ]
                steps = _steps(askings, exemplars, form, backend, params)
                events.batch("step", list(keys.values()), together_of(backend))
                for key, data in zip(keys.values(), steps, strict=True):
                    events.record("step", key, data)
                    revisions.setdefault(key, data["revision"])
                    tokens += data["tokens"]
                events.progress(len(revisions), tokens=tokens, prompt_tokens=prompt_tokens_of(backend))
            answers = {row: revisions[key] or answers[row] for row, key in keys.items()}
    summary = _summary(events, len(responses)) | spent_of(backend)
    events.finished(outputs={"steps": events.write_output("step", "steps")}, summary=summary)


def _asking(row: Response, round_number: int, answer: str, principle: Principle, seed: int) -> Asking:
    key, step_seed = f"{row.prompt_id}/{round_number}", seed_for(seed, row.prompt_id, round_number)
    return Asking(key, row, round_number, answer, principle, wordings_for(principle), step_seed)


def _steps(
    askings: Sequence[Asking],
    exemplars: Sequence[Exemplar],
    form: PromptFormat,
    backend: Backend,
    params: ReviseParams,
) -> list[dict[str, Any]]:
    """One round of a batch: all critiques, then all revisions. Returns the data of the "step" records, in order."""

    def ask(prompts: Sequence[str], part: str) -> list[Generation]:
        requests = [
            GenerationRequest(f"{asking.key}/{part}", prompt, seed_for(asking.seed, part))
            for asking, prompt in zip(askings, prompts, strict=True)
        ]
        extends = part == "revision" and params.critique
        drawn = backend.generate(requests, params.sampling, form.stops, extends=extends)
        return [replace(one, text=without_label(one.text, part.capitalize())) for one in drawn]

    if not params.critique:
        asked = [form.direct_revision(one.response.messages, one.answer, one.wordings, exemplars) for one in askings]
        revisions = ask(asked, "revision")
        return [_step(*parts, None) for parts in zip(askings, asked, revisions, strict=True)]
    first = [form.critique(one.response.messages, one.answer, one.wordings, exemplars) for one in askings]
    critiques = ask(first, "critique")
    asked = [
        form.revision(one.response.messages, one.answer, one.wordings, critique.text, exemplars)
        for one, critique in zip(askings, critiques, strict=True)
    ]
    revisions = ask(asked, "revision")
    return [
        _step(asking, text, revision, Criticised(text_before, critique))
        for asking, text, revision, text_before, critique in zip(
            askings, asked, revisions, first, critiques, strict=True
        )
    ]


def _step(asking: Asking, sent: str, revision: Generation, criticised: Criticised | None) -> dict[str, Any]:
    """The data of one "step" record; without a critique its texts and its request are empty."""
    critique = criticised.critique if criticised else Generation(asking.key, "", 0, "stop")
    flags = step_flags(
        asking.answer,
        critique.text,
        revision.text,
        is_cut="length" in (critique.finish, revision.finish),
        has_critique=criticised is not None,
    )
    return {
        "prompt_id": asking.response.prompt_id,
        "round": asking.round,
        "principle_id": asking.principle.id,
        "critique_request": asking.wordings.critique_request if criticised else "",
        "critique": critique.text,
        "revision_request": asking.wordings.revision_request,
        "revision": revision.text,
        "flags": list(flags),
        "sent": {"critique": criticised.sent if criticised else "", "revision": sent},
        "tokens": critique.tokens + revision.tokens,
        "seed": asking.seed,
    }


def _refuse_too_long(
    row: Response,
    principles: Sequence[Principle],
    exemplars: Sequence[Exemplar],
    form: PromptFormat,
    backend: Backend,
    params: ReviseParams,
) -> None:
    """Refuse at the start, not hours later, when the longest prompt with a critique and a revision cannot fit."""
    wordings = max((wordings_for(principle) for principle in principles), key=lambda three: len(str(three)))
    asked = backend.length(form.revision(row.messages, row.text, wordings, "", exemplars))
    needed = asked + 3 * params.sampling.max_new_tokens
    if needed > backend.context:
        raise BadInput(
            f"The prompt {row.prompt_id} with {len(exemplars)} worked examples needs about {needed} tokens; the model "
            f"reads at most {backend.context}.",
            "Use fewer worked examples, fewer new tokens or shorter prompts.",
        )


def _summary(events: EventLog, prompts: int) -> dict[str, Any]:
    flags: Counter[str] = Counter()
    principles: Counter[str] = Counter()
    steps = tokens = 0
    for _, data in events.iter_records("step"):
        flags.update(data["flags"])
        principles[data["principle_id"]] += 1
        steps, tokens = steps + 1, tokens + data["tokens"]
    return {
        "prompts": prompts,
        "steps": steps,
        "tokens": tokens,
        "flags": dict(sorted(flags.items())),
        "principles": dict(sorted(principles.items())),
    }
