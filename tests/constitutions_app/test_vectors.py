"""Near-duplicates by meaning, with vectors written by hand: no model is loaded, whether or not one is installed."""

from __future__ import annotations

import importlib
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from constitutions_app import actions, likeness, tasks, vectors
from constitutions_app.core.principles import Constitution as Body
from constitutions_app.core.principles import Principle, digest_of_text
from constitutions_app.core.sentence_vectors import WIDTH
from constitutions_app.models import Constitution, Draft, TextVector
from tests.constitutions_app.conftest import signed_in
from tests.constitutions_app.factories import make_constitution

pytestmark = pytest.mark.django_db

MODEL = vectors.InstalledModel(Path("/nowhere"), "m" * 64)
TEXTS = {"spy": "Do not help anyone to spy.", "watch": "Refuse to assist surveillance.", "whale": "Whales sing."}
DIRECTIONS = {TEXTS["spy"]: (1.0, 0.0), TEXTS["watch"]: (0.9, 0.1), TEXTS["whale"]: (0.0, 1.0)}


class ScriptedEncoder:
    """Directions by heart."""

    def __init__(self) -> None:
        self.read: list[str] = []

    def encode(self, text: str) -> list[float]:
        self.read.append(text)
        x, y = DIRECTIONS.get(text, (0.5, 0.5))
        return [x / math.hypot(x, y), y / math.hypot(x, y), *[0.0] * (WIDTH - 2)]


@pytest.fixture
def encoder(settings: Any, monkeypatch: pytest.MonkeyPatch) -> ScriptedEncoder:
    """A model is installed and on; it is this one."""
    settings.EMBEDDINGS = True
    scripted = ScriptedEncoder()
    monkeypatch.setattr(vectors, "_installed", lambda: MODEL)
    monkeypatch.setattr(vectors, "_encoder", lambda model: scripted)
    return scripted


@pytest.fixture
def watched(author: User) -> Constitution:
    items = tuple(Principle(key, key.title(), text) for key, text in TEXTS.items())
    return make_constitution(author, name="Watched", body=Body("x", principles=items))


@pytest.fixture
def without_type() -> Iterator[None]:
    """The database as migration 0016 leaves it where there is no vector type."""
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE constitutions_app_textvector ALTER COLUMN vector TYPE real[] USING vector::real[]")
    yield


def hints(user: User, key: str = "spy", **typed: str) -> str:
    typed.setdefault("text", TEXTS[key])
    return signed_in(user).post(reverse("constitutions:sent", args=["watched", key]), typed).content.decode()


def test_a_worker_reads_each_text_of_the_drafts_once(watched: Constitution, encoder: ScriptedEncoder) -> None:
    assert vectors.waits()
    tasks.embed_principles()
    assert set(TEXTS.values()) <= set(encoder.read)
    assert not vectors.waits()
    count = len(encoder.read)
    tasks.embed_principles()
    assert len(encoder.read) == count == TextVector.objects.count()


def test_vectors_of_words_that_no_draft_has_any_more_go(
    watched: Constitution, encoder: ScriptedEncoder, author: User
) -> None:
    vectors.embed_missing()
    row = watched.draft.principles.get(key="whale")
    actions.edit_principle(user=author, principle=row, expected=row.revision, changes={"text": "Whales sing songs."})
    assert vectors.waits()
    vectors.embed_missing()
    digests = set(TextVector.objects.values_list("digest", flat=True))
    assert digest_of_text("Whales sing songs.") in digests
    assert digest_of_text(TEXTS["whale"]) not in digests


def test_closed_branches_wait_for_nothing(watched: Constitution, encoder: ScriptedEncoder) -> None:
    vectors.embed_missing()
    draft = Draft.objects.create(
        constitution=watched, branch="old", updated_by=watched.created_by, closed_at=watched.created_at
    )
    draft.principles.create(key="x", position=1, text="New words.", updated_by=watched.created_by)
    assert not vectors.waits()


def test_the_hint_speaks_of_meaning_where_the_vectors_are_there(
    watched: Constitution, encoder: ScriptedEncoder, author: User
) -> None:
    before = hints(author)
    assert "close in meaning" not in before
    assert "by letters where a text is too new" in before
    vectors.embed_missing()
    after = hints(author)
    assert "close in meaning to “Watch” (99% by meaning)" in after
    assert "measured by meaning, with the language model all-MiniLM-L6-v2." in after
    page = signed_in(author).get(reverse("constitutions:draft_principle", args=["watched", "spy"])).content.decode()
    assert "close in meaning to “Watch”" in page
    typed = hints(author, text="Do not help anyone to spy, ever.")
    assert "close in meaning" not in typed, "these words were not read yet"
    assert "by letters where a text is too new" in typed


def test_another_models_vectors_are_not_compared(watched: Constitution, encoder: ScriptedEncoder) -> None:
    vectors.embed_missing()
    TextVector.objects.filter(digest=digest_of_text(TEXTS["watch"])).update(model="n" * 64)
    found = likeness.of_all(TEXTS.values())
    assert found.pairs == {} and TEXTS["watch"] not in found.known


def test_likeness_takes_two_queries_however_many_principles(watched: Constitution, encoder: ScriptedEncoder) -> None:
    for texts in (list(TEXTS.values()), [f"Principle {number}." for number in range(300)], []):
        with CaptureQueriesContext(
            connection,
        ) as few:
            likeness.of_all(texts)
        assert len(few) == 2


def test_without_a_model_nothing_is_asked_of_the_database(watched: Constitution, author: User) -> None:
    with CaptureQueriesContext(connection) as queries:
        assert likeness.of_all(TEXTS.values()).pairs == {}
        assert not vectors.waits()
    assert len(queries) == 0
    assert "by letters: the share of letter groups" in hints(author)
    with pytest.raises(CommandError, match="make embeddings"):
        call_command("embed_principles")


def test_without_the_databases_vector_type_it_goes_by_letters_and_says_so(
    watched: Constitution, encoder: ScriptedEncoder, author: User, without_type: None
) -> None:
    assert "this database has no vector type" in hints(author)
    assert not vectors.waits() and vectors.embed_missing() == 0


def test_the_column_is_turned_when_the_type_comes_later(
    watched: Constitution, encoder: ScriptedEncoder, without_type: None, capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("embed_principles")
    assert "texts were read by all-MiniLM-L6-v2" in capsys.readouterr().out
    assert vectors.can_be_held()
    assert likeness.of_one(TEXTS["spy"], TEXTS.values()).pairs.keys() == {(TEXTS["spy"], TEXTS["watch"])}


def test_the_migration_makes_its_table_where_the_type_may_not_be_created() -> None:
    migration = importlib.import_module("constitutions_app.migrations.0016_text_vectors")
    with connection.cursor() as cursor, connection.schema_editor() as editor:
        cursor.execute("DROP TABLE constitutions_app_textvector; DROP EXTENSION vector")
        cursor.execute("CREATE ROLE poor; GRANT CREATE, USAGE ON SCHEMA public TO poor; SET LOCAL ROLE poor")
        assert "permission denied" in vectors.switch_on()
        migration.make_table(None, editor)
        cursor.execute("RESET ROLE")
        assert not vectors.can_be_held()
        assert vectors.switch_on() == "" and vectors.can_be_held()


def test_a_reader_asks_for_no_hints(watched: Constitution, reader: User, client: Client) -> None:
    assert signed_in(reader).post(reverse("constitutions:sent", args=["watched", "spy"])).status_code == 403
