from __future__ import annotations

import hashlib
import json
from dataclasses import fields
from io import StringIO
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command

from constitutions_app.actions import edit_preamble, move_alias, publish_version, start_branch, text_revision
from constitutions_app.core.interchange import WRITTEN, read_bytes
from constitutions_app.core.principles import Exemplar, digest
from constitutions_app.models import Constitution, Import, LedgerEntry
from tests.constitutions_app.factories import draft_of, newest

EXEMPLAR_FIELDS = [field.name for field in fields(Exemplar)]
POLIS = "comment-id,comment-body,agrees,moderated\n1,AI should be clear.,5,1\n2,\x1b[31mred,1,-1\n"


def run(*arguments: str) -> str:
    out = StringIO()
    call_command(*arguments, stdout=out)
    return out.getvalue()


@pytest.fixture
def comments(tmp_path: Path) -> str:
    path = tmp_path / "town_hall.csv"
    path.write_text(POLIS, encoding="utf-8")
    return str(path)


def test_a_dry_run_needs_no_database_and_prints_json(comments: str) -> None:
    body = json.loads(run("import_constitution", comments, "--dry-run", "--json"))
    assert [item["text"] for item in body["principles"]] == ["AI should be clear."]
    assert body["scenarios"] == []
    assert body["not_understood"] == [
        {"line": 3, "text": "\x1b[31mred", "reason": "This comment was moderated out."},
    ]
    assert len(body["digest"]) == 64
    assert set(body) == {"principles", "scenarios", "not_understood", "digest"}


def test_the_preview_for_people_cannot_steer_a_terminal(comments: str) -> None:
    text = run("import_constitution", comments, "--dry-run")
    assert "Town hall" in text and "1 principles" in text
    assert "line 3: This comment was moderated out." in text
    assert "\x1b" not in text
    assert text.endswith("Nothing was written.\n")


@pytest.mark.django_db
def test_it_writes_a_constitution_in_the_name_of_the_only_admin(comments: str, admin: User, author: User) -> None:
    body = json.loads(run("import_constitution", comments, "--json"))
    made = Constitution.objects.get(slug="town-hall")
    assert made.created_by == admin
    assert digest(made.draft.to_core()) == body["digest"]
    entry = LedgerEntry.objects.latest("seq")
    assert entry.verb == "constitution.create"
    assert body["digest"] in json.dumps(entry.body)
    assert "new constitution town-hall-2" in run("import_constitution", comments, "--user", author.username)


@pytest.mark.django_db
def test_it_asks_in_whose_name_and_refuses_those_who_may_not_write(comments: str, reader: User) -> None:
    with pytest.raises(CommandError, match="--user NAME"):
        run("import_constitution", comments)
    for name in (reader.username, "nobody"):
        with pytest.raises(CommandError, match="no active author or admin"):
            run("import_constitution", comments, "--user", name)
    assert not Constitution.objects.exists()


@pytest.mark.django_db
def test_what_does_not_fit_is_refused_in_one_sentence(tmp_path: Path, admin: User) -> None:
    path = tmp_path / "own.json"
    path.write_text('{"name": "N", "principles": [{"id": "two words", "text": "t"}]}', encoding="utf-8")
    with pytest.raises(CommandError, match="Nothing was written: Principle “two words”"):
        run("import_constitution", str(path))
    assert not Constitution.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("part", "reason"),
    [
        ({"name": "n" * 201}, "name has 201 characters"),
        ({"principles": [{"id": "two words", "text": "t"}]}, "Principle “two words”"),
        ({"exemplars": [dict.fromkeys(EXEMPLAR_FIELDS, "x")] * 21}, "at most 20 exemplars; the file has 21"),
    ],
)
def test_a_dry_run_tells_what_would_hinder_the_writing(
    tmp_path: Path, admin: User, part: dict[str, object], reason: str
) -> None:
    path = tmp_path / "own.json"
    path.write_text(json.dumps({"name": "N", "principles": [{"id": "a", "text": "t"}], **part}), encoding="utf-8")
    for arguments, words in ((("--dry-run",), "This could not be written: "), ((), "Nothing was written: ")):
        with pytest.raises(CommandError, match=f"{words}.*{reason}"):
            run("import_constitution", str(path), "--json", *arguments)
    assert not Constitution.objects.exists()


def test_links_are_counted_and_marked(tmp_path: Path) -> None:
    pairs, questions = tmp_path / "p.json", tmp_path / "q.json"
    pairs.write_text('{"k": {"prompt": ["C"], "edit_request": "R"}}', encoding="utf-8")
    questions.write_text('["\\nQ? Options:"]', encoding="utf-8")
    arguments = ("import_constitution", str(pairs), "--link", str(questions), "--dry-run")
    assert "1 links between the two files go by position only" in run(*arguments)
    body = json.loads(run(*arguments, "--json"))
    assert body["principles"][0]["tags"] == ["link-unconfirmed"]


