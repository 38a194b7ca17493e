"""Which checkpoints ever saw a principle: in one query, and by API."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.conf import LazySettings
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.training_app import factories
from tests.training_app.api.calls import client_of
from training_app import taught
from training_app.models import AILabel, DatasetBuild, DatasetItem

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def own_artifacts(tmp_path: Path, settings: LazySettings) -> None:
    settings.ARTIFACT_ROOT = tmp_path


def test_it_follows_parents_and_reward_models_in_one_query() -> None:
    ada = factories.person("ada")
    made = factories.finished_run(ada)
    factories.finished_run(ada)  # another version's run, whose checkpoints never saw these words
    label = made.labels[0]
    with CaptureQueriesContext(connection) as queries:
        found = list(taught.by_principle(factories.cited(label)))
    assert len(queries) == 1
    assert made.reward in found and made.rl in found
    assert {one.run_id for one in found} == {made.run.pk}
    assert list(taught.by_builds([made.builds[1].pk])) == [made.reward, made.rl]
    assert list(taught.by_builds([made.builds[0].pk])) == [made.sft, made.reward, made.rl]


def test_what_nobody_trained_on_taught_nothing() -> None:
    made = factories.finished_run(factories.person("ada"))
    idle = DatasetBuild.objects.create(
        run=made.run, stage="sft", name="idle", digest=factories.digest_of("idle"), rows=1, path="x", rules={}
    )
    DatasetItem.objects.create(build=idle, position=0, step=made.steps[0])
    assert not taught.by_builds([idle.pk]).exists()


def test_a_label_under_all_principles_at_once_taught_each_of_them() -> None:
    made = factories.finished_run(factories.person("ada"))
    one = made.labels[0]
    kept = {
        field.attname: getattr(one, field.attname)
        for field in AILabel._meta.concrete_fields
        if field.attname not in ("id", "principle_id", "created_at")
    }
    together = AILabel.objects.create(**kept)
    DatasetItem.objects.create(build=made.builds[1], position=10_000, label=together)
    for principle in made.run.version.principles.all():
        assert made.rl in taught.by_principle(principle)


def test_the_api_answers_by_name() -> None:
    made = factories.finished_run(factories.person("ada"))
    principle = factories.cited(made.labels[0])
    slug, number = made.run.version.constitution.slug, made.run.version.number
    client = client_of("reader")

    def ids(saw: str) -> set[int]:
        return {one["id"] for one in client.get("/api/checkpoints/", {"saw": saw}).json()["results"]}

    assert made.rl.pk in ids(f"{slug}@{number}/{principle.key}")
    for nothing in (f"{slug}@9/{principle.key}", f"{slug}@{number}/nothing", "nonsense", "a@1/b'; DROP TABLE x; --"):
        assert ids(nothing) == set()
