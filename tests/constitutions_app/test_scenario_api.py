from __future__ import annotations

import json
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from constitutions_app.access import Role
from constitutions_app.actions import create_scenario
from constitutions_app.core.interchange import WRITTEN, read_bytes
from constitutions_app.core.principles import digest
from constitutions_app.models import Constitution, Import, Scenario, ScenarioResult
from tests.constitutions_app.actions.test_scenarios import WORDS
from tests.constitutions_app.conftest import signed_in
from tests.constitutions_app.factories import make_person, newest

pytestmark = pytest.mark.django_db

API = "/api/constitutions/test"
POLIS = "comment-id,comment-body,agrees\n1,AI should be clear.,5\n2,,1\n"


def send(client: Client, method: str, url: str, body: Any) -> Any:
    return getattr(client, method)(url, json.dumps(body), content_type="application/json")


@pytest.fixture
def scenario(constitution: Constitution, author: User) -> Scenario:
    return create_scenario(user=author, constitution=constitution, **WORDS)


def test_scenarios_are_written_read_and_changed(constitution: Constitution, author: User) -> None:
    client = signed_in(author)
    made = send(client, "post", f"{API}/scenarios/", WORDS)
    assert made.status_code == 201 and made.json()["key"] == "rude-letter"
    one = f"{API}/scenarios/rude-letter/"
    changed = send(client, "patch", one, {"note": "Why.", "revision": 0})
    assert changed.json()["revision"] == 1
    assert send(client, "patch", one, {"note": "Else.", "revision": 0}).status_code == 409
    assert send(client, "post", f"{one}retire/", {}).json()["retired_at"]
    assert send(client, "post", f"{one}restore/", {}).json()["retired_at"] is None
    assert client.get(one).json()["note"] == "Why."
    assert [row["key"] for row in client.get(f"{API}/scenarios/").json()["results"]] == ["rude-letter"]
    assert send(client, "post", f"{API}/scenarios/", {"prompt": "x", "expected": "c"}).status_code == 400


def test_engineers_store_results_and_nobody_else(scenario: Scenario, author: User) -> None:
    body = {
        "constitution_digest": newest(scenario.constitution).digest,
        "judge_digest": "c" * 64,
        "judge_name": "smol",
        "results": [{"scenario": "rude-letter", "principle": "honesty", "p_expected": 0.7}],
    }
    url = f"{API}/scenario-results/"
    assert send(signed_in(author), "post", url, body).status_code == 403
    engineer = signed_in(make_person("eve", Role.ENGINEER))
    assert send(engineer, "post", url, body).json() == {"stored": 1}
    for wrong in ({"scenario": "none"}, {"principle": "privacy"}):
        results = [{**body["results"][0], **wrong}]  # type: ignore[dict-item]  # the list above
        assert send(engineer, "post", url, {**body, "results": results}).status_code == 409
    assert send(engineer, "post", url, {**body, "results": []}).status_code == 400
    assert ScenarioResult.objects.count() == 1


def test_an_import_shows_first_and_writes_when_asked(author: User, reader: User) -> None:
    client = signed_in(author)
    body = {"text": POLIS, "file_name": "town.csv", "licence": "CC0"}
    shown = send(client, "post", "/api/import/", body).json()
    assert (shown["format"], shown["written"], len(shown["not_understood"])) == ("polis", None, 1)
    assert not Constitution.objects.exists()
    written = send(client, "post", "/api/import/", {**body, "write": True})
    assert (written.status_code, written.json()["written"]) == (201, "town")
    assert Import.objects.get().licence == "CC0"
    assert send(client, "post", "/api/import/", {"text": "Dear all", "write": True}).status_code == 409
    assert send(signed_in(reader), "post", "/api/import/", body).status_code == 403


@pytest.mark.parametrize("form", WRITTEN)
def test_exports_keep_the_digest(constitution: Constitution, reader: User, form: str) -> None:
    client = signed_in(reader)
    for place in ("versions/1", "draft"):
        answer = client.get(f"{API}/{place}/export/{form}/")
        assert digest(read_bytes(answer.content, "x").constitution) == newest(constitution).digest
    assert client.get(f"{API}/draft/export/docx/").status_code == 404


def test_search_and_activity(scenario: Scenario, reader: User) -> None:
    client = signed_in(reader)
    hit = client.get("/api/search/?q=letters&where=scenarios").json()[0]
    assert hit["title"] == "Rude letter" and {"text": "letter", "found": True} in hit["parts"]
    assert client.get("/api/search/?q=x&constitution=none").status_code == 404
    verbs = [entry["verb"] for entry in client.get(f"{API}/activity/").json()["results"]]
    assert verbs == ["scenario.create", "version.publish", "constitution.create"]


@pytest.mark.parametrize(
    "path",
    [
        f"{API}/scenarios/",
        f"{API}/scenarios/rude-letter/",
        f"{API}/activity/",
        f"{API}/versions/1/export/json/",
        f"{API}/draft/export/json/",
        "/api/search/?q=x",
    ],
)
def test_strangers_get_nothing(scenario: Scenario, reader: User, stranger: User, path: str) -> None:
    assert signed_in(stranger).get(path).status_code == 403
    assert Client().get(path).status_code == 401
    assert signed_in(reader).get(path).status_code == 200


def test_readers_change_nothing(scenario: Scenario, reader: User) -> None:
    client = signed_in(reader)
    one = f"{API}/scenarios/rude-letter/"
    asked = [("post", f"{API}/scenarios/"), ("patch", one), ("post", f"{one}retire/"), ("post", f"{one}restore/")]
    assert {send(client, method, url, {"prompt": "x"}).status_code for method, url in asked} == {403}
