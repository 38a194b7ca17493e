from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from training_app.models import AILabel, RunStage
from training_app.models.run import StageState
from training_app.templatetags import plainly


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(None, ""), (0, "0 s"), (0.2, "1 s"), (45, "45 s"), (142, "2 min"), (3000, "50 min"), (3900, "65 min"),
     (7500, "2 h 05 min")],
)  # fmt: skip
def test_durations_read_as_people_say_them(seconds: float | None, words: str) -> None:
    assert plainly.duration(seconds) == words


def test_what_has_not_begun_has_taken_no_time() -> None:
    now = timezone.now()
    assert plainly.took(None, None) == ""
    assert plainly.took(now - timedelta(seconds=30), now) == "30 s"


def test_percent_says_a_hundred_only_when_all_is_done() -> None:
    assert plainly.share_done(RunStage(done=199, total=200)) == 99
    assert plainly.share_done(RunStage(done=200, total=200)) == 100
    assert plainly.share_done(RunStage(done=3, total=None)) == 0


def test_a_run_stands_where_its_stages_stand() -> None:
    done = RunStage(slug="generate", state=StageState.SUCCEEDED)
    under_way = RunStage(slug="label", state=StageState.RUNNING, done=31, total=48, eta_s=180)
    failed = RunStage(slug="rl", state=StageState.FAILED, done=4, total=10, unit="steps")
    assert plainly.stage_words([done, under_way]) == "Label, 64%, 3 min left"
    assert plainly.stage_words([done, failed]) == "RL-CAI, 4 of 10 steps"
    assert plainly.stage_words([done, RunStage(slug="sft", state=StageState.WAITING)]) == "1 of 2"


def test_a_preference_is_said_with_and_without_who_had_it() -> None:
    assert plainly.preferred(AILabel(p_a=0.7)) == "A preferred"
    assert plainly.preferred(AILabel(p_a=0.2), "The AI") == "The AI preferred B"
    assert plainly.preferred(AILabel(p_a=0.5)) == "no preference"


def test_values_read_aloud() -> None:
    assert plainly.in_words(True) == "yes"
    assert plainly.in_words(None) == "none"
    assert plainly.in_words("principle_last") == "principle last"
    assert plainly.summed({"kept": 4, "ends": [0.1, 0.2]}) == "kept 4, ends 0.1 to 0.2"
    assert plainly.flag_means("no_op").startswith("The revision repeats")
    assert plainly.flag_name("unheard_of") == "unheard_of"


def test_a_unit_follows_its_number() -> None:
    assert [plainly.counted(n, "prompts") for n in (0, 1, 2)] == ["0 prompts", "1 prompt", "2 prompts"]
