"""Stage *label*: a judge says which of two responses keeps better to a principle (arXiv 2212.08073, section 4.1).

    p(a) = mean over both orders of  exp(logp_a) / (exp(logp_a) + exp(logp_b))

The paper asks once; small judges follow the position rather than the text (Lee et al. 2309.00267 count the same
position preferred after a swap: 18 to 56%), so both orders are asked and averaged, and the share of labels that stuck
to a position is reported. One principle is drawn per label (paper), or every principle judges every comparison, or all
of them are put into one prompt; worked comparisons, a third answer "neither" and a chain of thought are options
(`asking.py`). Log-probabilities are kept raw, so every averaging and clamp can be computed again without the model
(`aggregate.py`). Left out: self-consistency over answers instead of probabilities.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from constitutions_app.core.principles import Constitution, Principle
from training_app.core.aggregate import Vote, clamped, neither_of, p_of
from training_app.core.asking import THOUGHT_STOPS, Asking, Manner, manner_of, question_text
from training_app.core.backends import (
    Backend,
    GenerationRequest,
    Question,
    how_of,
    judging_label,
    open_for_stage,
    spent_of,
)
from training_app.core.config import LabelParams
from training_app.core.device import judging_dtype
from training_app.core.engine import JUDGE, WRITE
from training_app.core.errors import BadInput, Stopped
from training_app.core.events import EventLog
from training_app.core.exemplars import with_family_exemplars
from training_app.core.generation import plan_batches, seed_for
from training_app.core.job import Job
from training_app.core.option_tokens import check_option_tokens
from training_app.core.principle_choice import choose_principles, principles_serving
from training_app.core.prompts import NEITHER, OPTIONS
from training_app.core.rows import Comparison


def run(job: Job, events: EventLog, should_stop: Callable[[], bool]) -> None:
    """Label every comparison of ``inputs.comparisons`` and ``inputs.human``; records "label", output ``labels``."""
    params = job.params(LabelParams)
    _refuse_bad_clamp(params)
    constitution = with_family_exemplars(job)
    principles_serving(constitution, "label")
    comparisons = job.read_input("comparisons", Comparison.from_row)
    if "human" in job.inputs:
        comparisons += job.read_input("human", Comparison.from_row)
    uses = (JUDGE, WRITE) if params.cot_samples else (JUDGE,)
    backend = open_for_stage(job.model, events, *uses, dtype=judging_dtype())
    label(comparisons, constitution, backend, params, events, should_stop, seed=job.seed)


@dataclass(frozen=True)
class Order:
    """One order of asking: "ab" shows response a first. The log-probabilities are those of the responses a and b.

    With a chain of thought p_a is the mean over its samples, and the log-probabilities are those of that mean.
    """

    order: str
    logp_a: float
    logp_b: float
    p_a: float


@dataclass(frozen=True)
class Thought:
    """What a judge was sent in one order, what it thought (None: it was not asked to) and the vote behind it."""

    sent: str
    thoughts: str | None
    vote: Vote


@dataclass(frozen=True)
class Label:
    """One comparison judged by one principle, or by all at once, in both orders."""

    asking: Asking
    manner: Manner
    askings: tuple[Thought, ...]

    @property
    def comparison_id(self) -> str:
        """The comparison judged."""
        return self.asking.item.id

    @property
    def principle_id(self) -> str | None:
        """The principle it was judged under; None for all at once."""
        return self.asking.principle_id

    @property
    def votes(self) -> list[Vote]:
        """The raw askings, "ab" before "ba"."""
        return [one.vote for one in self.askings]

    @property
    def orders(self) -> tuple[Order, Order]:
        """Both orders, each the mean of its samples."""
        return self._order("ab"), self._order("ba")

    @property
    def p_a(self) -> float:
        """Probability that a is preferred, the mean of both orders."""
        return p_of(self.votes)

    @property
    def same_position(self) -> bool:
        """Whether both orders chose the same place rather than the same response."""
        ab, ba = self.orders
        return (ab.p_a > 0.5 and ba.p_a < 0.5) or (ab.p_a < 0.5 and ba.p_a > 0.5)

    def data(self, params: LabelParams, dtype: str) -> dict[str, Any]:
        """The data of a "label" record."""
        clamp = params.clamp
        found: dict[str, Any] = {
            "comparison_id": self.comparison_id,
            "principle_id": self.principle_id,
            "question": self.asking.question,
            "template": self.manner.template,
            "manner": self.manner.words(together=self.principle_id is None),
            "orders": [asdict(order) for order in self.orders],
            "p_a": self.p_a,
            "clamp": None if clamp is None else list(clamp),
            "p_a_clamped": clamped(self.p_a, clamp),
            "same_position": self.same_position,
            "sent": {one.vote.order: one.sent for one in reversed(self.askings)},
            "dtype": dtype,
        }
        if self.principle_id is None:
            found["principles"] = [principle.id for principle in self.asking.principles]
        if self.manner.cot_samples or self.manner.neither:
            found["votes"] = [asdict(one.vote) | {"thoughts": one.thoughts} for one in self.askings]
        if self.manner.neither:
            found["p_neither"] = neither_of(self.votes)
        return found

    def _order(self, order: str) -> Order:
        votes = [vote for vote in self.votes if vote.order == order]
        if len(votes) == 1:
            return Order(order, votes[0].logp_a, votes[0].logp_b, votes[0].p_a)
        p_a = p_of(votes)
        return Order(order, math.log(max(p_a, 1e-300)), math.log(max(1 - p_a, 1e-300)), p_a)


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
    manner = manner_of(params, constitution.exemplars, principles, seed)
    tokens = check_option_tokens(backend, manner.options)
    different = [item for item in comparisons if not item.identical and item.response_a != item.response_b]
    chosen = {item.id: askings_for(item, principles, params, seed) for item in different}
    done = len(events.known("label"))
    events.started(
        device=judging_label(backend),
        dtype=backend.dtype,
        total=sum(map(len, chosen.values())),
        unit="labels",
        resumed_at=done,
        notes=_notes(len(comparisons) - len(different)),
        template=params.template,
    )
    for batch in plan_batches(different, lambda item: _length(item, backend), params.batch_size):
        askings = [asking for item in batch for asking in chosen[item.id]]
        if all(events.has("label", asking.key) for asking in askings):
            continue
        if should_stop():
            raise Stopped
        for judged in judge_all(askings, backend, manner, seed):
            data = judged.data(params, backend.dtype) | {"how": how_of(backend)}
            done += events.record("label", judged.asking.key, data)
        events.progress(done)
    output = events.write_output("label", "labels")
    summary = _summary(events, len(comparisons) - len(different)) | spent_of(backend)
    events.finished(outputs={"labels": output}, summary=summary | ({"answers": tokens.words()} if tokens else {}))


def askings_for(item: Comparison, principles: Sequence[Principle], params: LabelParams, seed: int) -> list[Asking]:
    """What one comparison is judged under: drawn principles, every principle by itself, or all of them at once."""
    if params.ask == "together":
        return [Asking(item, tuple(principles))]
    count = len(principles) if params.ask == "every" else params.principles_per_comparison
    drawn = principles if params.ask == "every" else choose_principles(principles, seed, item.id, count)
    return [Asking(item, (principle,)) for principle in drawn]


def judge(pairs: Sequence[tuple[Comparison, Principle]], backend: Backend, template: str) -> list[Label]:
    """Ask the judge about each comparison under its principle, in both orders; one label each, in the order given."""
    return judge_all([Asking(item, (principle,)) for item, principle in pairs], backend, Manner(template), 0)


def judge_all(askings: Sequence[Asking], backend: Backend, manner: Manner, seed: int) -> list[Label]:
    """The same for askings of any kind, in any manner. `seed` draws the thoughts, one batch for each sample."""
    places = [(asking, order) for asking in askings for order in ("ab", "ba")]
    form = backend.format("auto")
    asked: list[tuple[str, str | None]]
    if not manner.cot_samples:
        asked = [(question_text(form, manner, asking, order), None) for asking, order in places]
    else:
        asked = _think(places, backend, manner, seed)
        places = [place for place in places for _ in range(manner.cot_samples)]
    votes = iter(_vote([sent for sent, _ in asked], [order for _, order in places], backend, manner))
    found = [Thought(sent, thoughts, next(votes)) for sent, thoughts in asked]
    each = len(found) // max(len(askings), 1)
    return [
        Label(asking, manner, tuple(found[number * each : (number + 1) * each]))
        for number, asking in enumerate(askings)
    ]


def _think(
    places: Sequence[tuple[Asking, str]], backend: Backend, manner: Manner, seed: int
) -> list[tuple[str, str | None]]:
    """For every place its samples in a row: the text sent at last, with the thoughts in it, and the thoughts."""
    form = backend.format("auto")
    asked = [question_text(form, manner, asking, order) for asking, order in places]
    size = manner.thoughts.batch_size
    drawn: list[list[str]] = [[] for _ in places]
    for sample in range(manner.cot_samples):
        for start in range(0, len(places), size):
            requests = [
                GenerationRequest(
                    f"{asking.key}/{order}/{sample}", text, seed_for(seed, asking.key, order, "thoughts", sample)
                )
                for (asking, order), text in zip(places[start : start + size], asked[start : start + size], strict=True)
            ]
            written = backend.generate(requests, manner.thoughts, (*form.stops, *THOUGHT_STOPS))
            for place, one in enumerate(written, start=start):
                drawn[place].append(one.text)
    return [
        (question_text(form, manner, asking, order, thoughts), thoughts)
        for (asking, order), samples in zip(places, drawn, strict=True)
        for thoughts in samples
    ]


def _vote(sent: Sequence[str], orders: Sequence[str], backend: Backend, manner: Manner) -> Iterator[Vote]:
    """Score the answers of every text. "Neither" is a second question about the same text, whose forward is shared."""
    questions = [Question(text, OPTIONS) for text in sent]
    third = [Question(text, (OPTIONS[0], NEITHER)) for text in sent] if manner.neither else []
    scores = backend.score_options([*questions, *third])
    for number, order in enumerate(orders):
        first, second = scores[number].first, scores[number].second
        logp_a, logp_b = (first, second) if order == "ab" else (second, first)
        yield Vote(order, logp_a, logp_b, scores[len(sent) + number].second if manner.neither else None)


def _length(item: Comparison, backend: Backend) -> int:
    return backend.length("\n".join([item.prompt, item.response_a, item.response_b]))


def _refuse_bad_clamp(params: LabelParams) -> None:
    clamp = params.clamp
    if clamp is not None and clamp[0] > clamp[1]:
        raise BadInput(
            f"clamp_low ({clamp[0]:g}) is above clamp_high ({clamp[1]:g}).", "Swap them, or leave them empty."
        )


def _notes(identical: int) -> list[str]:
    if not identical:
        return []
    return [f"{identical} comparison{' has' if identical == 1 else 's have'} equal responses and will not be labelled."]


def _summary(events: EventLog, identical: int) -> dict[str, Any]:
    labels = irrelevant = 0
    p_a = same = first = 0.0
    asks_neither = False
    for _, data in events.iter_records("label"):  # one by one: a job may have a million
        labels += 1
        p_a += data["p_a"]
        same += data["same_position"]
        first += (data["orders"][0]["p_a"] > 0.5) + (data["orders"][1]["p_a"] < 0.5)
        asks_neither |= "p_neither" in data
        irrelevant += data.get("p_neither", 0) > 0.5
    count = max(labels, 1)
    return {
        "labels": labels,
        "not_labelled_identical": identical,
        "p_a_mean": p_a / count,
        "same_position": same / count,
        "first_position": first / (2 * count),
    } | ({"not_relevant": irrelevant} if asks_neither else {})
