"""Stage *label*: a judge says which of two responses keeps better to a principle (arXiv 2212.08073, section 4.1).

    p(a) = mean over both orders of  exp(logp_a) / (exp(logp_a) + exp(logp_b))

The paper asks once; small judges follow the position rather than the text (Lee et al. 2309.00267 count the same
position preferred after a swap: 18 to 56%), so both orders are asked and averaged, and the share of labels that stuck
to a position is reported. Log-probabilities are kept raw: any other averaging or clamp can be computed from
them without the model. The clamp (paper: 0.4 to 0.6, with chain of thought only) is off by default. Left out: chain of
thought, "neither".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from constitutions_app.core.principles import Constitution, Principle
from constitutions_app.core.wordings import wordings_for
from training_app.core.backends import Backend, OptionScore, Question, open_backend
from training_app.core.config import LabelParams
from training_app.core.device import judging_dtype
from training_app.core.errors import BadInput, Stopped
from training_app.core.events import EventLog
from training_app.core.generation import plan_batches
from training_app.core.job import Job
from training_app.core.principle_choice import choose_principles, principles_serving
from training_app.core.prompts import OPTIONS, PromptFormat, comparison
from training_app.core.rows import Comparison


def run(job: Job, events: EventLog, should_stop: Callable[[], bool]) -> None:
    """Label every comparison of ``inputs.comparisons``; records "label", output ``labels``."""
    params = job.params(LabelParams)
    _refuse_bad_clamp(params)
    constitution = job.constitution()
    principles_serving(constitution, "label")
    comparisons = job.read_input("comparisons", Comparison.from_row)
    backend = open_backend(job.model, lambda message: events.log(message, level="warning"), dtype=judging_dtype())
    label(comparisons, constitution, backend, params, events, should_stop, seed=job.seed)


@dataclass(frozen=True)
class Order:
    """One order of asking: "ab" shows response a first. The log-probabilities are those of the responses a and b."""

    order: str
    logp_a: float
    logp_b: float
    p_a: float


@dataclass(frozen=True)
class Label:
    """One comparison judged by one principle in both orders."""

    comparison_id: str
    principle_id: str
    question: str
    template: str
    orders: tuple[Order, Order]
    sent: dict[str, str]

    @property
    def p_a(self) -> float:
        """Probability that a is preferred, the mean of both orders."""
        return (self.orders[0].p_a + self.orders[1].p_a) / 2

    @property
    def same_position(self) -> bool:
        """Whether both orders chose the same place rather than the same response."""
        chose_first = [self.orders[0].p_a > 0.5, self.orders[1].p_a < 0.5]
        chose_second = [self.orders[0].p_a < 0.5, self.orders[1].p_a > 0.5]
        return all(chose_first) or all(chose_second)

    def data(self, params: LabelParams, dtype: str) -> dict[str, Any]:
        """The data of a "label" record."""
        low, high = clamp_of(params) or (0.0, 1.0)
        clamp = clamp_of(params)
        return {
            "comparison_id": self.comparison_id,
            "principle_id": self.principle_id,
            "question": self.question,
            "template": self.template,
            "orders": [asdict(order) for order in self.orders],
            "p_a": self.p_a,
            "clamp": None if clamp is None else list(clamp),
            "p_a_clamped": min(max(self.p_a, low), high),
            "same_position": self.same_position,
            "sent": self.sent,
            "dtype": dtype,
        }


def label(
    comparisons: Sequence[Comparison],
    constitution: Constitution,
    backend: Backend,
    params: LabelParams,
    events: EventLog,
    should_stop: Callable[[], bool],
    *,
    seed: int,
) -> None:
    """Batch by batch; a batch that is already recorded is not done again. Raises Stopped between batches."""
    principles = principles_serving(constitution, "label")
    different = [item for item in comparisons if not item.identical and item.response_a != item.response_b]
    chosen = {
        item.id: choose_principles(principles, seed, item.id, params.principles_per_comparison) for item in different
    }
    done = len(events.known("label"))
    events.started(
        device=backend.label,
        dtype=backend.dtype,
        total=sum(map(len, chosen.values())),
        unit="labels",
        resumed_at=done,
        notes=_notes(len(comparisons) - len(different)),
        template=params.template,
    )
    for batch in plan_batches(different, lambda item: _length(item, backend), params.batch_size):
        pairs = [(item, principle) for item in batch for principle in chosen[item.id]]
        if all(events.has("label", f"{item.id}/{principle.id}") for item, principle in pairs):
            continue
        if should_stop():
            raise Stopped
        for judged in judge(pairs, backend, params.template):
            key = f"{judged.comparison_id}/{judged.principle_id}"
            done += events.record("label", key, judged.data(params, backend.dtype))
        events.progress(done)
    output = events.write_output("label", "labels")
    events.finished(outputs={"labels": output}, summary=_summary(events, len(comparisons) - len(different)))


def judge(pairs: Sequence[tuple[Comparison, Principle]], backend: Backend, template: str) -> list[Label]:
    """Ask the judge about each comparison under its principle, in both orders; one label each, in the order given."""
    form = backend.format("auto")
    asked = [_ask(item, principle, form, template) for item, principle in pairs]
    questions = [Question(sent[order], OPTIONS) for _, sent in asked for order in ("ab", "ba")]
    scores = backend.score_options(questions)
    return [
        Label(
            comparison_id=item.id,
            principle_id=principle.id,
            question=question,
            template=template,
            orders=(
                _order("ab", scores[2 * index].first, scores[2 * index].second),
                _order("ba", scores[2 * index + 1].second, scores[2 * index + 1].first),
            ),
            sent=sent,
        )
        for index, ((item, principle), (question, sent)) in enumerate(zip(pairs, asked, strict=True))
    ]


def p_first(score: OptionScore) -> float:
    """Probability of the first option, normalised over the two."""
    return 1 / (1 + math.exp(min(score.second - score.first, 700.0)))


def clamp_of(params: LabelParams) -> tuple[float, float] | None:
    """The bounds p(a) is clamped to, or None when it is not."""
    if params.clamp_low is None and params.clamp_high is None:
        return None
    return (
        0.0 if params.clamp_low is None else params.clamp_low,
        1.0 if params.clamp_high is None else params.clamp_high,
    )


def _ask(item: Comparison, principle: Principle, form: PromptFormat, template: str) -> tuple[str, dict[str, str]]:
    """The question and the two texts sent, by order."""
    question = wordings_for(principle).comparison_question
    return question, {
        "ab": comparison(form, template, item.messages, question, item.response_a, item.response_b),
        "ba": comparison(form, template, item.messages, question, item.response_b, item.response_a),
    }


def _order(order: str, logp_a: float, logp_b: float) -> Order:
    return Order(order, logp_a, logp_b, p_first(OptionScore(logp_a, logp_b)))


def _length(item: Comparison, backend: Backend) -> int:
    return backend.length("\n".join([item.prompt, item.response_a, item.response_b]))


def _refuse_bad_clamp(params: LabelParams) -> None:
    clamp = clamp_of(params)
    if clamp is not None and clamp[0] > clamp[1]:
        raise BadInput(
            f"clamp_low ({clamp[0]:g}) is above clamp_high ({clamp[1]:g}).", "Swap them, or leave them empty."
        )


def _notes(identical: int) -> list[str]:
    if not identical:
        return []
    return [f"{identical} comparison{' has' if identical == 1 else 's have'} equal responses and will not be labelled."]


def _summary(events: EventLog, identical: int) -> dict[str, Any]:
    labels = [
        (data["p_a"], data["same_position"], data["orders"][0]["p_a"], data["orders"][1]["p_a"])
        for _, data in events.iter_records("label")
    ]
    count = max(len(labels), 1)
    return {
        "labels": len(labels),
        "not_labelled_identical": identical,
        "p_a_mean": sum(p for p, *_ in labels) / count,
        "same_position": sum(same for _, same, *_ in labels) / count,
        "first_position": sum((ab > 0.5) + (ba < 0.5) for *_, ab, ba in labels) / (2 * count),
    }
