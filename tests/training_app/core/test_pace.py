from __future__ import annotations

from training_app.core.pace import Pace


def test_the_pace_is_that_since_the_last_told_step() -> None:
    times = iter([100.0, 102.0, 110.0, 110.5])
    pace = Pace(lambda: next(times))
    assert pace.at(1, 50) == {}, "the first step also warms up"
    assert pace.at(2, 150) == {"seconds_a_step": 2.0, "tokens_a_second": 50.0}
    assert pace.at(6, None) == {"seconds_a_step": 2.0}, "whoever counts no tokens tells none"
    assert pace.at(7, 900) == {"seconds_a_step": 0.5}


def test_a_step_told_again_has_no_pace() -> None:
    pace = Pace(lambda: 1.0)
    assert pace.at(3, 1) == pace.at(3, 2) == pace.at(4, 3) == {}
