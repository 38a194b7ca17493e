"""How harmful a text may be, from its prompt's tags; and when a break is offered."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from training_app.core.breaks import Streak, is_due, streak_of
from training_app.core.harm import is_veiled, severity_of

NOON = datetime(2026, 11, 27, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("tags", "is_red_team", "severity"),
    [
        ((), False, 0),
        (("everyday",), True, 1),
        (("Violence & incitement",), True, 2),
        (("Hate speech & offensive language",), False, 2),
        (("Self-harm",), False, 3),
        (("severity:3", "everyday"), False, 3),
        (("severity:0", "violence"), True, 0),
    ],
)
def test_severity_goes_by_the_tags(tags: tuple[str, ...], is_red_team: bool, severity: int) -> None:
    assert severity_of(tags, is_red_team=is_red_team) == severity


def test_a_veil_is_a_persons_own() -> None:
    assert is_veiled((), 2, veil_from=2, veil_tags=())
    assert not is_veiled((), 2, veil_from=3, veil_tags=())
    assert is_veiled(("Spiders",), 0, veil_from=9, veil_tags=("spiders",))
    assert not is_veiled((), 0, veil_from=1, veil_tags=())


def test_a_streak_ends_with_a_pause() -> None:
    times = [NOON - timedelta(minutes=m) for m in (1, 3, 5, 20, 21)]
    assert streak_of(times, NOON) == Streak(3, 5)
    assert streak_of([], NOON) == Streak(0, 0)
    assert is_due(Streak(40, 9), after_items=40, after_minutes=0)
    assert not is_due(Streak(41, 9), after_items=40, after_minutes=10)
    assert is_due(Streak(3, 10), after_items=0, after_minutes=10)
    assert not is_due(Streak(0, 0), after_items=0, after_minutes=0)
