"""The page of base models: what is there, what was found out about it, and who may register one."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.test import Client

from constitutions_app.models import LedgerEntry
from tests.tiny_model import build_tiny_model
from tests.training_app.views.conftest import Queries
from training_app.core.digests import digest_model_folder
from training_app.models import RegisteredModel

pytestmark = pytest.mark.django_db
COMMIT = "0123456789abcdef" * 2 + "01234567"


@pytest.fixture
def tiny() -> Path:
    folder = build_tiny_model(Path(settings.MODELS_ROOT) / "tiny")
    (folder / "README.md").write_text("---\nlicense: apache-2.0\n---\n# Tiny\n", encoding="utf-8")
    return folder


def test_a_registered_model_shows_size_licence_digest_and_template(engineer: Client, tiny: Path) -> None:
    assert "Not registered yet" in engineer.get("/models/").content.decode()
    assert engineer.post("/models/register/", {"name": "tiny"}).status_code == 302
    page = engineer.get("/models/").content.decode()
    digest = digest_model_folder(tiny)
    for words in ("apache-2.0", digest, "llama", "Why does bread rise?", "a local folder", "&lt;|im_start|&gt;"):
        assert words in page
    kept = RegisteredModel.objects.get()
    assert kept.parameters and kept.size_bytes > kept.parameters
    assert LedgerEntry.objects.filter(verb="model.register").count() == 1


def test_it_is_registered_once_until_it_changes(engineer: Client, tiny: Path) -> None:
    for _ in range(2):
        engineer.post("/models/register/", {"name": "tiny"})
    assert RegisteredModel.objects.count() == 1
    (tiny / "README.md").write_text("changed", encoding="utf-8")
    engineer.post("/models/register/", {"name": "tiny"})
    assert RegisteredModel.objects.count() == 2
    assert "licence not said" in engineer.get("/models/").content.decode()


def test_who_may_see_and_who_may_register(
    engineer: Client, reader: Client, stranger: Client, nobody: Client, tiny: Path
) -> None:
    assert "Register" in engineer.get("/models/").content.decode()
    page = reader.get("/models/")
    assert page.status_code == 200 and '<button class="btn">Register' not in page.content.decode()
    assert stranger.get("/models/").status_code == 403
    assert nobody.get("/models/").status_code == 302
    for client in (reader, stranger):
        assert client.post("/models/register/", {"name": "tiny"}).status_code == 403
    assert not RegisteredModel.objects.exists()


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda folder: (folder / "model.safetensors").rename(folder / "pytorch_model.bin"), "no safetensors weights"),
        (lambda folder: (folder / "chat_template.jinja").write_text("{{ ''.__class__ }}{{ 1/0 }}"), "chat template"),
        (lambda folder: (folder / "adapter_config.json").write_text("{}"), "holds an adapter"),
    ],
)
def test_what_cannot_be_used_safely_is_refused_in_a_sentence(
    engineer: Client, tiny: Path, spoil: Any, words: str
) -> None:
    spoil(tiny)
    answer = engineer.post("/models/register/", {"name": "tiny"}, follow=True)
    assert words in answer.content.decode()
    assert not RegisteredModel.objects.exists()


@pytest.mark.parametrize("name", ["../../etc", "", "nothing", "a\x00b"])
def test_no_other_folder_can_be_named(engineer: Client, name: str) -> None:
    assert engineer.post("/models/register/", {"name": name}, follow=True).status_code == 200
    assert not RegisteredModel.objects.exists()


def test_hostile_words_of_a_model_stay_text(engineer: Client, tiny: Path) -> None:
    (tiny / "README.md").write_text("---\nlicense: <script>alert(1)</script>\n---\n", encoding="utf-8")
    engineer.post("/models/register/", {"name": "tiny"})
    assert "<script>alert(1)" not in engineer.get("/models/").content.decode()


def test_the_page_takes_the_same_questions_for_more_models(engineer: Client, tiny: Path, queries: Queries) -> None:
    one = queries(engineer, "/models/")
    for number in range(5):
        RegisteredModel.objects.create(name=f"m{number}", digest=str(number) * 64, size_bytes=1)
    assert queries(engineer, "/models/") == one
    assert "not under MODELS_ROOT any more" in engineer.get("/models/").content.decode()


# From a hub


def test_a_hub_model_is_pinned_to_a_commit_and_brings_no_code(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}

    def download(name: str, *, revision: str, allow_patterns: list[str], local_dir: Path) -> None:
        asked.update(name=name, revision=revision, patterns=allow_patterns)
        build_tiny_model(local_dir)

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    out = StringIO()
    call_command("fetch_model", "org/tiny", "--revision", COMMIT, stdout=out)
    kept = RegisteredModel.objects.get()
    assert (kept.name, kept.hub, kept.revision) == (f"org--tiny@{COMMIT[:12]}", "org/tiny", COMMIT)
    assert asked["revision"] == COMMIT and not [
        one for one in asked["patterns"] if one.endswith((".py", ".bin", ".pt"))
    ]
    assert kept.digest in out.getvalue()
    source = json.loads((Path(settings.MODELS_ROOT) / kept.name / ".source.json").read_text())
    assert source == {"hub": "org/tiny", "revision": COMMIT}
    call_command("fetch_model", "org/tiny", "--revision", COMMIT, stdout=out)
    assert RegisteredModel.objects.count() == 1


@pytest.mark.parametrize(("name", "revision"), [("org/tiny", "main"), ("../etc", COMMIT), ("tiny", COMMIT)])
def test_a_branch_or_a_strange_name_is_refused(name: str, revision: str) -> None:
    with pytest.raises(CommandError):
        call_command("fetch_model", name, "--revision", revision)
