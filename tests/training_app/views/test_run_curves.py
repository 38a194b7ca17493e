from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from tests.training_app import factories
from tests.training_app.factories import FinishedRun
from tests.training_app.views.conftest import Queries
from training_app.models import Run, RunEvent

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}


def rollout(run: Run, step: int, reward: float | None, text: str) -> None:
    stage = run.stages.get(slug="rl")
    seq = 1000 + stage.events.count()
    data = {"record": "rollout", "key": f"{step}/{seq}",
            "data": {"step": step, "prompt": "Why?", "text": text, "reward": reward}}  # fmt: skip
    RunEvent.objects.create(stage=stage, seq=seq, kind="record", at=timezone.now(), data=data)


def test_the_address_says_how_curves_are_drawn(reader: Client, ada: User, finished: FinishedRun) -> None:
    other = factories.finished_run(ada, finished.run.version).run
    plain = reader.get(f"/runs/{finished.run.pk}/").content.decode()
    assert 'class="series faint' not in plain
    page = reader.get(f"/runs/{finished.run.pk}/?scale=log&smooth=0.9&with={other.pk}").content.decode()
    assert 'class="series faint s1"' in page
    assert f">run {other.number}</text>" in page
    assert f'value="{other.pk}" checked' in page
    assert '<option value="0.9" selected>' in page


def test_what_means_nothing_in_an_address_is_passed_over(reader: Client, finished: FinishedRun) -> None:
    run = finished.run
    page = reader.get(f"/runs/{run.pk}/?scale=cubic&smooth=7&with=x&with={run.pk}&with=%00").content.decode()
    assert 'class="series faint' not in page
    assert f">run {run.number}</text>" not in page


def test_a_live_page_keeps_its_look(reader: Client, ada: User) -> None:
    run = factories.running_run(ada)
    page = reader.get(f"/runs/{run.pk}/?scale=log&smooth=0.6").content.decode()
    assert "?part=curves&amp;scale=log&amp;smooth=0.6" in page
    part = reader.get(f"/runs/{run.pk}/?part=curves&scale=log&smooth=0.6", headers=HTMX).content.decode()
    assert "<form" not in part  # what somebody is choosing is not swapped away


def test_rewards_lead_to_the_samples_of_their_step(reader: Client, finished: FinishedRun) -> None:
    run = finished.run
    for step, reward, text in ((1, 0.1, "first"), (2, 9.5, "the best"), (2, -7.0, "the worst"), (3, None, "unscored")):
        rollout(run, step, reward, text)
    stage = f"/runs/{run.pk}/stages/rl/"
    page = reader.get(f"/runs/{run.pk}/").content.decode()
    assert f'<a href="{stage}?step=2#rollouts" tabindex="-1">' in page
    assert f'<a href="{stage}?step=2#rollouts">2<span' in page
    one = reader.get(f"{stage}?step=2").content.decode()
    assert "Rollouts of step 2" in one
    assert "the best" in one
    assert ">first<" not in one
    whole = reader.get(stage).content.decode()
    assert whole.index("Earned most") < whole.index("the best") < whole.index("Earned least")
    assert reader.get(f"{stage}?step=nonsense").status_code == 200
    assert "None yet" in reader.get(f"{stage}?step=999").content.decode()


def test_more_points_and_more_runs_beside_take_no_more_queries(
    reader: Client, ada: User, finished: FinishedRun, queries: Queries
) -> None:
    one, two = (factories.finished_run(ada, finished.run.version).run for _ in range(2))
    few = queries(reader, f"/runs/{finished.run.pk}/?with={one.pk}")
    factories.curve(two.stages.get(slug="rl"), "extra", 900, 2.0, 1.0)
    assert queries(reader, f"/runs/{finished.run.pk}/?with={one.pk}&with={two.pk}") == few


def test_the_first_batch_is_shown_token_by_token(reader: Client, finished: FinishedRun) -> None:
    stage = finished.run.stages.get(slug="sft")
    rows = [{"tokens": ["Why", " <b>", " so", "."], "learnt": "0011", "left_out": 7}]
    data = {"record": "first_batch", "key": "first", "data": {"rows": rows}}
    RunEvent.objects.create(stage=stage, seq=5000, kind="record", at=timezone.now(), data=data)
    page = reader.get(f"/runs/{finished.run.pk}/stages/sft/").content.decode()
    assert '<ins><span class="token"> so</span><span class="token">.</span></ins>' in page
    assert '<span class="token"> &lt;b&gt;</span>' in page
    assert "7 more tokens" in page and "batch-example" not in page
    packed = {"tokens": ["Why", "?", "Who", "?"], "learnt": "0101", "left_out": 0, "starts": [0, 2]}
    RunEvent.objects.filter(seq=5000).update(data=data | {"data": {"rows": [packed]}})
    page = reader.get(f"/runs/{finished.run.pk}/stages/sft/").content.decode()
    example = '<span class="batch-example" role="group" aria-label="Example {}"><span class="token">{}</span>'
    assert example.format(1, "Why") in page and example.format(2, "Who") in page
    assert "none of them sees another" in page
    assert "First batch" not in reader.get(f"/runs/{finished.run.pk}/stages/rl/").content.decode()
