from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from constitutions_app import actions
from constitutions_app.models import Constitution, LedgerEntry
from constitutions_app.reviewing import Rules
from tests.constitutions_app.conftest import signed_in
from tests.constitutions_app.factories import draft_of, make_constitution, principle_of

pytestmark = pytest.mark.django_db

URL = "/constitutions/test/draft/publish/"


@pytest.fixture
def client(author: User) -> Client:
    return signed_in(author)


def edit(constitution: Constitution, user: User, text: str) -> None:
    row = principle_of(constitution, "honesty")
    actions.edit_principle(user=user, principle=row, expected=row.revision, changes={"text": text})


def test_it_shows_what_changes_and_publishes_it(constitution: Constitution, client: Client, author: User) -> None:
    edit(constitution, author, "Say what is true and mark what is doubtful.")
    html = client.get(URL).content.decode()
    assert "1 change since v1: 1 edited" in html
    assert "<del>uncertain</del><ins>doubtful</ins>" in html
    response = client.post(URL, {"note": "A plainer word.", "revision": draft_of(constitution).revision})
    assert response.headers["Location"] == reverse("constitutions:version", args=["test", 2])
    assert "v2 is published" in client.get(response.headers["Location"]).content.decode()


@pytest.mark.parametrize("note", ["", "   ", "x" * 2001])
def test_it_refuses_a_missing_or_endless_note(
    constitution: Constitution, client: Client, author: User, note: str
) -> None:
    edit(constitution, author, "Be honest.")
    response = client.post(URL, {"note": note, "revision": draft_of(constitution).revision})
    assert response.status_code == 422
    assert constitution.versions.count() == 1


def test_a_refusal_says_why_and_keeps_the_note(constitution: Constitution, client: Client) -> None:
    response = client.post(URL, {"note": "My <b>careful</b> note.", "revision": draft_of(constitution).revision})
    html = response.content.decode()
    assert response.status_code == 422
    assert "Nothing has changed since v1" in html
    assert "My &lt;b&gt;careful&lt;/b&gt; note." in html


def test_words_that_slipped_in_are_shown_before_they_are_published(
    constitution: Constitution, client: Client, author: User
) -> None:
    edit(constitution, author, "Be honest.")
    read = draft_of(constitution).revision
    edit(constitution, author, "Be honest, mostly.")
    response = client.post(URL, {"note": "Shorter.", "revision": read})
    html = response.content.decode()
    assert response.status_code == 422
    assert "changed while you were reading" in html and "mostly" in html and "Shorter." in html
    again = client.post(URL, {"note": "Shorter.", "revision": draft_of(constitution).revision})
    assert again.status_code == 302


def test_the_first_version_shows_everything_as_new(author: User, client: Client) -> None:
    make_constitution(author, name="Fresh", published=False)
    html = client.get(reverse("constitutions:publish", args=["fresh"])).content.decode()
    assert "The first version" in html
    assert html.count('data-change="added"') == 4, "three principles and an exemplar"


def test_an_empty_note_is_refused_beside_its_field(constitution: Constitution, client: Client, author: User) -> None:
    edit(constitution, author, "Be honest.")
    html = client.post(URL, {"note": " ", "revision": draft_of(constitution).revision}).content.decode()
    assert html.count("A version needs a change note.") == 1
    assert '<div id="id_note_error"><p class="error">A version needs a change note.' in html


def test_nothing_is_offered_when_nothing_changed(constitution: Constitution, client: Client) -> None:
    html = client.get(URL).content.decode()
    assert "Nothing to publish." in html
    assert "Publish version" not in html


def test_how_edits_count_is_said_before_publishing(constitution: Constitution, client: Client, author: User) -> None:
    edit(constitution, author, "Be honest.")
    assert "semantic: words that a model is sent changed" in client.get(URL).content.decode()
    html = client.post(URL, {"declare": "1", "kind-honesty": "minor", "note": "My note"}).content.decode()
    assert "declared minor, but words changed" in html and "My note</textarea>" in html
    assert "declared minor, but words changed" in client.get("/constitutions/test/compare/v1..draft/").content.decode()
    for unfit in ({"kind-nothing": "minor"}, {"kind-honesty": "huge"}):
        assert "<strong>Nothing was published" in client.post(URL, {"declare": "1", **unfit}).content.decode()
    edit(constitution, author, "Be honest, always.")
    assert "declared minor" not in client.get(URL).content.decode(), "it was said of other words"


@pytest.mark.parametrize("revision", ["", "x", "-1", "1e9"])
def test_a_senseless_revision_publishes_nothing(
    constitution: Constitution, client: Client, author: User, revision: str
) -> None:
    edit(constitution, author, "Be honest.")
    assert client.post(URL, {"note": "A note.", "revision": revision}).status_code == 422
    assert constitution.versions.count() == 1


@pytest.mark.parametrize("key", ["a%00b", "%ED%A0%80", "x" * 100_000, "", "%3Cscript%3E", "privacy/../x"], ids=range(6))
def test_a_word_about_a_principle_that_nobody_has_is_refused(
    constitution: Constitution, client: Client, author: User, key: str
) -> None:
    edit(constitution, author, "Say what is true.")
    sent = f"declare=1&kind-{key}=minor&note=Kept."
    answer = client.post(URL, sent, content_type="application/x-www-form-urlencoded")
    assert answer.status_code == 422
    page = answer.content.decode()
    assert "has no principle" in page and "Kept." in page and "<script>'" not in page
    assert not LedgerEntry.objects.filter(verb="draft.declare_edits").exists()


def test_what_the_rules_still_ask_for_is_said_before_anybody_tries(
    constitution: Constitution, client: Client, author: User
) -> None:
    edit(constitution, author, "Be honest.")
    assert "Before publishing" not in client.get(URL).content.decode(), "no rule asks for anything"
    actions.change_rules(user=author, constitution=constitution, rules=Rules(required_approvals=2))
    html = client.get(URL).content.decode()
    assert "cannot be published yet" in html and "0 of 2 approvals." in html
    assert 'href="/constitutions/test/draft/review/"' in html


def test_a_branch_is_published_from_its_page(constitution: Constitution, client: Client, author: User) -> None:
    branch = actions.start_branch(user=author, version=constitution.versions.get(number=1), name="softer")
    row = principle_of(constitution, "honesty", "softer")
    actions.edit_principle(user=author, principle=row, expected=row.revision, changes={"text": "Be honest."})
    branch.refresh_from_db()
    page = reverse("constitutions:publish", args=[branch.address])
    answer = client.post(page, {"note": "Softer.", "revision": branch.revision})
    assert answer.headers["Location"] == reverse("constitutions:version", args=["test", 2])