@pytest.mark.django_db
def test_what_cannot_be_linked_is_told_and_nothing_is_written(tmp_path: Path, admin: User) -> None:
    pairs = tmp_path / "p.json"
    pairs.write_text('{"k": {"prompt": ["C"], "edit_request": "R"}}', encoding="utf-8")
    for link, reason in (
        (tmp_path / "none.json", "none.json, line 0: There is no such file"),
        (pairs, "can be linked"),
    ):
        out = StringIO()
        with pytest.raises(CommandError, match=f"Nothing was written: .*{reason}"):
            call_command("import_constitution", str(pairs), "--link", str(link), "--json", stdout=out)
        assert [item["id"] for item in json.loads(out.getvalue())["principles"]] == ["k"]
    assert not Constitution.objects.exists()


def test_what_is_no_constitution_is_told_and_fails(tmp_path: Path) -> None:
    path = tmp_path / "letter.txt"
    path.write_text("Dear all,\n", encoding="utf-8")
    out = StringIO()
    with pytest.raises(CommandError, match="Nothing was understood"):
        call_command("import_constitution", str(path), "--json", stdout=out)
    assert json.loads(out.getvalue())["not_understood"][0]["line"] == 1
    with pytest.raises(CommandError, match="no such file"):
        run("import_constitution", str(tmp_path / "none"))
    with pytest.raises(CommandError, match="no format 'docx'"):
        run("import_constitution", str(path), "--format", "docx")


@pytest.mark.django_db
@pytest.mark.parametrize("format", WRITTEN)
def test_an_exported_version_imports_to_its_digest(constitution: Constitution, format: str) -> None:
    version = newest(constitution)
    text = run("export_constitution", f"{constitution.slug}@{version.number}", "--format", format)
    assert digest(read_bytes(text.encode(), "x").constitution) == version.digest
    assert run("export_constitution", f"{constitution.slug}@latest", "--format", format) == text


@pytest.mark.django_db
def test_the_draft_can_be_exported_too(constitution: Constitution, author: User) -> None:
    draft = draft_of(constitution)
    edit_preamble(user=author, draft=draft, expected=text_revision(draft.preamble), text="New words.")
    assert "New words." in run("export_constitution", f"{constitution.slug}@draft")
    assert "New words." not in run("export_constitution", f"{constitution.slug}@v1")


@pytest.mark.django_db
def test_versions_go_by_alias_and_drafts_by_branch(constitution: Constitution, author: User) -> None:
    first = newest(constitution)
    move_alias(user=author, constitution=constitution, name="production", version=first)
    branch = start_branch(user=author, version=first, name="trial")
    edit_preamble(user=author, draft=branch, expected=text_revision(branch.preamble), text="Tried words.")
    publish_version(user=author, draft=branch, note="Tried.")
    printed = {name: run("export_constitution", f"{constitution.slug}@{name}") for name in ["1", "2", "trial"]}
    assert "Tried words." in printed["trial"] and printed["trial"] == printed["2"]
    for name in ("latest", "production"):  # the newest of the main branch, not of all branches
        assert run("export_constitution", f"{constitution.slug}@{name}") == printed["1"]


@pytest.mark.django_db
def test_what_is_not_there_is_not_exported(constitution: Constitution) -> None:
    for state, reason in (
        ("nothing", "SLUG@N"),
        ("other@1", "no constitution other"),
        (f"{constitution.slug}@7", "no version 7"),
        (f"{constitution.slug}@nowhere", "no version, alias or branch 'nowhere'"),
    ):
        with pytest.raises(CommandError, match=reason):
            run("export_constitution", state)
    with pytest.raises(CommandError, match="read only"):
        run("export_constitution", f"{constitution.slug}@1", "--format", "polis")


@pytest.mark.django_db
def test_it_stores_scenarios_votes_and_licence(tmp_path: Path, admin: User) -> None:
    (tmp_path / "LICENSE").write_text("\nMIT License\n\nmore", encoding="utf-8")
    traits, votes = tmp_path / "traits.json", tmp_path / "votes.csv"
    traits.write_text('[{"trait": "Be kind.", "questions": ["Hello?", "Why?"]}]', encoding="utf-8")
    votes.write_text(POLIS, encoding="utf-8")
    assert "with 2 scenarios" in run("import_constitution", str(traits))
    made = Constitution.objects.get(slug="traits")
    assert [(row.prompt, row.principles) for row in made.scenarios.order_by("pk")] == [
        ("Hello?", ["be-kind"]),
        ("Why?", ["be-kind"]),
    ]
    run("import_constitution", str(votes), "--licence", "CC0")
    kept = Import.objects.get(constitution__slug="votes")
    assert kept.provenance["comment-1"]["agrees"] == 5
    assert kept.file_digest == hashlib.sha256(votes.read_bytes()).hexdigest()
    assert (kept.licence, made.imports.get().licence) == ("CC0", "MIT License")
    assert kept.not_understood == [{"line": 3, "text": "\x1b[31mred", "reason": "This comment was moderated out."}]
