"""Settings: what they refuse, and that nothing is started by what needs no database."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from cai_web.secret_key import secret_key_of
from cai_web.settings import count, flag, listed, text


def run(*command: str, var: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs a program of the project with a `var` folder of its own."""
    inherited = {name: value for name, value in os.environ.items() if name not in {"ARTIFACT_ROOT", "HTTPS"}}
    return subprocess.run(
        [sys.executable, *command],
        cwd=settings.BASE_DIR,
        env={**inherited, "DJANGO_SETTINGS_MODULE": "cai_web.settings", "VAR_DIR": str(var), **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.mark.parametrize("value", ["ture", "2", "y e s", "enabled"])
def test_a_flag_that_is_neither_yes_nor_no_is_refused(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEBUG", value)
    with pytest.raises(ImproperlyConfigured, match=r"DEBUG=.* is neither yes nor no: use 1 or 0"):
        flag("DEBUG", False)


@pytest.mark.parametrize("value", ["0", "-1", "two", "1.5", "²", "1000"])
def test_a_number_that_is_none_is_refused(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEB_PROCESSES", value)
    with pytest.raises(ImproperlyConfigured, match=r"WEB_PROCESSES=.* is not a number from 1 to 999"):
        count("WEB_PROCESSES", 2)


def test_a_number_that_is_not_given_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEB_PROCESSES", "")
    assert count("WEB_PROCESSES", 2) == 2


@pytest.mark.parametrize(("value", "meaning"), [("1", True), ("Yes", True), ("off", False), ("0", False), ("", True)])
def test_flags_are_read_and_an_empty_one_is_the_default(
    value: str, meaning: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS", value)
    assert flag("HTTPS", True) is meaning


def test_empty_values_count_as_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "")
    monkeypatch.setenv("ALLOWED_HOSTS", " a.example, b.example ,")
    assert text("PORT", "8000") == "8000"
    assert listed("ALLOWED_HOSTS", "localhost") == ["a.example", "b.example"]


@pytest.mark.parametrize("address", ["mysql://a/b", "sqlite:///x.db", "nonsense"])
def test_only_postgresql_is_accepted(address: str, tmp_path: Path) -> None:
    result = run("manage.py", "check", var=tmp_path / "var", DATABASE_URL=address)
    assert result.returncode != 0
    assert "DATABASE_URL must name a PostgreSQL server" in result.stderr


@pytest.mark.parametrize(
    "command",
    [
        ("-c", "import django; django.setup(); import cai_web.urls"),
        ("manage.py", "check"),
        ("manage.py", "makemigrations", "--check", "--dry-run"),
        ("manage.py", "collectstatic", "--no-input", "-v0"),
    ],
    ids=["settings", "check", "makemigrations", "collectstatic"],
)
def test_what_needs_no_database_starts_nothing(command: tuple[str, ...], tmp_path: Path) -> None:
    result = run(*command, var=tmp_path / "var")
    assert (result.returncode, result.stderr) == (0, "")
    assert {path.name for path in (tmp_path / "var").iterdir()} <= {"secret_key", "static"}


def test_a_command_that_uses_the_database_works_alone_and_leaves_nothing_running(tmp_path: Path) -> None:
    code = "from django.db import connection; print(connection.cursor().execute('SELECT 6 * 7').fetchone()[0])"
    result = run("manage.py", "shell", "--no-imports", "-c", code, var=tmp_path / "var", DURABLE="0")
    assert result.stdout.strip() == "42", result.stderr
    assert not (tmp_path / "var" / "postgres" / "postmaster.pid").exists()


def test_a_database_without_tables_is_told_in_a_sentence(tmp_path: Path) -> None:
    file = tmp_path / "traits.json"
    file.write_text('[{"trait": "I ask."}]', encoding="utf-8")
    result = run("manage.py", "import_constitution", str(file), "--json", var=tmp_path / "var", DURABLE="0")
    assert (result.returncode, result.stderr.count("\n")) == (1, 1)
    assert "manage.py migrate" in result.stderr
    assert json.loads(result.stdout)["principles"][0]["text"] == "I ask."


def test_with_servers_of_your_own_nothing_is_started(tmp_path: Path) -> None:
    code = (
        "from django.conf import settings; settings.OWN_SERVICES.ensure(); print(settings.DATABASES['default']['HOST'])"
    )
    result = run(
        "manage.py",
        "shell",
        "--no-imports",
        "-c",
        code,
        var=tmp_path / "var",
        DATABASE_URL="postgres://someone@%2Frun%2Fpostgresql:5432/app",
        CELERY_BROKER_URL="redis://broker.example:6379/0",
    )
    assert result.stdout.strip() == "/run/postgresql", result.stderr
    assert [path.name for path in (tmp_path / "var").iterdir()] == ["secret_key"]


def test_the_deployment_check_is_clean(tmp_path: Path) -> None:
    result = run("manage.py", "check", "--deploy", "--fail-level", "WARNING", var=tmp_path / "var")
    assert result.returncode == 0, result.stderr
    assert "0 silenced" in result.stdout


def test_the_secret_key_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    key = secret_key_of(tmp_path / "var")
    assert len(key) >= 50
    assert secret_key_of(tmp_path / "var") == key
    assert [path.name for path in (tmp_path / "var").iterdir()] == ["secret_key"]
    assert (tmp_path / "var" / "secret_key").stat().st_mode & 0o777 == 0o600
