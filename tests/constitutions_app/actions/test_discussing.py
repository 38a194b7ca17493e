"""Threads on words, and suggestions that become edits without losing anybody's."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from constitutions_app import actions
from constitutions_app.actions.discussing import spliced
from constitutions_app.core.principles import normalise
from constitutions_app.models import Comment, Constitution, Draft, LedgerEntry, Notification, Suggestion, Thread
from constitutions_app.places import Standing, stand, texts_of
from tests.constitutions_app.factories import draft_of, make_person, principle_of

pytestmark = pytest.mark.django_db

WORDS = ("what", "is", "true", "👍", "e\u0301clair", "mark", "שלום")
TEXT = "Say what is true and mark what is uncertain."


def thread_on(
    constitution: Constitution, user: User, quote: str = "mark what is uncertain", field: str = "text", **more: Any
) -> Thread:
    values = {"key": "honesty", "body": "Why?", **more}
    return actions.open_thread(user=user, draft=draft_of(constitution), field=field, quote=quote, **values)


def edit(constitution: Constitution, user: User, text: str, key: str = "honesty") -> None:
    row = principle_of(constitution, key)
    actions.edit_principle(user=user, principle=row, expected=row.revision, changes={"text": text})


def standing_of(thread: Thread) -> Standing:
    return stand(Thread.objects.get(pk=thread.pk), texts_of(draft_of(thread.draft.constitution).to_core()))


def text_now(constitution: Constitution) -> str:
    return principle_of(constitution, "honesty").text


def test_a_thread_stands_on_whole_words_of_a_place(constitution: Constitution, reviewer: User) -> None:
    thread = thread_on(constitution, reviewer, "rk what is uncer")
    assert (thread.quote, thread.text[thread.start : thread.end]) == ("mark what is uncertain",) * 2
    second = thread_on(constitution, reviewer, "what is", start=TEXT.rindex("what is"))
    assert second.start == TEXT.rindex("what is")
    assert thread_on(constitution, reviewer, "what is", start=1).start == TEXT.index("what is"), "where it does stand"
    assert thread_on(constitution, reviewer, "", field="").quote == ""
    assert thread_on(constitution, reviewer, "Why", key="", field="preamble").quote == "Why"
    assert thread_on(constitution, reviewer, "rude", key="", field="exemplar-1-critique").quote == "rude"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"quote": "never written"}, "not in the text"),
        ({"quote": " "}, "not in the text"),
        ({"quote": "."}, None),
        ({"field": "comparison_question"}, "empty or gone"),
        ({"field": "no_such_field"}, "empty or gone"),
        ({"key": "nothing", "field": "", "quote": ""}, "no such principle"),
        ({"body": "  "}, "needs words"),
        ({"body": "x" * 10_001}, "Shorten it"),
        ({"replacement": "mark what is uncertain"}, "says what the text says already"),
        ({"field": "", "quote": "", "replacement": "Other."}, "only for words"),
    ],
)
def test_it_refuses_what_has_no_place(
    constitution: Constitution, reviewer: User, change: dict[str, str], reason: str | None
) -> None:
    if reason is None:
        assert thread_on(constitution, reviewer, **change).quote == "."
        return
    with pytest.raises(actions.Refused, match=reason):
        thread_on(constitution, reviewer, **change)
    assert not Thread.objects.exists()
    assert not LedgerEntry.objects.filter(verb="thread.open").exists()


def test_a_thread_follows_its_words(constitution: Constitution, author: User, reviewer: User) -> None:
    thread = thread_on(constitution, reviewer)
    edit(constitution, author, f"First of all: {TEXT}")
    standing = standing_of(thread)
    assert (standing.quote, standing.start, standing.changed) == ("mark what is uncertain", 14 + thread.start, False)
    edit(constitution, author, "Say what is true and mark what is very uncertain.")
    assert (standing_of(thread).quote, standing_of(thread).changed) == ("mark what is very uncertain", True)
    edit(constitution, author, "Say what is true.")
    assert standing_of(thread).lost
    edit(constitution, author, "")
    assert standing_of(thread).missing
    edit(constitution, author, TEXT)
    assert standing_of(thread).quote == "mark what is uncertain", "deleted and typed again, it is found again"
    actions.remove_principle(user=author, principle=principle_of(constitution, "honesty"))
    assert standing_of(thread).missing


def test_a_suggestion_lands_through_the_edit_verb_with_credit(
    constitution: Constitution, author: User, reviewer: User
) -> None:
    thread = thread_on(constitution, reviewer, replacement="say how sure you are", body="")
    suggestion = Suggestion.objects.get()
    before = LedgerEntry.objects.count()
    actions.apply_suggestion(user=author, suggestion=suggestion)
    assert text_now(constitution) == "Say what is true and say how sure you are."
    suggestion.refresh_from_db()
    assert (suggestion.state, suggestion.decided_by) == ("applied", author)
    entry = LedgerEntry.objects.order_by("-seq")[0]
    data = json.loads(entry.body)["data"]
    assert LedgerEntry.objects.count() == before + 1
    assert (entry.verb, entry.actor_id) == ("draft.edit_principle", author.pk)
    assert data["suggested_by"] == {"id": reviewer.pk, "name": "Rex"}
    assert (data["thread"], data["suggestion"]) == (thread.pk, suggestion.pk)
    assert standing_of(thread).quote == "say how sure you are", "the thread stays on the words it is about"
    for decide in (actions.apply_suggestion, actions.decline_suggestion):
        with pytest.raises(actions.Refused, match="applied by Ada already"):
            decide(user=author, suggestion=suggestion)
    assert Notification.objects.get(verb="suggestion.apply").person == reviewer


@pytest.mark.parametrize(
    ("key", "field", "quote", "read"),
    [
        ("", "preamble", "Why", lambda draft: draft.preamble),
        ("", "exemplar-1-critique", "rude", lambda draft: draft.exemplars[0]["critique"]),
        ("honesty", "rationale", "answers", lambda draft: draft.principles.get(key="honesty").rationale),
    ],
)
def test_every_text_can_be_suggested_for(
    constitution: Constitution,
    author: User,
    reviewer: User,
    key: str,
    field: str,
    quote: str,
    read: Callable[[Draft], str],
) -> None:
    thread_on(constitution, reviewer, quote, field=field, key=key, replacement="SO")
    actions.apply_suggestion(user=author, suggestion=Suggestion.objects.get())
    assert "SO" in read(draft_of(constitution))
    assert quote not in read(draft_of(constitution))
    assert '"suggested_by"' in LedgerEntry.objects.order_by("-seq")[0].body


def test_words_that_changed_meanwhile_are_not_overwritten(
    constitution: Constitution, author: User, reviewer: User
) -> None:
    thread_on(constitution, reviewer, replacement="mark what is not certain")
    edit(constitution, author, "Say what is true and always mark clearly what is uncertain.")
    suggestion = Suggestion.objects.get()
    entries = LedgerEntry.objects.count()
    with pytest.raises(actions.WordsChanged) as refused:
        actions.apply_suggestion(user=author, suggestion=suggestion)
    clash = refused.value
    assert (clash.suggestion.original, clash.standing.quote) == (
        "mark what is uncertain",
        "mark clearly what is uncertain",
    )
    assert not clash.together.conflicts
    assert clash.together.text() == "mark clearly what is not certain"
    suggestion.refresh_from_db()
    assert (suggestion.state, LedgerEntry.objects.count()) == ("open", entries)
    assert text_now(constitution) == "Say what is true and always mark clearly what is uncertain."
    with pytest.raises(actions.WordsChanged):
        actions.apply_suggestion(user=author, suggestion=suggestion, seen="mark what is uncertain", words="lost?")
    actions.apply_suggestion(user=author, suggestion=suggestion, seen=clash.standing.quote, words=clash.together.text())
    assert text_now(constitution) == "Say what is true and always mark clearly what is not certain."


def test_a_suggestion_whose_words_are_gone_stays_open(constitution: Constitution, author: User, reviewer: User) -> None:
    thread_on(constitution, reviewer, replacement="say how sure you are")
    edit(constitution, author, "Say what is true.")
    suggestion = Suggestion.objects.get()
    for words in (None, "anything"):
        with pytest.raises(actions.WordsChanged) as refused:
            actions.apply_suggestion(user=author, suggestion=suggestion, seen="mark what is uncertain", words=words)
        assert refused.value.standing.lost
    actions.decline_suggestion(user=author, suggestion=suggestion)
    assert text_now(constitution) == "Say what is true."
    assert Notification.objects.filter(verb="suggestion.decline", person=reviewer).exists()


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(words=st.lists(st.sampled_from(WORDS), min_size=2, max_size=8), data=st.data())
def test_applying_replaces_the_range_and_nothing_else(
    constitution: Constitution, author: User, reviewer: User, words: list[str], data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, len(words) - 1))
    words = [normalise(word) for word in words]
    text = " ".join(words)
    edit(constitution, author, text)
    start = len(" ".join(words[:at])) + bool(at)
    thread = thread_on(constitution, reviewer, words[at], start=start, replacement="REPLACED")
    actions.apply_suggestion(user=author, suggestion=thread.comments.get().suggestion)
    words[at] = "REPLACED"
    assert text_now(constitution) == normalise(" ".join(words))


@pytest.mark.parametrize(
    ("text", "start", "end", "words", "result"),
    [
        ("a b c", 2, 3, "x", "a x c"),
        ("a b c", 2, 3, "", "a c"),
        ("a b.", 2, 3, "", "a."),
        ("a b", 0, 1, "", "b"),
        ("a b", 2, 3, "", "a"),
        ("a", 0, 1, "", ""),
    ],
)
def test_taking_words_out_leaves_no_gap(text: str, start: int, end: int, words: str, result: str) -> None:
    assert spliced(text, start, end, words) == result


def test_threads_are_settled_and_taken_up_again(constitution: Constitution, author: User, reviewer: User) -> None:
    thread = thread_on(constitution, reviewer)
    assert actions.resolve_thread(user=author, thread=thread)
    assert not actions.resolve_thread(user=author, thread=thread)
    thread.refresh_from_db()
    assert thread.resolved_by == author
    assert actions.reopen_thread(user=reviewer, thread=thread)
    thread.refresh_from_db()
    assert thread.resolved_at is None
    verbs = LedgerEntry.objects.filter(verb__startswith="thread.").order_by("seq").values_list("verb", flat=True)
    assert list(verbs) == ["thread.open", "thread.resolve", "thread.reopen"]


def test_those_in_a_thread_are_told_once(constitution: Constitution, author: User, reviewer: User, admin: User) -> None:
    make_person("eve", None)
    thread = thread_on(constitution, reviewer, body="@ada look; mail@zoe.org is no mention, nor is @eve one of us.")
    actions.reply(user=author, thread=thread, body="Yes, @rex.")
    actions.reply(user=admin, thread=thread, body="No.")
    told = sorted(Notification.objects.values_list("person__username", "verb"))
    assert told == [
        ("ada", "thread.mention"),
        ("ada", "thread.reply"),
        ("rex", "thread.mention"),
        ("rex", "thread.reply"),
    ]
    assert Comment.objects.count() == 3


def test_a_closed_branch_is_read_and_not_continued(constitution: Constitution, author: User, reviewer: User) -> None:
    from django.utils import timezone

    from constitutions_app.models import Draft

    side = Draft.objects.create(constitution=constitution, branch="side", updated_by=author, preamble="Why.")
    thread = actions.open_thread(
        user=reviewer, draft=side, key="", field="preamble", quote="Why", body="?", replacement="So"
    )
    Draft.objects.filter(pk=side.pk).update(closed_at=timezone.now())
    with pytest.raises(actions.Refused, match="closed"):
        actions.reply(user=reviewer, thread=thread, body="!")
    with pytest.raises(actions.Refused, match="closed"):
        actions.apply_suggestion(user=author, suggestion=Suggestion.objects.get())
