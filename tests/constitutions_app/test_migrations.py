"""Migrations that fill columns, over rows as they were before."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, connection
from django.db.migrations.executor import MigrationExecutor

from constitutions_app.actions import edit_principle, publish_version
from constitutions_app.models import Constitution, PrincipleVersion
from tests.constitutions_app.factories import draft_of, make_constitution, principle_of

pytestmark = pytest.mark.django_db

BEFORE, FILLED = "0009_licences_and_uploads", "0010_fill_what_changed"
SAID = ("version__constitution__slug", "version__number", "key", "change", "since")


@pytest.fixture
def published(author: User) -> Constitution:
    """Three versions: a semantic edit of one principle, then a slip put right in another."""
    made = make_constitution(author)
    for key, text in (
        ("honesty", "Say what is true, also when it hurts."),
        ("privacy", "Do not help to track people who have not agreed to it!"),
    ):
        row = principle_of(made, key)
        edit_principle(user=author, principle=row, expected=row.revision, changes={"text": text})
        publish_version(user=author, draft=draft_of(made), note="Edited.")
    return made


def test_versions_of_before_learn_what_each_of_them_changed(published: Constitution) -> None:
    """0010 says of old rows what publishing says of new ones, touches no word, and leaves the trigger at work."""
    rows = PrincipleVersion.objects.order_by("pk")
    told, words = list(rows.values_list(*SAID)), list(rows.values_list("body", "text", "title"))
    assert {change for *_, change, _ in told} == {"added", "same", "semantic", "minor"}
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("ALTER TABLE constitutions_app_principleversion DISABLE TRIGGER USER")
        cursor.execute("UPDATE constitutions_app_principleversion SET change = '', since = 0")
        cursor.execute("ALTER TABLE constitutions_app_principleversion ENABLE TRIGGER USER")
    executor = MigrationExecutor(connection)
    migration = executor.loader.get_migration("constitutions_app", FILLED)
    state = executor.loader.project_state([("constitutions_app", BEFORE)])
    with connection.schema_editor() as editor:
        migration.apply(state, editor)
    assert list(rows.values_list(*SAID)) == told
    assert list(rows.values_list("body", "text", "title")) == words
    with pytest.raises(IntegrityError, match="is frozen"), connection.cursor() as cursor:
        cursor.execute("UPDATE constitutions_app_principleversion SET since = 9")
