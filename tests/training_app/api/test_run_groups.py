"""Compared runs by API: what each arm measured, and its paired differences with intervals."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.training_app.api.calls import client_of
from tests.training_app.factories import FinishedRun, finished_run, update
from training_app.models import EvaluationAnswer, RunGroup

pytestmark = pytest.mark.django_db
EXPECTS = [{"arm": "short", "feature": "words", "more": False}]
"""Of answers that are longer."""


@pytest.fixture(scope="module")
def group(scene: FinishedRun) -> RunGroup:
    """Two arms, two seeds; answers of the second arm have three words more."""
    boss = scene.run.created_by
    group = RunGroup.objects.create(name="Short", arms=["plain", "short"], expects=EXPECTS, created_by=boss)
    runs = [scene.run] + [finished_run(boss, scene.run.version).run for _ in range(3)]
    held_out = sorted(set(EvaluationAnswer.objects.filter(run=scene.run).values_list("prompt", flat=True)))
    for place, run in enumerate(runs):
        arm = group.arms[place % 2]
        update(run, group=group, arm=arm, seed=place // 2)
        EvaluationAnswer.objects.bulk_create(
            EvaluationAnswer(run=run, model="dpo_cai", prompt_id=prompt, text="Ask her.", reward=0.5, evasive=False,
                             boilerplate=False, words=20 + at + 3 * (arm == "short"))
            for at, prompt in enumerate(held_out)
        )  # fmt: skip
    return group


def test_arms_are_held_against_the_first_with_paired_intervals(group: RunGroup, made: FinishedRun) -> None:
    said = client_of("reader").get(f"/api/run-groups/{group.pk}/").json()
    assert [(run["arm"], run["seed"]) for run in said["runs"]] == [
        ("plain", 0),
        ("short", 0),
        ("plain", 1),
        ("short", 1),
    ]
    part = {one["model"]: one for one in said["parts"]}["dpo_cai"]
    means = {row["name"]: row["values"] for row in part["rows"]}
    assert part["columns"][-2:] == ["plain", "short"]
    assert means["Words"][-1]["value"] == means["Words"][-2]["value"] + 3
    (pair,) = [one for one in part["pairs"] if (one["ours"], one["theirs"]) == ("short", "plain")]
    assert "Evasive" in {row["name"] for row in pair["rows"]} and "Words" not in {row["name"] for row in pair["rows"]}
    (words,) = part["expected"]
    assert words["difference"]["value"] == 3.0 and words["difference"]["by_seed"] == [3.0, 3.0]
    assert words["difference"]["over_both"] == [3.0, 3.0]
    assert (words["ours"], words["expected"], words["outcome"]) == ("short", -1, "the other way")
    assert said["expects"] == EXPECTS
    assert "Reward" in means and "Reward" not in {row["name"] for row in pair["rows"]}  # each on its own scale


def test_they_are_listed_without_what_they_measured(group: RunGroup, made: FinishedRun) -> None:
    reader = client_of("reader")
    (row,) = reader.get("/api/run-groups/", {"name": "Short"}).json()["results"]
    assert row["arms"] == ["plain", "short"] and "parts" not in row
    with CaptureQueriesContext(connection) as asked:
        reader.get(f"/api/run-groups/{group.pk}/")
    assert len(asked) <= 6
    assert client_of(None).get(f"/api/run-groups/{group.pk}/").status_code == 403
