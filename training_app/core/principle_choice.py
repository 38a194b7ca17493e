"""Which principle an item is judged by: drawn by weight, the same one whatever the order or the batch.

The paper draws a principle at every revision step of every prompt (arXiv 2212.08073, section 3.1) and one for every
label (section 4.1). The draw here is a pure function of (seed, item, round), so a restarted or re-ordered job cites the
same principles. Two ablations draw otherwise: without replacement, and every principle once in the constitution's order
(LangChain's chain; its later principles may undo earlier ones). Left out: weighing by relevance.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from constitutions_app.core.principles import Constitution, Principle
from training_app.core.errors import BadInput
from training_app.core.generation import seed_for


def principles_serving(constitution: Constitution, stage: str) -> tuple[Principle, ...]:
    """The principles `stage` may draw. Raises BadInput when there is none."""
    principles = constitution.serving(stage)
    if not principles:
        raise BadInput(
            f"No enabled principle serves the stage {stage}; enable one.",
            "A principle serves a stage when it is enabled, names the stage and has a weight above 0.",
        )
    return principles


def choose_principle(principles: Sequence[Principle], seed: int, item: str, round_number: int) -> Principle:
    """One principle for one round of one item, drawn in proportion to the weights."""
    return choose_principles(principles, seed_for(seed, item, round_number, "principle"), item, 1)[0]


def principles_by_round(
    principles: Sequence[Principle], seed: int, item: str, rounds: int, draw: str
) -> tuple[Principle, ...]:
    """The principle of each round of one item. `draw` is an option of `ReviseParams`.

    * "each_round": drawn anew by weight at every round (paper);
    * "without_replacement": by weight, none twice before all have been drawn;
    * "in_order": every principle once, in their order; `rounds` does not count then.
    """
    if draw == "in_order":
        return tuple(principles)
    if draw == "each_round":
        return tuple(choose_principle(principles, seed, item, number) for number in range(1, rounds + 1))
    drawn: list[Principle] = []
    while len(drawn) < rounds:
        cycle = seed_for(seed, item, "cycle", len(drawn))
        drawn += choose_principles(principles, cycle, item, rounds - len(drawn))
    return tuple(drawn)


def choose_principles(principles: Sequence[Principle], seed: int, item: str, count: int) -> list[Principle]:
    """`count` different principles (or all, if there are fewer) for one item, drawn by weight without replacement."""
    draw = random.Random(seed_for(seed, item, "principles"))  # noqa: S311 (repeatable on purpose)
    left, chosen = list(principles), []
    for _ in range(min(count, len(left))):
        mark = draw.random() * sum(principle.weight for principle in left)
        index = 0
        while index < len(left) - 1 and mark >= left[index].weight:
            mark -= left[index].weight
            index += 1
        chosen.append(left.pop(index))
    return chosen
