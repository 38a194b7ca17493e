"""Read side: which scenarios pass under which words.

A scenario is judged under each principle it is attached to. It passes under a text when, for every one of them that is
part of the text and enabled, the newest result for exactly this text and exactly this scenario gives the expected
response more than one half. Nothing carries over from other words: after an edit the scenarios have to be run again;
until then the last result of other words is shown as that, and counts nowhere.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.db import models

from constitutions_app.core import principles as core
from constitutions_app.core import scenarios
from constitutions_app.models import Constitution, Draft, Scenario, ScenarioResult

PASSED, FAILED, NOT_RUN, INCOMPLETE, ELSEWHERE = "passed", "failed", "not run", "incomplete", "not in this text"


@dataclass(frozen=True)
class Standing:
    """How one scenario stands under one text. `results` are the newest per principle; `lacking` have none."""

    scenario: Scenario
    state: str
    results: tuple[ScenarioResult, ...] = ()
    lacking: tuple[str, ...] = ()
    elsewhere: ScenarioResult | None = None
    """Where there is none for this text: the newest result of other words, to be shown as such and counted nowhere."""

    @property
    def p_expected(self) -> float | None:
        """The lowest of its results: a scenario is as strong as its weakest principle."""
        return min((result.p_expected for result in self.results), default=None)


def standings(rows: Sequence[Scenario], text: core.Constitution, digest: str = "") -> list[Standing]:
    """How `rows` stand under `text`, whose digest is computed unless it is known. Two queries."""
    digest = digest or core.digest(text)
    enabled = {principle.id for principle in text.principles if principle.enabled}
    found: dict[tuple[int, str, str], ScenarioResult] = {}
    results = ScenarioResult.objects.filter(scenario__in=rows, constitution_digest=digest).order_by("at", "pk")
    for result in results:
        found[result.scenario_id, result.scenario_digest, result.principle] = result
    others = ScenarioResult.objects.filter(scenario__in=rows).order_by("scenario_id", "-at", "-pk")
    newest = {result.scenario_id: result for result in others.distinct("scenario_id")}
    return [_standing(row, enabled, found, newest.get(row.pk)) for row in rows]


def scenarios_not_passed(draft: Draft) -> list[Standing]:
    """The scenarios in use that do not pass under the draft as it stands: failed, not run on these words, unfinished.

    Scenarios without any response (probes that a judge cannot compare) and those that concern no principle of the draft
    are not asked for. Empty when nothing stands against publishing. Four queries.
    """
    rows = list(in_use(draft.constitution))
    asked = [one for one in standings(rows, draft.to_core()) if one.state not in (PASSED, ELSEWHERE)]
    return [one for one in asked if not (one.state == INCOMPLETE and _is_probe(one.scenario))]


def in_use(constitution: Constitution) -> models.QuerySet[Scenario]:
    """The scenarios of a constitution that are not retired."""
    return Scenario.objects.filter(constitution=constitution, retired_at=None)


def of_principle(constitution: Constitution, text: core.Constitution, key: str) -> list[Standing]:
    """How the scenarios in use of one principle stand under `text`. Three queries, whatever the constitution holds."""
    return standings(list(in_use(constitution).filter(principles__contains=[key])), text)


def tally(found: Iterable[Standing]) -> list[tuple[str, int]]:
    """How many stand how, in the order in which people ask."""
    counts = Counter(one.state for one in found)
    return [(state, counts[state]) for state in (PASSED, FAILED, NOT_RUN, INCOMPLETE, ELSEWHERE) if counts[state]]


def _standing(
    row: Scenario,
    enabled: set[str],
    found: dict[tuple[int, str, str], ScenarioResult],
    newest: ScenarioResult | None,
) -> Standing:
    value = row.to_core()
    if not value.is_complete:
        return Standing(row, INCOMPLETE)
    asked = [key for key in row.principles if key in enabled] if row.principles else [""]
    if not asked:
        return Standing(row, ELSEWHERE)
    words = scenarios.digest(value)
    results = {key: result for key in asked if (result := found.get((row.pk, words, key)))}
    lacking = tuple(key for key in asked if key not in results)
    failed = any(result.p_expected <= 0.5 for result in results.values())
    state = FAILED if failed else NOT_RUN if lacking else PASSED
    return Standing(row, state, tuple(results.values()), lacking, None if results else newest)


def _is_probe(row: Scenario) -> bool:
    return not (row.response_a or row.response_b)
