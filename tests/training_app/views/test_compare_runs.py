from __future__ import annotations

import re

import pytest
from django.contrib.auth.models import User
from django.test import Client

from tests.training_app import factories
from tests.training_app.factories import FinishedRun
from tests.training_app.views.conftest import Queries
from training_app.models import Run

pytestmark = pytest.mark.django_db


def url(*runs: Run, more: str = "") -> str:
    return f"/runs/compare/?{'&'.join(f'run={run.pk}' for run in runs)}{more}"


@pytest.fixture
def other(ada: User, finished: FinishedRun) -> Run:
    """A run of the same version with another seed and beta, which has trained and is not measured."""
    run = factories.running_run(ada, finished.run.version)
    run.config["rl"]["beta"] = 0.5
    run.seed, run.name = 8, "<b>bold</b>"
    run.save()
    return run


def test_only_what_differs_is_shown(reader: Client, finished: FinishedRun, other: Run) -> None:
    page = reader.get(url(finished.run, other)).content.decode()
    assert "RL-CAI: KL weight" in page
    assert f'<td data-label="Run {other.number}">0.5</td>' in page
    assert "Seed" in page
    assert "RL-CAI: Steps" not in page
    assert "&lt;b&gt;bold" in page


def test_an_option_that_only_one_of_them_reads_is_no_difference(
    reader: Client, ada: User, finished: FinishedRun, other: Run
) -> None:
    other.config["rl"] |= {"algorithm": "ppo", "clip": 0.3}
    other.save()
    assert "PPO clip" not in reader.get(url(finished.run, other)).content.decode()
    third = factories.queued_run(ada, finished.run.version)
    third.config["rl"] |= {"algorithm": "ppo"}
    third.save()
    page = reader.get(url(finished.run, other, third)).content.decode()
    row = page.partition("RL-CAI: PPO clip</th>")[2].partition("</tr>")[0]
    assert sorted(re.findall('<td data-label="Run \\d">(.*?)</td>', row)) == ["0.2", "0.3", "not read"]


def test_curves_are_drawn_over_one_another_with_their_names(reader: Client, finished: FinishedRun, other: Run) -> None:
    page = reader.get(url(finished.run, other, more="&scale=log&smooth=0.9")).content.decode()
    assert page.count(f">run {finished.run.number}</text>") >= 1
    assert page.count(f">run {other.number}</text>") >= 1
    assert 'class="series faint s2"' in page
    assert 'value="log" checked' in page
    assert "not measured" in page
    assert "0.58 [0.38, 0.66]" in page


def test_too_few_runs_say_what_to_do_and_too_many_are_cut(reader: Client, ada: User, finished: FinishedRun) -> None:
    for address in (
        "/runs/compare/",
        url(finished.run),
        "/runs/compare/?run=nonsense&run=x",
        url(finished.run, finished.run),
    ):
        assert "Choose two to five runs." in reader.get(address).content.decode()
    many = [factories.queued_run(ada, finished.run.version) for _ in range(5)]
    page = reader.get(url(finished.run, *many)).content.decode()
    assert "Five runs are shown at most" in page
    assert f">Run {many[-1].number}</a>" not in page


def test_strangers_see_nothing(stranger: Client, nobody: Client, finished: FinishedRun) -> None:
    assert stranger.get(url(finished.run)).status_code == 403
    assert nobody.get(url(finished.run)).status_code == 302


def test_it_takes_as_many_queries_for_five_runs_as_for_two(
    reader: Client, ada: User, finished: FinishedRun, other: Run, queries: Queries
) -> None:
    more = [factories.queued_run(ada, finished.run.version) for _ in range(3)]
    assert queries(reader, url(finished.run, other, *more)) == queries(reader, url(finished.run, other))


def test_the_list_of_runs_leads_there(reader: Client, finished: FinishedRun) -> None:
    page = reader.get("/runs/").content.decode()
    assert f'name="run" value="{finished.run.pk}" form="compare-runs"' in page
    assert 'action="/runs/compare/"' in page
