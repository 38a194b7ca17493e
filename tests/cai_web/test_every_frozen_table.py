"""Every frozen table refuses raw SQL, bulk_create(update_conflicts=True), TRUNCATE and a superuser's ORM."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import User
from django.db import DatabaseError, connection, models, transaction
from django.test import Client

from constitutions_app.access import Role
from constitutions_app.models import Comment, Import, Review, Scenario, ScenarioResult, Thread, Verdict
from constitutions_app.models.frozen import FrozenModel, FrozenRowError
from tests.constitutions_app.factories import make_constitution, make_person, newest
from tests.training_app.factories import finished_run
from tests.training_app.scenes import comparisons
from training_app.models import (
    Adjudication,
    AnnotatedPair,
    AuditImport,
    Comparison,
    ExemplarSet,
    PairImport,
    PromptSet,
    RegisteredModel,
    RunGroup,
    SignOff,
    TraceImport,
)

pytestmark = pytest.mark.django_db

FROZEN = [model for model in apps.get_models() if issubclass(model, FrozenModel)]


@pytest.fixture
def boss() -> User:
    """A superuser, and at least one row in every frozen table."""
    boss = User.objects.create_superuser("boss", email="boss@example.org")
    author = make_person("ada", Role.AUTHOR)
    constitution = make_constitution(author)
    version = newest(constitution)
    done = finished_run(author, version)
    comparisons()
    _audited(done.labels[0].pk, author)
    review = Review.objects.create(draft=constitution.draft, requested_by=author)
    Verdict.objects.create(review=review, person=boss, word="approve", body="{}", digest="0" * 64)
    thread = Thread.objects.create(draft=constitution.draft, key="honesty", field="text", opened_by=author)
    Comment.objects.create(thread=thread, author=author, body="Why?")
    scenario = Scenario.objects.create(
        constitution=constitution, **_texts(Scenario, skip={"constitution"}), created_by=author, updated_by=author
    )
    ScenarioResult.objects.create(scenario=scenario, **_texts(ScenarioResult, skip={"scenario"}), p_expected=0.5)
    Import.objects.create(constitution=constitution, **_texts(Import, skip={"constitution"}), imported_by=author)
    imported = {"version": version, "prompt_set": PromptSet.objects.all()[0], "rows": 0, "steps": 0}
    TraceImport.objects.create(**imported, other_wordings=0, file_name="x", digest="0" * 64)
    RegisteredModel.objects.create(**_texts(RegisteredModel, skip=set()), size_bytes=1)
    pairs = PairImport.objects.create(
        prompt_set=PromptSet.objects.all()[0], file_name="x", digest="0" * 64, annotators=[], metadata={}, rows=1
    )
    kept = {"prompt": "x", "annotations": {}, "responders": ["", ""], "metadata": {}}
    AnnotatedPair.objects.create(imported=pairs, comparison=Comparison.objects.all()[0], position=1, **kept)
    decided = {"label": done.labels[0], "verdict": "agree", "choice": "neither", "note": "Because."}
    Adjudication.objects.create(adjudicator=boss, **decided)
    AuditImport.objects.create(run=done.run, file_name="x", digest="0" * 64, format="jsonl", source="x", rows=0)
    SignOff.objects.create(checkpoint=done.rl, role="auditor", word="approve", person=boss)
    ExemplarSet.objects.create(version=version, family="llama", exemplars=[], digest="0" * 64, created_by=author)
    RunGroup.objects.create(arms=["one", "other"], created_by=author)
    return boss


def _texts(model: type[models.Model], skip: set[str]) -> dict[str, str]:
    """Something for every text column that must not be empty."""
    return {
        part.name: "x"
        for part in model._meta.concrete_fields
        if isinstance(part, models.CharField | models.TextField) and part.name not in skip and not part.blank
    }


def _audited(label: int, person: User) -> None:
    from training_app.models import Audit

    Audit.objects.create(auditor=person, label_id=label, verdict="agree", choice="a", blind=True)


def test_the_list_of_frozen_tables_is_that_of_the_database() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT DISTINCT tgrelid::regclass::text FROM pg_trigger WHERE tgname LIKE '%_refuses_change'")
        assert {row[0] for row in cursor.fetchall()} == {model._meta.db_table for model in FROZEN}
        cursor.execute("SELECT DISTINCT tgrelid::regclass::text FROM pg_trigger WHERE tgname LIKE '%_refuses_truncate'")
        assert {row[0] for row in cursor.fetchall()} == {model._meta.db_table for model in FROZEN}


def test_nothing_gets_through(boss: User) -> None:
    for model in FROZEN:
        before = list(model._default_manager.order_by("pk").values())
        assert before, f"{model.__name__} has no row to try"
        for name, attempt in _attempts(model):
            with pytest.raises((DatabaseError, FrozenRowError)), transaction.atomic():
                attempt()
                pytest.fail(f"{model.__name__}: {name} got through")
        assert list(model._default_manager.order_by("pk").values()) == before, model.__name__


def test_a_superuser_changes_nothing_in_the_admin_site(boss: User) -> None:
    client = Client()
    client.force_login(boss, backend="cai_web.backends.PasswordBackend")
    for model in FROZEN:
        if model not in admin.site._registry:
            continue
        row = model._default_manager.all()[0]
        place = f"/admin/{model._meta.app_label}/{model._meta.model_name}/{row.pk}"
        for page in (f"{place}/change/", f"{place}/delete/"):
            assert client.post(page, {"post": "yes", "_save": "1"}).status_code == 403, page
        assert model._default_manager.filter(pk=row.pk).exists()


def _attempts(model: type[models.Model]) -> Iterator[tuple[str, Callable[[], object]]]:
    row = model._default_manager.all()[0]
    key = model._meta.pk.attname
    part = next(part for part in model._meta.concrete_fields if not part.primary_key)
    column, value = part.attname, getattr(row, part.attname)
    table = model._meta.db_table
    bare: models.QuerySet[models.Model] = models.QuerySet(model)

    def sql(statement: str) -> Callable[[], None]:
        def run() -> None:
            with connection.cursor() as cursor:
                cursor.execute(statement)

        return run

    yield "UPDATE", sql(f"UPDATE {table} SET {column} = {column}")  # noqa: S608  # our own names
    yield "DELETE", sql(f"DELETE FROM {table}")  # noqa: S608  # our own names
    yield "TRUNCATE", sql(f"TRUNCATE {table} CASCADE")
    yield (
        "INSERT … ON CONFLICT",
        lambda: bare.bulk_create([row], update_conflicts=True, update_fields=[column], unique_fields=[key]),
    )
    yield (
        "the manager's own bulk_create",
        lambda: model._default_manager.bulk_create(
            [row], update_conflicts=True, update_fields=[column], unique_fields=[key]
        ),
    )
    yield "update", lambda: bare.filter(pk=row.pk).update(**{column: value})
    yield "bulk_update", lambda: bare.bulk_update([row], [part.name])
    yield "the manager's update", lambda: model._default_manager.update(**{column: value})
    yield "save", row.save
    yield "save_base", lambda: models.Model.save_base(row, force_update=True)
    yield (
        "save of a copy",
        lambda: model(**{one.attname: getattr(row, one.attname) for one in model._meta.concrete_fields}).save(),
    )
    yield "delete", row.delete
    yield "raw delete", lambda: bare._raw_delete(bare.db)
