from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from constitutions_app.access import Role
from constitutions_app.actions import create_scenario, record_scenario_result
from constitutions_app.core.principles import digest
from constitutions_app.models import Constitution, Scenario
from tests.constitutions_app.actions.test_scenarios import JUDGE, WORDS
from tests.constitutions_app.conftest import signed_in
from tests.constitutions_app.factories import draft_of, make_person, newest
from tests.constitutions_app.strategies import ATTACKS

pytestmark = pytest.mark.django_db

LIST = "/constitutions/test/scenarios/"
ONE = f"{LIST}rude-letter/"


@pytest.fixture
def scenario(constitution: Constitution, author: User) -> Scenario:
    return create_scenario(user=author, constitution=constitution, **WORDS)


@pytest.mark.parametrize("role", [Role.REVIEWER, Role.AUDITOR])
def test_reviewers_and_auditors_write_scenarios_too(constitution: Constitution, role: Role) -> None:
    client = signed_in(make_person("olu", role))
    assert client.post(f"{LIST}new/", {"prompt": "Why?", "title": "Why"}).status_code == 302
    assert client.get(f"{LIST}why/edit/").status_code == 200
    assert client.post("/constitutions/import/", {"text": "x"}).status_code == 403


def test_engineers_read_them(scenario: Scenario) -> None:
    client = signed_in(make_person("eve", Role.ENGINEER))
    assert client.get(ONE).status_code == 200
    assert client.post(f"{ONE}retire/").status_code == 403


def test_one_is_written_with_its_principles_ticked(constitution: Constitution, author: User) -> None:
    client = signed_in(author)
    page = client.get(f"{LIST}new/?principle=privacy").content.decode()
    assert 'value="privacy" id="id_principles_1" checked' in page
    answer = client.post(f"{LIST}new/", {**WORDS, "title": "New"})
    made = Scenario.objects.get()
    assert answer.headers["Location"] == f"{LIST}new-2/" and made.key == "new-2"
    assert (made.principles, made.expected, made.origin) == (WORDS["principles"], "a", {"kind": "written"})


def test_what_is_not_filled_in_is_said_and_the_rest_kept(constitution: Constitution, author: User) -> None:
    answer = signed_in(author).post(f"{LIST}new/", {"response_a": "My words", "principles": ["nothing"]})
    assert answer.status_code == 422
    assert "My words" in answer.content.decode()
    assert not Scenario.objects.exists()


def test_a_stale_save_shows_both_texts_and_saving_again_keeps_mine(scenario: Scenario, author: User) -> None:
    client = signed_in(author)
    first = {**WORDS, "prompt": "Write two letters.", "revision": 0}
    assert client.post(f"{ONE}edit/", first).status_code == 302
    stale = client.post(f"{ONE}edit/", {**WORDS, "prompt": "Write three letters.", "revision": 0})
    assert stale.status_code == 409
    assert "<del>two</del>" in stale.content.decode() and "<ins>three</ins>" in stale.content.decode()
    assert client.post(f"{ONE}edit/", {**WORDS, "prompt": "Write three letters.", "revision": 1}).status_code == 302
    assert Scenario.objects.get().prompt == "Write three letters."


def test_the_list_shows_the_result_under_the_words_asked_for(scenario: Scenario, author: User, reader: User) -> None:
    constitution = scenario.constitution
    for key in scenario.principles:
        record_scenario_result(
            user=None,
            scenario=scenario,
            principle=key,
            p_expected=0.81,
            constitution_digest=newest(constitution).digest,
            **JUDGE,
        )
    draft = draft_of(constitution)
    draft.preamble = "Other."
    draft.save()
    assert digest(draft.to_core()) != newest(constitution).digest
    client = signed_in(reader)
    listed = client.get(LIST).content.decode()
    assert "1 not run" in listed and "of other words: passed 0.81" in listed, "shown, and not counted"
    assert "of other words: passed 0.81" in client.get(ONE).content.decode()
    under = client.get(f"{LIST}?words=v1").content.decode()
    assert "1 passed" in under and "of other words" not in under
    assert "Rude letter" in client.get(f"{LIST}?words=v1&state=passed&principle=kindness").content.decode()
    for question in ("?words=v1&state=failed", "?principle=privacy", "?retired=on"):
        assert "Rude letter" not in client.get(LIST + question).content.decode()
    page = client.get(ONE).content.decode()
    assert "0.81" in page and ">v1</a>" in page and "smol/paper" in page
    assert client.get(f"{LIST}?words=v9&state=x&principle=\x01").status_code == 200


def test_a_retired_one_is_kept_and_comes_back(scenario: Scenario, author: User) -> None:
    client = signed_in(author)
    client.post(f"{ONE}retire/")
    assert "Rude letter" not in client.get(LIST).content.decode()
    assert "Rude letter" in client.get(f"{LIST}?retired=on").content.decode()
    client.post(f"{ONE}restore/")
    assert "Rude letter" in client.get(LIST).content.decode()


@pytest.mark.parametrize("attack", [*ATTACKS, "x" * 100_000], ids=range(len(ATTACKS) + 1))
def test_hostile_words_come_back_escaped(constitution: Constitution, author: User, attack: str) -> None:
    made = create_scenario(
        user=author,
        constitution=constitution,
        title=attack[:100],
        prompt=attack,
        response_a=attack,
        response_b=attack,
        note=attack,
        principles=[],
        origin={"kind": "import", "file": attack},
    )
    client = signed_in(author)
    for address in (LIST, f"{LIST}{made.key}/", f"{LIST}{made.key}/edit/", "/constitutions/test/"):
        page = client.get(address).content.decode()
        assert "<script>alert(1)" not in page and "<svg/onload" not in page and "<img src=x" not in page
    assert "\u202e" not in client.get(f"{LIST}{made.key}/").content.decode()


def test_pages_take_the_same_queries_however_many_there_are(
    constitution: Constitution, author: User, reader: User
) -> None:
    client = signed_in(reader)

    def count(address: str) -> int:
        client.get(address)
        with CaptureQueriesContext(connection) as captured:
            client.get(address)
        return len(captured)

    addresses = (LIST, "/constitutions/test/", "/constitutions/test/v1/principles/honesty/")
    create_scenario(user=author, constitution=constitution, **WORDS)
    few = list(map(count, addresses))
    for _ in range(5):
        create_scenario(user=author, constitution=constitution, **WORDS)
    assert list(map(count, addresses)) == few
