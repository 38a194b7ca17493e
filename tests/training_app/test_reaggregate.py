"""Other targets from the labels that are there: by the page and by the command, without a judge."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse

from tests.training_app.factories import FinishedRun, finished_run, published_version
from tests.training_app.scenes import engineer
from training_app import builds
from training_app.core.aggregate import Aggregation
from training_app.models import DatasetBuild
from training_app.reaggregate import own_aggregation, what_if
from training_app.views import aggregate

pytestmark = pytest.mark.django_db


@pytest.fixture
def made(tmp_path: Any, settings: Any) -> FinishedRun:
    settings.ARTIFACT_ROOT = tmp_path
    person = engineer()
    return finished_run(person, published_version(person))


def as_role(username: str, role: str) -> Client:
    user = User.objects.create_user(username)
    user.groups.add(Group.objects.get(name=role))
    client = Client()
    client.force_login(user)
    return client


def said(run: int, *options: str) -> dict[str, Any]:
    out = StringIO()
    call_command("aggregate_labels", str(run), "--json", *options, stdout=out)
    found: dict[str, Any] = json.loads(out.getvalue())
    return found


def test_the_run_s_own_way_changes_nothing_and_another_is_measured(made: FinishedRun) -> None:
    own, alone = what_if(made.run, own_aggregation(made.run), Aggregation(orders="ab"))
    assert (own.rows, own.flipped, own.mean_change) == (len(made.labels), 0, 0.0)
    flipped = sum((label.p_ab > 0.5) != (label.p_a > 0.5) for label in made.labels)
    assert (alone.flipped, flipped > 0) == (flipped, True)
    assert alone.mean_change == pytest.approx(sum(abs(one.p_ab - one.p_a) for one in made.labels) / len(made.labels))


def test_the_command_says_it_and_builds_it(made: FinishedRun) -> None:
    found = said(made.run.number, "--orders", "ba", "--clamp", "0.4", "0.6")
    assert found["aggregation"] == "mean, B first only, clamped to 0.4-0.6"
    assert "builds" not in found
    built = said(made.run.number, "--how", "majority", "--build", "votes", "--user", "engineer")["builds"]
    assert DatasetBuild.objects.get(name="preferences-votes").digest == built[0]["digest"]
    for options, sentence in (
        (("--build", "more"), "--user"), (("--clamp", "0.6", "0.4"), "low one first"),
        (("--build", "votes", "--user", "engineer"), "already has a dataset build"),
    ):  # fmt: skip
        with pytest.raises(CommandError, match=sentence):
            said(made.run.number, *options)
    with pytest.raises(CommandError, match="no run 999"):
        said(999)


def test_engineers_build_and_readers_look(made: FinishedRun) -> None:
    url = reverse("training:aggregate", args=[made.run.pk])
    reader, builder = as_role("rita", "reader"), as_role("erin", "engineer")
    page = reader.get(url).content.decode()
    assert "majority, both orders, not clamped" in page and "Build dataset" not in page
    wanted = {"how": "product", "orders": "both", "clamp_low": "0.2", "clamp_high": "0.8", "name": "narrow"}
    assert reader.post(url, wanted).status_code == 403
    refused = builder.post(url, wanted | {"clamp_low": "0.9"})
    assert refused.status_code == 422 and "the low one is the smaller" in refused.content.decode()
    answer = builder.post(url, wanted)
    build = DatasetBuild.objects.get(name="preferences-narrow")
    assert answer["Location"] == reverse("training:build", args=[build.pk])
    assert build.rules["aggregation"] == "product, both orders, clamped to 0.2-0.8"
    assert builder.post(url, wanted).status_code == 422  # the name is taken


def test_parts_come_to_what_the_whole_comes_to(made: FinishedRun, monkeypatch: pytest.MonkeyPatch) -> None:
    ways = [own_aggregation(made.run), Aggregation(orders="ab"), Aggregation("majority")]
    whole = what_if(made.run, *ways)
    monkeypatch.setattr(builds, "BATCH", 2)
    for part, one in zip(what_if(made.run, *ways), whole, strict=True):
        assert (part.rows, part.flipped, part.excluded) == (one.rows, one.flipped, one.excluded)
        assert part.mean_change == pytest.approx(one.mean_change)
    assert what_if(made.run, ways[0], most=3)[0].rows == 3


def test_the_page_reads_some_comparisons_and_says_so(made: FinishedRun, monkeypatch: pytest.MonkeyPatch) -> None:
    url, reader = reverse("training:aggregate", args=[made.run.pk]), as_role("rita", "reader")
    assert "Computed for the first" not in reader.get(url).content.decode()
    monkeypatch.setattr(aggregate, "MOST", 2)
    assert "Computed for the first 2 comparisons" in reader.get(url).content.decode()
