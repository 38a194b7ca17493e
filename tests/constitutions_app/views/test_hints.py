from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from constitutions_app.actions import edit_principle
from constitutions_app.core.principles import Constitution as Body
from constitutions_app.core.principles import Principle
from constitutions_app.models import Constitution, LedgerEntry
from tests.constitutions_app.conftest import signed_in
from tests.constitutions_app.factories import make_constitution, principle_of
from tests.constitutions_app.strategies import ATTACKS

pytestmark = pytest.mark.django_db
VAGUE = "Say it in an appropriate manner, as 😀 appropriate words go."


@pytest.fixture
def client(author: User) -> Client:
    return signed_in(author)


def address(name: str, key: str = "honesty", slug: str = "test") -> str:
    return reverse(f"constitutions:{name}", args=[slug, key])


def beside(client: Client, **typed: str) -> str:
    return client.post(address("sent"), typed).content.decode()


def test_hints_come_with_what_is_typed_and_say_why_and_whence(constitution: Constitution, client: Client) -> None:
    html = beside(client, text=VAGUE)
    assert "“appropriate” leaves open what is meant." in html
    assert "29148" in html and "Two readers" in html
    assert 'data-start="13" data-words="appropriate"' in html
    assert "by letters" in html, "it says how likeness is measured"
    assert principle_of(constitution, "honesty").text != VAGUE


def test_how_an_edit_counts_is_said_while_it_is_written(
    constitution: Constitution, client: Client, author: User
) -> None:
    assert "counts as" not in beside(client), "nothing was typed that is not published"
    assert "semantic: words that a model is sent changed" in beside(client, text=VAGUE)
    row = principle_of(constitution, "honesty")
    edit_principle(user=author, principle=row, expected=row.revision, changes={"text": VAGUE})
    page = reverse("constitutions:draft_principle", args=["test", "honesty"])
    answer = client.post(address("declare_edit"), {"kind": "minor"}, headers={"HX-Request": "true"})
    assert "declared minor, but words changed" in answer.content.decode()
    assert '<option value="minor" selected>' in client.get(page).content.decode()
    assert "declared minor" not in beside(client, text=f"{VAGUE} So."), "it was said of other words"
    assert (
        "Nothing was changed." in client.post(address("declare_edit"), {"kind": "huge"}, follow=True).content.decode()
    )
    assert client.post(address("declare_edit"), {"kind": ""}).headers["Location"] == page
    assert principle_of(constitution, "honesty").edit_kind == ""


def test_near_duplicates_are_found_among_the_others(constitution: Constitution, client: Client) -> None:
    html = beside(client, text=principle_of(constitution, "privacy").text)
    assert "nearly the same as “Privacy”" in html


def test_a_dismissed_hint_stays_away_until_its_words_change(constitution: Constitution, client: Client) -> None:
    asked = {"text": VAGUE, "hint": "vague_term", "words": "appropriate"}
    html = client.post(address("dismiss_hint"), asked, headers={"HX-Request": "true"}).content.decode()
    shown, _, dismissed = html.partition("Dismissed <span")
    assert "leaves open" not in shown and "leaves open" in dismissed
    assert LedgerEntry.objects.order_by("-seq")[0].verb == "draft.dismiss_hint"
    before = LedgerEntry.objects.count()
    client.post(address("dismiss_hint"), asked)
    assert LedgerEntry.objects.count() == before, "a second time changes nothing"
    other = beside(client, text=VAGUE.replace("appropriate", "suitable"))
    assert "“suitable” leaves open" in other.partition("Dismissed <span")[0]
    client.post(address("recall_hint"), asked)
    assert "Dismissed <span" not in beside(client, text=VAGUE)


@pytest.mark.parametrize("attack", ATTACKS)
def test_hostile_words_in_hints_are_escaped(constitution: Constitution, client: Client, attack: str) -> None:
    typed = {"text": f"Answer in an appropriate way. {attack}", "title": attack}
    for html in (
        beside(client, **typed),
        client.post(address("dismiss_hint"), {**typed, "hint": attack}).content.decode(),
    ):
        assert not any(raw in html for raw in ("<script>alert", "<img src=x", "<svg/onload", "<ins>not"))


def test_the_outline_counts_what_stands(author: User, client: Client) -> None:
    items = (Principle("a", "A", "Answer in an appropriate manner."), Principle("b", "B", "Answer."))
    made = make_constitution(author, name="Counted", body=Body("x", principles=items))
    page = address("draft_principle", "a", made.slug)
    assert client.get(page).content.decode().count('class="hint-count"') == 2
    count = 'title="5 hints"'
    assert count in client.get(page).content.decode()
    client.post(address("dismiss_hint", "a", made.slug), {"hint": "vague_term", "words": "appropriate"})
    assert count not in client.get(page).content.decode()


def test_its_queries_do_not_grow_with_the_draft(author: User, client: Client) -> None:
    counts = []
    for size in (3, 60):
        items = tuple(Principle(id=f"p{number}", title=f"P {number}", text="x") for number in range(size))
        made = make_constitution(author, name=f"Size {size}", body=Body("x", principles=items))
        with CaptureQueriesContext(connection) as queries:
            assert client.post(address("sent", "p1", made.slug), {"text": "y"}).status_code == 200
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 8
