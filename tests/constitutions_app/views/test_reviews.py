"""The pages of review: what they show, to whom, in how many queries, and that nothing hostile gets through."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from constitutions_app import actions
from constitutions_app.access import Role
from constitutions_app.core.principles import Constitution as Body
from constitutions_app.core.principles import Principle
from constitutions_app.models import Comment, Constitution, Draft, Notification, Review, Suggestion, Thread, Verdict
from constitutions_app.reviewing import Rules
from tests.constitutions_app.conftest import signed_in
from tests.constitutions_app.factories import BODY, draft_of, make_constitution, make_person, newest, principle_of

pytestmark = pytest.mark.django_db

ATTACKS = ("<script>alert(1)</script>", "\u202ereversed", '"><img src=x onerror=alert(1)>', "👩‍👩‍👧", "a\u0301", "שלום")


def url(name: str, *args: object, slug: str = "test") -> str:
    return reverse(f"constitutions:{name}", args=[slug, *args])


def edit(constitution: Constitution, user: User, key: str = "honesty", **changes: object) -> None:
    row = principle_of(constitution, key)
    actions.edit_principle(user=user, principle=row, expected=row.revision, changes=changes)


def talk(constitution: Constitution, user: User, quote: str = "true", **more: Any) -> Thread:
    values = {"key": "honesty", "field": "text", "body": "Why?", **more}
    return actions.open_thread(user=user, draft=draft_of(constitution), quote=quote, **values)


def test_it_shows_the_changes_with_the_threads_in_them(
    constitution: Constitution, author: User, reviewer: User, reader: User
) -> None:
    edit(constitution, author, text="Say what is true and mark what is not.")
    talk(constitution, reviewer, "true", replacement="correct")
    talk(constitution, reviewer, "agreed", key="privacy", body="Unchanged, and talked about.")
    html = signed_in(reader).get(url("review")).content.decode()
    assert 'data-change="edited" data-step="change" id="p-honesty"' in html
    assert "<ins>not</ins>" in html
    assert "<mark>true</mark>" in html
    assert "<del>true</del><ins>correct</ins>" in html
    assert 'data-words-of="privacy:text"' in html
    assert "p-kindness" not in html, "what is neither changed nor talked about is left out"
    assert "Open thread" not in html and "Say it" not in html, "a reader reads"
    assert "Open thread" in signed_in(reviewer).get(url("review")).content.decode()


@pytest.mark.parametrize("attack", ATTACKS)
def test_nothing_hostile_gets_through(constitution: Constitution, author: User, reviewer: User, attack: str) -> None:
    User.objects.filter(pk=reviewer.pk).update(first_name=attack)
    edit(constitution, author, text=f"Say {attack} so.")
    actions.request_review(user=author, draft=draft_of(constitution), note=attack)
    thread = talk(constitution, reviewer, attack, body=attack, replacement=f"{attack} indeed")
    review = Review.objects.get()
    actions.give_verdict(
        user=reviewer,
        expected=draft_of(constitution).revision,
        review=review,
        note=attack,
        word=Verdict.Word.COMMENT,
    )
    client = signed_in(author)
    pages = [
        url("review"),
        url("thread", thread.pk),
        url("threads"),
        url("principle_threads", "honesty"),
        url("past_review", review.pk),
        reverse("notifications"),
    ]
    answers = [client.get(page) for page in pages]
    edit(constitution, author, text=f"Never say {attack} and so.")
    answers.append(client.post(url("apply_suggestion", Suggestion.objects.get().pk)))
    for answer in answers:
        html = answer.content.decode()
        assert "<script>alert" not in html and "<img src=x" not in html
        assert "\u202e" not in html, "what would reorder the page is named instead"
    assert (
        attack in answers[0].content.decode()
        or "&lt;" in answers[0].content.decode()
        or "U+202E" in (answers[0].content.decode())
    )


def test_pages_cost_the_same_however_much_is_said(author: User, reviewer: User, admin: User) -> None:
    def queries(size: int) -> dict[str, int]:
        principles = tuple(Principle(id=f"p{n}", title=f"P{n}", text=f"Rule number {n} is kept.") for n in range(size))
        body: Body = replace(BODY, principles=principles)
        made = make_constitution(author, name=f"Size {size}", body=body)
        actions.change_rules(user=admin, constitution=made, rules=Rules(1, True))
        for n in range(size):
            edit(made, author, f"p{n}", text=f"Rule number {n} is always kept.")
            thread = talk(made, reviewer, "always", key=f"p{n}", replacement="often")
            actions.reply(user=author, thread=thread, body="No.")
        actions.request_review(user=author, draft=draft_of(made))
        for person in (reviewer, admin):
            actions.give_verdict(
                user=person, review=Review.objects.get(draft__constitution=made), word=Verdict.Word.APPROVE,
                expected=draft_of(made).revision,
            )  # fmt: skip
        counts = {}
        for name, args in (("review", ()), ("threads", ()), ("principle_threads", ("p0",))):
            client = signed_in(author)
            client.get(url(name, *args, slug=made.slug))
            with CaptureQueriesContext(connection) as captured:
                assert client.get(url(name, *args, slug=made.slug)).status_code == 200
            counts[name] = len(captured)
        return counts

    few, many = queries(2), queries(12)
    assert few == many
    assert max(many.values()) <= 26


def test_a_review_from_the_request_to_the_version(
    constitution: Constitution, author: User, reviewer: User, admin: User
) -> None:
    actions.change_rules(user=admin, constitution=constitution, rules=Rules(1, True))
    edit(constitution, author, text="Be honest.")
    ada, rex = signed_in(author), signed_in(reviewer)
    assert ada.post(url("request_review"), {"note": "The first.", "reviewers": [reviewer.pk]}).status_code == 302
    assert "0 of 1 approval" in rex.get(url("review")).content.decode()
    refused = ada.post(url("publish"), {"note": "Shorter.", "revision": draft_of(constitution).revision})
    assert (refused.status_code, "0 of 1 approval" in refused.content.decode()) == (422, True)
    stale = rex.post(url("verdict"), {"word": "approve", "note": "Kept?", "revision": 0})
    assert (stale.status_code, "Kept?" in stale.content.decode()) == (422, True)
    assert rex.post(url("verdict"), {"word": "approve", "revision": draft_of(constitution).revision}).status_code == 302
    assert ada.post(url("publish"), {"note": "So.", "revision": draft_of(constitution).revision}).status_code == 302
    version = ada.get(url("version", 2)).content.decode()
    assert "Rex" in version and url("past_review", Review.objects.get().pk) in version
    assert "published" in ada.get(url("past_review", Review.objects.get().pk)).content.decode()
    assert newest(constitution).number == 2


def test_an_author_cannot_post_an_approval(constitution: Constitution, author: User, admin: User) -> None:
    actions.request_review(user=admin, draft=draft_of(constitution))
    answer = signed_in(author).post(url("verdict"), {"word": "approve", "revision": draft_of(constitution).revision})
    assert answer.status_code == 422
    assert not Verdict.objects.exists()


def test_threads_name_the_principle_they_are_about(constitution: Constitution, author: User, reviewer: User) -> None:
    thread = talk(constitution, reviewer, "true")
    client = signed_in(author)
    for page in (url("threads"), url("thread", thread.pk)):
        assert '<span class="matter">Honesty</span>' in client.get(page).content.decode()
    row = principle_of(constitution, "honesty")
    actions.remove_principle(user=author, principle=row)
    assert '<span class="matter">honesty</span>' in client.get(url("threads")).content.decode(), (
        "its key, once it is gone"
    )


@pytest.mark.parametrize(
    ("data", "field", "quote"),
    [
        ({"place": "honesty:text", "quote": "what is true"}, "text", "what is true"),
        ({"place": "honesty:", "quote": "what is true"}, "text", "what is true"),
        ({"place": "honesty:", "quote": ""}, "", ""),
        ({"place": ":preamble", "quote": "Why", "start": "0"}, "preamble", "Why"),
        ({"place": "honesty:text", "quote": "what is", "start": "26"}, "text", "what is"),
    ],
)
def test_a_thread_is_opened_from_a_plain_form(
    constitution: Constitution, reviewer: User, data: dict[str, str], field: str, quote: str
) -> None:
    answer = signed_in(reviewer).post(url("open_thread"), {**data, "body": "Why?", "back": "review"})
    thread = Thread.objects.get()
    assert answer.headers["Location"] == f"{url('review')}#thread-{thread.pk}"
    assert (thread.field, thread.quote) == (field, quote)
    assert thread.start == (26 if data.get("start") == "26" else thread.text.find(quote))


def test_a_browsers_place_is_converted(constitution: Constitution, author: User, reviewer: User) -> None:
    edit(constitution, author, text="👍👍 so and 👍 so it is")
    units = len("👍👍 so and 👍 ".encode("utf-16-le")) // 2
    signed_in(reviewer).post(url("open_thread"), {"place": "honesty:text", "quote": "so", "start": units, "body": "?"})
    assert Thread.objects.get().start == len("👍👍 so and 👍 ")


@pytest.mark.parametrize(
    "data",
    [
        {"place": "honesty:text", "quote": "never written", "body": "My long thought."},
        {"place": "honesty:text", "quote": "", "body": "My long thought."},
        {"place": "nothing:text", "quote": "what", "body": "My long thought."},
        {"place": "", "quote": "what", "body": "My long thought.", "start": "-5"},
    ],
)
def test_what_cannot_be_placed_is_kept_in_the_form(
    constitution: Constitution, reviewer: User, data: dict[str, str]
) -> None:
    answer = signed_in(reviewer).post(url("open_thread"), data)
    assert (answer.status_code, "My long thought." in answer.content.decode()) == (422, True)
    assert not Thread.objects.exists()


def test_a_refused_answer_is_kept_in_the_form(constitution: Constitution, reviewer: User) -> None:
    thread = talk(constitution, reviewer)
    answer = signed_in(reviewer).post(url("reply", thread.pk), {"body": "x" * 10_001})
    assert (answer.status_code, "x" * 10_001 in answer.content.decode()) == (422, True)
    assert signed_in(reviewer).post(url("reply", thread.pk), {"body": " "}).status_code == 422
    assert Comment.objects.count() == 1


def test_a_suggestion_in_one_click_and_what_happens_when_its_words_changed(
    constitution: Constitution, author: User, reviewer: User
) -> None:
    thread = talk(constitution, reviewer, "mark what is uncertain", replacement="mark what is not certain")
    apply = url("apply_suggestion", Suggestion.objects.get().pk)
    edit(constitution, author, text="Say what is true and mark clearly what is uncertain.")
    clash = signed_in(author).post(apply, {"back": "review"})
    html = clash.content.decode()
    assert clash.status_code == 409
    for words in (
        "mark what is uncertain",
        "mark <ins>clearly </ins>what",
        "mark clearly what is not certain</textarea>",
    ):
        assert words in html
    answer = signed_in(author).post(
        apply, {"words": "mark clearly what is not certain", "seen": "mark clearly what is uncertain", "back": "thread"}
    )
    assert answer.headers["Location"] == url("thread", thread.pk)
    assert principle_of(constitution, "honesty").text == "Say what is true and mark clearly what is not certain."
    again = signed_in(author).post(apply, follow=True)
    assert "applied by Ada already" in again.content.decode()


def test_credit_stands_in_the_history_of_the_words(constitution: Constitution, author: User, reviewer: User) -> None:
    talk(constitution, reviewer, "mark what is uncertain", replacement="say how sure you are")
    actions.apply_suggestion(user=author, suggestion=Suggestion.objects.get())
    html = signed_in(author).get(url("draft_blame", "honesty")).content.decode()
    assert "Rex, applied by Ada" in html


def test_rules_are_shown_to_all_and_changed_by_writers(
    constitution: Constitution, author: User, admin: User, reader: User
) -> None:
    page = url("publishing_rules")
    assert "Save rules" not in signed_in(reader).get(page).content.decode()
    assert signed_in(author).post(page, {"required_approvals": 2, "threads_resolved": "on"}).status_code == 302
    looser = signed_in(author).post(page, {"required_approvals": 1, "threads_resolved": "on"})
    assert (looser.status_code, "Only an admin" in looser.content.decode()) == (422, True)
    assert signed_in(admin).post(page, {"required_approvals": 0}).status_code == 302
    assert signed_in(admin).post(page, {"required_approvals": 99}).status_code == 422


def test_old_links_outlast_publishing_and_a_closed_branch(
    constitution: Constitution, author: User, reviewer: User
) -> None:
    branch = actions.start_branch(user=author, version=newest(constitution), name="softer")
    thread = actions.open_thread(
        user=reviewer, draft=Draft.objects.get(pk=branch.pk), key="honesty", field="text", quote="true", body="Why?"
    )
    review = actions.request_review(user=author, draft=Draft.objects.get(pk=branch.pk))
    row = Draft.objects.get(pk=branch.pk).principles.get(key="honesty")
    actions.edit_principle(user=author, principle=row, expected=row.revision, changes={"text": "Other words."})
    actions.publish_version(user=author, draft=Draft.objects.get(pk=branch.pk), note="So.")
    actions.close_branch(user=author, draft=Draft.objects.get(pk=branch.pk))
    client = signed_in(reviewer)
    for page in (url("thread", thread.pk, slug="test@softer"), url("past_review", review.pk, slug="test@softer")):
        assert client.get(page).status_code == 200
    assert "its words are gone" in client.get(url("thread", thread.pk, slug="test@softer")).content.decode()
    assert client.post(url("reply", thread.pk, slug="test@softer"), {"body": "!"}).status_code == 422


def test_the_bell_counts_and_forgets(constitution: Constitution, author: User, reviewer: User) -> None:
    client = signed_in(reviewer)
    assert client.get(reverse("notification_count")).content.strip() == b""
    actions.request_review(user=author, draft=draft_of(constitution))
    assert ">1<" in client.get(reverse("notification_count")).content.decode()
    assert "asks for a review" in client.get(reverse("notifications")).content.decode()
    row = Notification.objects.get(person=reviewer)
    assert client.post(reverse("follow_notification", args=[row.pk])).headers["Location"] == url("review")
    assert client.get(reverse("notification_count")).content.strip() == b""
    assert client.post(reverse("read_notifications")).status_code == 302


def test_the_choice_about_mail_is_on_the_account_page(reader: User) -> None:
    client = signed_in(reader)
    page = client.get(reverse("account")).content.decode()
    assert "No e-mail goes out from here" in page
    assert client.post(reverse("account"), {"form": "mail"}).status_code == 302
    assert 'name="by_mail" id="id_by_mail">' in client.get(reverse("account")).content.decode()


def test_reviewers_of_another_name_are_no_choice(constitution: Constitution, author: User) -> None:
    eve = make_person("eve", Role.READER)
    answer = signed_in(author).post(url("request_review"), {"note": "Kept.", "reviewers": [eve.pk]})
    assert (answer.status_code, "Kept." in answer.content.decode()) == (422, True)
    assert not Review.objects.exists()


def test_the_differences_stand_side_by_side_too(constitution: Constitution, author: User, reviewer: User) -> None:
    edit(constitution, author, text="Say what is right and mark what is uncertain.")
    talk(constitution, reviewer, "right", body="Whose?")
    html = signed_in(reviewer).get(url("review"), {"view": "side-by-side"}).content.decode()
    old, _, new = html.partition('<div class="pair diff">')[2].partition("</div>")
    assert "<del>true</del>" in old and "right" not in old
    assert 'data-words-of="honesty:text"' in new
    assert "<mark><ins>right</ins></mark>" in new
    assert "<del>true</del>" not in new.partition("</div></div>")[0]


def test_preamble_and_exemplars_are_talked_about_where_they_are_written(
    constitution: Constitution, author: User, reviewer: User
) -> None:
    for part, place, quote in (("preamble", ":preamble", "these"), ("exemplars", ":exemplar-1-critique", "rude")):
        name = "preamble_threads" if part == "preamble" else "exemplar_threads"
        editor = signed_in(author).get(url(f"draft_{part}")).content.decode()
        assert f'hx-get="{url(name)}"' in editor
        said = {"place": place, "quote": quote, "body": f"About {part}", "back": "editor"}
        assert signed_in(author).post(url("open_thread"), said).headers["Location"] == url(f"draft_{part}")
        for headers in ({}, {"HX-Request": "true"}):
            here = signed_in(reviewer).get(url(name), headers=headers).content.decode()
            assert f"About {part}" in here and f'value="{place}"' in here
            assert 'value="honesty:text"' not in here and "About prea" not in here.replace(f"About {part}", "")
        assert f"About {part}" in signed_in(reviewer).get(url("review")).content.decode()
