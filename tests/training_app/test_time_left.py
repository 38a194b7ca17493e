"""What is left of a run: from its own pace and from earlier runs, and never more than is known."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from tests.training_app import factories
from training_app.models import Run, RunStage
from training_app.models.run import StageState
from training_app.time_left import TimeLeft, one_after_another, rounded, times_left

pytestmark = pytest.mark.django_db


@pytest.fixture
def ada(db: None) -> User:
    return factories.person("ada")


def left_of(run: Run) -> TimeLeft:
    return times_left([Run.objects.get(pk=run.pk)])[run.pk]


def on_the_same_prompts(run: Run, earlier: Run) -> Run:
    """`run` with as many prompts as the earlier one, so that each stage is expected to take as long: 45 seconds."""
    run.prompt_sets.set(earlier.prompt_sets.all())
    return run


def has_taken(stage: RunStage, seconds: float) -> None:
    begun = timezone.now() - timedelta(minutes=9)
    factories.update(stage, started_at=begun, finished_at=begun + timedelta(seconds=seconds))


def test_it_adds_the_running_stage_and_the_stages_to_come(ada: User) -> None:
    earlier = factories.finished_run(ada).run
    run = on_the_same_prompts(factories.running_run(ada), earlier)
    factories.update(run.stages.get(slug="sft"), rate=48 / 45)
    left = left_of(run)
    assert left.seconds == pytest.approx(142 + 5 * 45)  # what SL-CAI says of itself, and five stages as measured
    assert (left.words, left.ahead, left.unknown) == ("about 6 min left", "5 stages to come", ())
    assert left.source == "By its own pace and by 1 earlier run with this preset and model on CPU (2 threads)."


def test_a_run_that_is_twice_as_slow_so_far_counts_the_rest_twice_and_says_so(ada: User) -> None:
    earlier = factories.finished_run(ada).run
    run = on_the_same_prompts(factories.running_run(ada), earlier)
    for slug in ("generate", "revise"):
        has_taken(run.stages.get(slug=slug), 90)  # 45 in the run before
    factories.update(run.stages.get(slug="sft"), done=0)  # it has not said anything yet
    left = left_of(run)
    assert left.times == pytest.approx(2)
    assert left.seconds == pytest.approx(142 + 5 * 90)
    assert "This run takes 2 times as long as they did, which is counted in." in left.source
    factories.update(run.stages.get(slug="sft"), done=24, rate=48 / 450)  # half is done: it will have taken 450 seconds
    assert left_of(run).times == pytest.approx((90 + 90 + 450) / (3 * 45))


def test_what_nobody_measured_is_named_and_the_figure_says_at_least(ada: User) -> None:
    earlier = factories.finished_run(ada).run
    run = on_the_same_prompts(factories.running_run(ada), earlier)
    Run.objects.filter(pk=run.pk).update(config=run.config | {"rl": {**run.config["rl"], "algorithm": "ppo"}})
    left = left_of(run)
    assert left.unknown == ("rl",)
    assert left.words.startswith("at least ")
    assert left.source.endswith("They did not do RL-CAI in this way: not counted.")


def test_without_an_earlier_run_only_the_running_stage_counts_and_the_reason_is_given(ada: User) -> None:
    run = factories.running_run(ada)
    left = left_of(run)
    assert (left.seconds, left.words, left.runs) == (142.0, "at least 2 min left", 0)
    assert "No run with this preset and model has finished yet" in left.source
    factories.update(run.stages.get(slug="sft"), eta_s=None)
    left = left_of(run)
    assert (left.seconds, left.words) == (None, "time left not known")
    assert "No run with this preset and model has finished yet" in left.source


def test_the_last_stage_goes_by_its_own_pace(ada: User) -> None:
    run = factories.running_run(ada)
    run.stages.exclude(slug="sft").update(state=StageState.SUCCEEDED)
    left = left_of(run)
    assert (left.words, left.ahead, left.source) == ("about 2 min left", "", "By the pace of the last stage.")


def test_a_queued_run_is_estimated_from_its_beginning_and_one_that_ends_has_nothing_left(ada: User) -> None:
    earlier = factories.finished_run(ada).run
    run = on_the_same_prompts(factories.queued_run(ada), earlier)
    left = left_of(run)
    assert (left.words, left.ahead) == ("about 6 min once it begins", "8 stages to come")
    run.stages.update(state=StageState.SUCCEEDED)  # it ends, or fetches what it made before it was resumed
    run.state = "running"
    assert times_left([run]) == {}
    stopping = factories.update(factories.running_run(ada), state="stopping")
    assert times_left([earlier, stopping, factories.failed_run(ada)]) == {}


def test_the_night_a_resumed_run_lay_still_is_no_work(ada: User) -> None:
    earlier = factories.finished_run(ada).run
    stage = earlier.stages.get(slug="label")
    has_taken(stage, 9 * 3600)
    factories.update(earlier, attempt=1, fencing_token=2)  # a resume counts attempts anew
    run = on_the_same_prompts(factories.queued_run(ada), earlier)
    assert left_of(run).seconds == pytest.approx(8 * 45)  # by the rates the stages told, not by the clock


def test_only_the_newest_runs_of_the_same_preset_and_model_count(ada: User) -> None:
    earlier = factories.finished_run(ada).run
    for _ in range(5):
        copy = on_the_same_prompts(factories.queued_run(ada), earlier)
        for stage in copy.stages.all():
            has_taken(factories.finish_stage(stage, timezone.now(), total=8), 90)
        factories.update(copy, state="succeeded", started_at=timezone.now(), finished_at=timezone.now())
    other = factories.finished_run(ada).run
    factories.update(other, base_model={"name": "another"})
    left = left_of(on_the_same_prompts(factories.queued_run(ada), earlier))
    assert left.runs == 5
    assert left.seconds == pytest.approx(8 * 90)


def test_several_runs_are_told_as_one_worker_would_take_them(ada: User) -> None:
    earlier = factories.finished_run(ada).run
    queued = [on_the_same_prompts(factories.queued_run(ada), earlier) for _ in range(4)]
    assert one_after_another(times_left(queued).values()) == "about 24 min one after another"
    other = factories.update(factories.queued_run(ada), base_model={"name": "another"})
    assert one_after_another(times_left([*queued, other]).values()) == "at least 24 min one after another"
    assert one_after_another(times_left([other]).values()) == one_after_another([]) == ""


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "1 min"), (20, "1 min"), (100, "2 min"), (12 * 60 + 10, "12 min"), (44 * 60, "45 min"), (59 * 60, "1 h"),
     (94 * 60, "1 h 30 min"), (117 * 60, "2 h"), (596 * 60, "10 h"), (29.6 * 3600, "30 h")],
)  # fmt: skip
def test_a_span_claims_no_more_than_an_estimate_can(seconds: float, words: str) -> None:
    assert rounded(seconds) == words
