"""Goodhart watch over a whole file of answers: boilerplate, evasion, length, distinct-n (2212.08073, section 4.3).

An answer is *evasive* when it declines and engages with nothing (`signals.is_evasive`). Any other answer is
*boilerplate* when it

* holds a stock phrase of reassurance (`signals.has_boilerplate`), or
* is made of a template: at least `COVERED` of its words lie in runs of `RUN` words that also stand in the answers to
  `SPREAD` of the file's prompts. Runs are counted once per prompt, so samples that agree because they answer the same
  question are no template.

Evasion and stock phrases are English only; templates are found in any language that puts spaces between words. Left
out: meaning (a template said in other words each time).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from training_app.core.answers import Answer
from training_app.core.signals import distinct_n, has_boilerplate, is_evasive, words

RUN = 5
"""Words of a run: shorter ones are grammar ("it is important to"), longer ones miss a template with a word changed."""

SPREAD, LEAST_PROMPTS = 0.1, 3
"""A run belongs to a template when the answers to a tenth of the prompts, and to three at least, contain it."""

COVERED = 1 / 3
"""Share of an answer's words inside such runs from which it is a template: one sentence of three."""

SAMPLE = 20_000
"""Templates are learnt from at most so many answers, spread evenly, so that memory stays bounded."""


@dataclass(frozen=True)
class TextSignals:
    """Rates in [0, 1] over `n` answers; `length` in words; `distinct_n` is distinct-2 over all answers together."""

    n: int
    boilerplate: float
    evasion: float
    length: float
    distinct_n: float


def measure(answers: Sequence[Answer]) -> TextSignals:
    """The signals of at least one answer."""
    spoken = [words(answer.text) for answer in answers]
    templates = template_runs(answers, spoken)
    evasive = [is_evasive(answer.text) for answer in answers]
    stock = [
        not declines and (has_boilerplate(answer.text) or covered(said, templates) >= COVERED)
        for answer, said, declines in zip(answers, spoken, evasive, strict=True)
    ]
    n = len(answers)
    return TextSignals(
        n=n,
        boilerplate=sum(stock) / n,
        evasion=sum(evasive) / n,
        length=math.fsum(map(len, spoken)) / n,
        distinct_n=distinct_n([answer.text for answer in answers], 2),
    )


def template_runs(answers: Sequence[Answer], spoken: Sequence[Sequence[str]]) -> frozenset[tuple[str, ...]]:
    """The runs of `RUN` words that belong to the file rather than to a question."""
    every = math.ceil(len(answers) / SAMPLE)
    prompts_of: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for answer, said in zip(answers[::every], spoken[::every], strict=True):
        for start in range(len(said) - RUN + 1):
            prompts_of[tuple(said[start : start + RUN])].add(answer.prompt)
    prompts = len({answer.prompt for answer in answers[::every]})
    needed = max(LEAST_PROMPTS, math.ceil(SPREAD * prompts))
    return frozenset(run for run, seen in prompts_of.items() if len(seen) >= needed)


def covered(said: Sequence[str], templates: frozenset[tuple[str, ...]]) -> float:
    """Share of an answer's words that lie inside template runs; 0.0 for an empty one."""
    inside = [False] * len(said)
    for start in range(len(said) - RUN + 1):
        if tuple(said[start : start + RUN]) in templates:
            inside[start : start + RUN] = [True] * RUN
    return sum(inside) / len(said) if said else 0.0
