"""The database backend: it starts the app's own server, and starts it again when it was killed."""

from __future__ import annotations

import os
import textwrap
from pathlib import Path

import pytest
from django.db import OperationalError, ProgrammingError, connection, transaction
from django.db.backends.postgresql import base

from cai_web.postgres.base import DatabaseWrapper
from cai_web.services import OwnServices, ServiceError
from tests.cai_web.test_settings import run

KILL_AND_ASK_AGAIN = textwrap.dedent(
    """
    import os, signal, time
    from django.conf import settings
    from django.db import connection
    from cai_web.services import processes

    def ask():
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        return settings.OWN_SERVICES.running()["PostgreSQL"]

    before = ask()
    connection.close()
    os.kill(before, signal.SIGKILL)
    # The killed server's helpers live on for a moment, and one of them would still answer an open connection.
    while processes.all_of("postgres", settings.OWN_SERVICES.postgres.data):
        time.sleep(0.05)
    assert ask() != before
    print("asked twice")
    """
)


def test_the_next_connection_finds_a_killed_server_running_again(tmp_path: Path) -> None:
    result = run("manage.py", "shell", "--no-imports", "-c", KILL_AND_ASK_AGAIN, var=tmp_path / "var")
    assert "asked twice" in result.stdout, result.stderr
    assert OwnServices(tmp_path / "var").running() == {}


def test_a_service_that_cannot_be_had_is_a_database_error_with_its_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise ServiceError("Run this as an ordinary user.")

    monkeypatch.setattr(OwnServices, "ensure", refuse)
    with pytest.raises(OperationalError, match="ordinary user"):
        connection.get_new_connection({})


def test_a_command_without_its_services_ends_with_the_sentence_alone(tmp_path: Path) -> None:
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / "run").symlink_to(tmp_path)
    result = run("manage.py", "showmigrations", var=tmp_path / "var")
    assert result.returncode == 1
    folder = tmp_path / "var" / "run"
    sentence = f"{folder} does not belong to you: remove it, or run this as the user who owns it."
    assert result.stderr.strip() == sentence


@pytest.mark.django_db
def test_tests_use_a_database_of_their_own() -> None:
    assert str(connection.settings_dict["NAME"]).startswith("test_cai")
    assert str(connection.settings_dict["HOST"]).startswith(os.environ["CAI_TEST_VAR"])


@pytest.mark.django_db
def test_after_a_restart_of_the_server_a_kept_connection_is_made_anew() -> None:
    kept = DatabaseWrapper({**connection.settings_dict, "CONN_MAX_AGE": 300})
    with kept.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        backend = cursor.fetchone()[0]
    kept.close_if_unusable_or_obsolete()  # as at the end of a request
    assert kept.connection is not None, "it is kept"
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [backend])
        assert cursor.fetchone() == (True,)
    with kept.cursor() as cursor:
        cursor.execute("SELECT 1")
        assert cursor.fetchone() == (1,)
    kept.close()


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Connections that were asked whether they live."""
    asked: list[object] = []
    before = base.DatabaseWrapper.is_usable

    def is_usable(self: DatabaseWrapper) -> bool:
        asked.append(self)
        return before(self)

    monkeypatch.setattr(base.DatabaseWrapper, "is_usable", is_usable)
    return asked


@pytest.mark.django_db
def test_a_kept_connection_that_lives_is_not_asked(asked: list[object]) -> None:
    assert connection.is_usable() and not asked


@pytest.mark.django_db
def test_a_connection_whose_transaction_has_failed_is_not_usable(asked: list[object]) -> None:
    with pytest.raises(ProgrammingError), transaction.atomic(), connection.cursor() as cursor:
        try:
            cursor.execute("SELECT nothing_of_this_name")
        finally:
            assert not connection.is_usable() and asked == [connection]
    assert connection.is_usable(), "undone, it is again"


@pytest.mark.django_db
def test_a_kept_connection_whose_end_was_told_is_not_usable(asked: list[object]) -> None:
    kept = DatabaseWrapper({**connection.settings_dict, "CONN_MAX_AGE": 300})
    with kept.cursor() as cursor, connection.cursor() as other:
        cursor.execute("SELECT pg_backend_pid()")
        other.execute("SELECT pg_terminate_backend(%s, 5000)", cursor.fetchone())
    assert not kept.is_usable() and asked == [kept]
    kept.close()
    assert not kept.is_usable(), "there is none"


@pytest.mark.django_db
def test_a_server_elsewhere_is_asked(monkeypatch: pytest.MonkeyPatch, asked: list[object]) -> None:
    monkeypatch.setattr(OwnServices, "has_postgres", False)
    assert connection.is_usable() and len(asked) == 1
