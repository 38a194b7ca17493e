"""Compared runs on their page, and the page that compares verdicts."""

from __future__ import annotations

from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.test import Client

from tests.training_app import factories
from tests.training_app.factories import FinishedRun
from tests.training_app.views.conftest import Queries
from training_app.models import EvaluationAnswer, Run, RunGroup
from training_app.run_groups import compared, runs_of

pytestmark = pytest.mark.django_db


def grouped(ada: User, lengths: dict[str, int], *, seeds: tuple[int, ...] = (1, 2, 3)) -> RunGroup:
    """A group with one run for each arm and seed; an arm's answers have so many words, and one more at every prompt."""
    group = RunGroup.objects.create(name="lengths", arms=list(lengths), created_by=ada)
    prompts = list(
        factories.prompt_set("red_team", [f"q{n}" for n in range(8)], slug=f"s{group.pk}"[:40]).prompts.all()
    )
    for seed in seeds:
        for arm, words in lengths.items():
            run = factories.queued_run(ada)
            Run.objects.filter(pk=run.pk).update(group=group, arm=arm, seed=seed)
            EvaluationAnswer.objects.bulk_create(
                EvaluationAnswer(
                    run=run, model="sl_cai", prompt=prompt, text="x", reward=0.5, evasive=False, boilerplate=False,
                    words=words + place,
                )
                for place, prompt in enumerate(prompts)
            )  # fmt: skip
    return group


def test_arms_are_held_against_the_first_prompt_by_prompt(reader: Client, ada: User) -> None:
    group = grouped(ada, {"long": 40, "short": 10, "twin": 40})
    (part,) = compared(group, runs_of(group))
    words = next(row for row in part.rows if row.name == "Words")
    first, short, twin = words.values
    assert (first.mean, first.difference) == (43.5, None)
    assert short.difference is not None and twin.difference is not None
    assert (short.difference.estimate.value, short.difference.is_one) == (-30.0, True)
    assert (twin.difference.estimate.value, twin.difference.is_one) == (0.0, False)
    assert short.difference.by_seed == (-30.0, -30.0, -30.0)
    page = reader.get(f"/runs/compared/{group.pk}/").content.decode()
    assert "differs" in page and "no difference shown" in page
    assert "Every run has a reward model of its own" in page


def test_a_group_without_measurements_says_so(reader: Client, ada: User) -> None:
    group = RunGroup.objects.create(arms=["one", "other"], created_by=ada)
    assert "Nothing is measured yet" in reader.get(f"/runs/compared/{group.pk}/").content.decode()
    assert "one / other" in reader.get("/runs/compared/").content.decode()
    assert reader.get(f"/runs/compared/{uuid4()}/").status_code == 404


def test_the_page_takes_the_same_questions_for_more_runs(reader: Client, ada: User, queries: Queries) -> None:
    few, many = grouped(ada, {"a": 1}, seeds=(1,)), grouped(ada, {"a": 1, "b": 2})
    assert queries(reader, f"/runs/compared/{few.pk}/") == queries(reader, f"/runs/compared/{many.pk}/")


def test_hostile_names_stay_text(reader: Client, ada: User) -> None:
    group = grouped(ada, {"<script>alert(1)</script>": 3, "b": 1}, seeds=(1,))
    page = reader.get(f"/runs/compared/{group.pk}/").content.decode()
    assert "<script>alert(1)" not in page and "&lt;script&gt;" in page


def test_verdicts_are_compared_by_engineers_where_there_are_any(
    engineer: Client, reader: Client, stranger: Client, finished: FinishedRun
) -> None:
    url = f"/runs/{finished.run.pk}/compare/"
    assert "Compare verdicts" in engineer.get(f"/runs/{finished.run.pk}/").content.decode()
    assert "No verdict overrides a label" in engineer.get(url).content.decode()
    answer = engineer.post(url, {"seeds": "1", "idempotency_key": str(uuid4())})
    assert answer.status_code == 422 and "both arms would learn the same" in answer.content.decode()
    for client in (reader, stranger):
        assert client.get(url).status_code == client.post(url, {"seeds": "1"}).status_code == 403
    assert not RunGroup.objects.exists()
