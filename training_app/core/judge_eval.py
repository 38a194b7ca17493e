"""Judge evaluation: a judge against questions whose right answer is known (arXiv 2212.08073, section 4.1 and figure 9).

    p(a) = mean over the orders asked of p(a | order),    right when p(a) > 1/2 and a is right (1/2 counts half)

* accuracy with Wilson's interval, both orders together and each by itself;
* position: how often each order chose the option shown first, and `same_position`, the share of questions where both
  orders chose the same place: near 1 the judge reads places and not texts;
* calibration: in bins of the confidence max(p, 1 - p), how often the judge was right;
  ECE = Σ |bin|/n · |mean confidence - share right| (Guo et al. 1706.04599, 10 bins over [1/2, 1]), and the Brier score.

A stage program like the others (``stage: "judge_eval"``): resumable, with progress. Left out: chain of thought.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from training_app.core.backends import Backend, OptionScore, how_of, judging_label, open_for_stage, spent_of
from training_app.core.device import judging_dtype
from training_app.core.engine import JUDGE
from training_app.core.errors import BadInput, Stopped
from training_app.core.events import EventLog
from training_app.core.generation import plan_batches
from training_app.core.job import Job, ModelRef
from training_app.core.judge_items import QUESTION, JudgeItem, read_items
from training_app.core.judge_spec import JudgeSpec
from training_app.core.statistics import wilson

BINS = 10


@dataclass(frozen=True)
class JudgeEvalParams:
    """`most`: only the first so many questions of the file."""

    template: str = "paper"
    question: str = QUESTION
    batch_size: int = 16
    most: int | None = None


Judged = Mapping[str, Any]
"""Data of a "judged" record: line, a_is_right, orders [{order, logp_a, logp_b, p_a}], p_a, sent."""


def run(job: Job, events: EventLog, should_stop: Callable[[], bool]) -> None:
    """Judge every question of ``inputs.items``; records "judged", the whole report in the summary."""
    params = job.params(JudgeEvalParams)
    items = read_items(job.input_path("items"), most=params.most)
    backend = open_for_stage(job.model, events, JUDGE, dtype=judging_dtype())
    events.started(
        device=judging_label(backend), dtype=backend.dtype, total=len(items), unit="questions",
        resumed_at=len(events.known("judged")),
    )  # fmt: skip
    for batch in plan_batches(items, lambda item: item.size, params.batch_size):
        if all(events.has("judged", str(item.line)) for item in batch):
            continue
        if should_stop():
            raise Stopped
        for judged in judge_items(batch, backend, params):
            events.record("judged", str(judged["line"]), judged)
        events.progress(len(events.known("judged")))
    output = events.write_output("judged", "judged")
    judged_all = [data for _, data in events.iter_records("judged")]
    summary = report(judged_all, judge_of(backend, job.model, params)) | spent_of(backend)
    events.finished(outputs={"judged": output}, summary=summary)


def judge_file(
    items: Sequence[JudgeItem],
    backend: Backend,
    ref: ModelRef,
    params: JudgeEvalParams,
    on_progress: Callable[[int], None] = lambda done: None,
) -> dict[str, Any]:
    """The same without files: every question judged, and the report."""
    judged: list[Judged] = []
    for batch in plan_batches(items, lambda item: item.size, params.batch_size):
        judged += judge_items(batch, backend, params)
        on_progress(len(judged))
    return report(judged, judge_of(backend, ref, params))


def judge_of(backend: Backend, ref: ModelRef, params: JudgeEvalParams) -> JudgeSpec:
    """Who judged: the model and everything about how it was asked."""
    return JudgeSpec(
        model_name=ref.name, model_digest=ref.digest or "", template=params.template, dtype=backend.dtype,
        backend=ref.backend, **how_of(backend),
    )  # fmt: skip


def judge_items(items: Sequence[JudgeItem], backend: Backend, params: JudgeEvalParams) -> Iterator[dict[str, Any]]:
    """Ask about each question in every order it has, as one batch; one record each, in the order given."""
    form = backend.format("auto")
    asked = [
        (item, order, item.question(order, form, params.template, params.question))
        for item in items
        for order in item.orders
    ]
    scores = backend.score_options([question for *_, question in asked])
    by_line: dict[int, list[dict[str, Any]]] = {}
    for (item, order, _), score in zip(asked, scores, strict=True):
        by_line.setdefault(item.line, []).append(_order(order, score))
    for item in items:
        orders = by_line[item.line]
        p_a = math.fsum(order["p_a"] for order in orders) / len(orders)
        yield {"line": item.line, "a_is_right": item.a_is_right, "orders": orders, "p_a": p_a}


def _order(order: str, score: OptionScore) -> dict[str, Any]:
    logp_a, logp_b = (score.first, score.second) if order == "ab" else (score.second, score.first)
    return {"order": order, "logp_a": logp_a, "logp_b": logp_b, "p_a": 1 / (1 + math.exp(min(logp_b - logp_a, 700.0)))}


# -- the report --------------------------------------------------------------------------------------------------------


def report(judged: Sequence[Judged], judge: JudgeSpec) -> dict[str, Any]:
    """Every number with its interval; a number that cannot be had is None. Raises BadInput for no questions."""
    if not judged:
        raise BadInput("There is no question to measure the judge on.")
    right = [_right(one["p_a"], one["a_is_right"]) for one in judged]
    accuracy = wilson(math.fsum(right), len(right))
    both = [one for one in judged if len(one["orders"]) == 2]
    confidence = [max(one["p_a"], 1 - one["p_a"]) for one in judged]
    curve = calibration(confidence, right)
    return {
        "n": len(judged),
        "accuracy": accuracy.value,
        "interval": accuracy.interval_list(),
        "same_position": sum(map(_same_position, both)) / len(both) if both else None,
        "ece": math.fsum(bin["n"] * abs(bin["confidence"] - bin["accuracy"]) for bin in curve) / len(judged),
        "judge": judge.as_data(),
        "brier": math.fsum((one["p_a"] - one["a_is_right"]) ** 2 for one in judged) / len(judged),
        "orders": {order: found for order in ("ab", "ba") if (found := _in_order(judged, order))},
        "calibration": curve,
    }


def calibration(confidence: Sequence[float], right: Sequence[float]) -> list[dict[str, Any]]:
    """The bins of the confidence that hold anything, from 1/2 to 1: how sure, and how often right, with interval."""
    bins: dict[int, list[tuple[float, float]]] = {}
    for sure, is_right in zip(confidence, right, strict=True):
        bins.setdefault(min(int((sure - 0.5) * 2 * BINS), BINS - 1), []).append((sure, is_right))
    curve = []
    for place in sorted(bins):
        part = bins[place]
        share = wilson(math.fsum(is_right for _, is_right in part), len(part))
        curve.append(
            {
                "low": 0.5 + place / (2 * BINS),
                "high": 0.5 + (place + 1) / (2 * BINS),
                "n": len(part),
                "confidence": math.fsum(sure for sure, _ in part) / len(part),
                "accuracy": share.value,
                "interval": share.interval_list(),
            }
        )
    return curve


def _in_order(judged: Sequence[Judged], name: str) -> dict[str, Any] | None:
    asked = [(one, order) for one in judged for order in one["orders"] if order["order"] == name]
    if not asked:
        return None
    accuracy = wilson(math.fsum(_right(order["p_a"], one["a_is_right"]) for one, order in asked), len(asked))
    first = wilson(math.fsum(_right(order["p_a"], name == "ab") for _, order in asked), len(asked))
    return {
        "n": len(asked),
        "accuracy": accuracy.value,
        "interval": accuracy.interval_list(),
        "first_position": first.value,
        "first_position_interval": first.interval_list(),
    }


def _right(p_a: float, a_is_right: bool) -> float:
    """1 right, 0 wrong, 1/2 undecided."""
    return 0.5 if p_a == 0.5 else float((p_a > 0.5) == a_is_right)


def _same_position(one: Judged) -> bool:
    """Whether both orders chose the same place: then they choose different responses."""
    first, second = (order["p_a"] for order in one["orders"])
    return bool((first > 0.5 and second < 0.5) or (first < 0.5 and second > 0.5))
