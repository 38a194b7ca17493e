from __future__ import annotations

from dataclasses import replace

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from constitutions_app.actions import create_scenario, edit_preamble, edit_principle, publish_version, text_revision
from constitutions_app.core.principles import Principle
from constitutions_app.models import Comment, Constitution, Thread
from constitutions_app.searching import PLACES, search
from tests.constitutions_app.conftest import signed_in
from tests.constitutions_app.factories import BODY, draft_of, make_constitution, principle_of
from tests.constitutions_app.strategies import ATTACKS

pytestmark = pytest.mark.django_db


def say(user: User, constitution: Constitution, body: str) -> Comment:
    thread = Thread.objects.create(draft=draft_of(constitution), key="honesty", field="text", opened_by=user)
    return Comment.objects.create(thread=thread, author=user, body=body)


@pytest.fixture
def everywhere(constitution: Constitution, author: User) -> Constitution:
    """The word "lighthouse" stands in every place once, in the draft's principle twice."""
    principle = principle_of(constitution, "honesty")
    edit_principle(
        user=author, principle=principle, expected=principle.revision,
        changes={"text": "Be a lighthouse.", "rationale": "Lighthouses do not move."},
    )  # fmt: skip
    draft = draft_of(constitution)
    edit_preamble(
        user=author, draft=draft, expected=text_revision(draft.preamble), text="Light, as a lighthouse gives."
    )
    publish_version(user=author, draft=draft_of(constitution), note="A lighthouse came in.")
    say(author, constitution, "Why a lighthouse?")
    create_scenario(user=author, constitution=constitution, title="Coast", prompt="Where is the lighthouse?")
    return constitution


def test_it_finds_words_in_every_place_whatever_their_ending(everywhere: Constitution) -> None:
    found = {hit.place for hit in search("lighthouses")}
    assert found == {place.words for place in PLACES.values()}
    for name, place in PLACES.items():
        hits = search("lighthouse", everywhere, name)
        assert {hit.place for hit in hits} == {place.words}
        assert all(any(is_found for _, is_found in hit.parts) for hit in hits)


def test_every_hit_leads_to_a_page(everywhere: Constitution, reader: User) -> None:
    client = signed_in(reader)
    for hit in search("lighthouse"):
        assert client.get(hit.url).status_code == 200, hit


def test_a_hit_in_a_draft_leads_writers_to_its_principle(constitution: Constitution, author: User) -> None:
    hit = next(hit for hit in search("patience", where="drafts"))
    answer = signed_in(author).get(hit.url)
    assert answer.headers["Location"] == reverse("constitutions:draft_principle", args=["test", "kindness"])


def test_a_hit_in_a_preamble_leads_writers_to_it(everywhere: Constitution, author: User) -> None:
    (hit,) = search("lighthouse", where="preambles")
    answer = signed_in(author).get(hit.url)
    assert answer.headers["Location"] == reverse("constitutions:draft_preamble", args=["test"])


def test_the_text_of_a_rule_comes_before_its_rationale(author: User) -> None:
    principles = (
        Principle(id="beside", title="", text="Be steady.", rationale="As a lighthouse is."),
        Principle(id="main", title="", text="Be a lighthouse."),
    )
    make_constitution(author, body=replace(BODY, principles=principles), published=False)
    assert [hit.title for hit in search("lighthouse", where="drafts")] == ["main, draft", "beside, draft"]


def test_words_published_unchanged_are_found_once(everywhere: Constitution, author: User) -> None:
    for number in range(3):
        principle = principle_of(everywhere, "kindness")
        edit_principle(
            user=author, principle=principle, expected=principle.revision, changes={"text": f"Number {number}."}
        )
        publish_version(user=author, draft=draft_of(everywhere), note="Other.")
    versions = [hit.title for hit in search("lighthouse", where="versions")]
    assert versions == ["Honesty, v2"]
    assert [hit.title for hit in search("lighthouse", where="published_preambles")] == ["Preamble, v2"]


@pytest.mark.parametrize(
    "question", ["", "   ", "the", "\x00", '"', "a & | ! <-> :*", "-", "or or", "x" * 5000, *ATTACKS]
)
def test_no_question_breaks_it(everywhere: Constitution, reader: User, question: str) -> None:
    answer = signed_in(reader).get("/search/", {"q": question.replace("\x00", "")})
    assert answer.status_code == 200
    assert "<script>alert(1)" not in answer.content.decode()
    assert isinstance(search(question), list)


@pytest.mark.parametrize("attack", ATTACKS)
def test_hostile_words_come_back_escaped_and_marked(author: User, reader: User, attack: str) -> None:
    made = make_constitution(author, name="Hostile", published=False)
    say(author, made, f"{attack} lighthouse {attack}")
    page = signed_in(reader).get("/search/?q=lighthouse").content.decode()
    assert "<mark>lighthouse</mark>" in page
    for bad in ("<script>alert(1)", "<svg/onload", "<img src=x", "<ins>not", "\u202e"):
        assert bad not in page


def test_a_word_of_a_megabyte_can_be_saved_and_the_rest_found(author: User) -> None:
    made = make_constitution(author, name="Long", published=False)
    say(author, made, "lighthouse " + "x" * 1_000_000)
    say(author, made, " ".join(chr(0x4E00 + n % 20_000) + chr(0x1F600 + n % 60) for n in range(60_000)))
    assert len(search("lighthouse", where="threads")) == 1


def test_filters_narrow_and_unknown_ones_find_nothing(everywhere: Constitution, author: User, reader: User) -> None:
    make_constitution(author, name="Other")
    client = signed_in(reader)
    assert "Nothing found" in client.get("/search/?q=lighthouse&constitution=other").content.decode()
    assert "change note" in client.get("/search/?q=lighthouse&where=notes&constitution=test").content.decode()
    assert client.get("/search/?q=lighthouse&where=secrets&constitution=nothing").status_code == 200
    assert search("lighthouse", where="secrets") == []


def test_the_queries_do_not_grow_with_what_is_found(everywhere: Constitution, author: User, reader: User) -> None:
    client = signed_in(reader)

    def count() -> int:
        client.get("/search/?q=lighthouse")
        with CaptureQueriesContext(connection) as captured:
            client.get("/search/?q=lighthouse")
        return len(captured)

    few = count()
    for number in range(5):
        create_scenario(user=author, constitution=everywhere, prompt=f"Lighthouse {number}")
        say(author, everywhere, "Another lighthouse.")
    assert count() == few


@pytest.mark.parametrize("name", PLACES)
def test_every_place_is_asked_through_its_index(everywhere: Constitution, name: str) -> None:
    place = PLACES[name]
    from django.contrib.postgres.search import SearchQuery

    query = SearchQuery("lighthouse", config="english", search_type="websearch")
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        rows = place.rows().model._default_manager.order_by()  # the rows alone: joins of a few rows have other plans
        plan = rows.annotate(vector=place.vector()).filter(vector=query).explain()
    assert "words_of_" in plan
