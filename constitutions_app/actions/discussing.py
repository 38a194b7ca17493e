"""Verbs of talk: threads on words of a draft, comments, and suggestions that become edits in one click.

A suggestion lands through the same verb as every other edit, saved by the person who applies it, with credit to the one
who wrote it. When its words read otherwise by then, nothing is changed: `WordsChanged` carries all three states.
"""

from __future__ import annotations

import re
from dataclasses import replace as replaced

from django.contrib.auth.models import User
from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from constitutions_app import notices
from constitutions_app.actions.draft_parts import edit_exemplars, edit_preamble, text_revision
from constitutions_app.actions.drafting import Refused, edit_principle, locked, locked_open
from constitutions_app.actions.reviewing import words_of
from constitutions_app.core import principles as core
from constitutions_app.core.anchors import anchor
from constitutions_app.core.text_merge import TextMerge, merge_text
from constitutions_app.ledger import name_of, record
from constitutions_app.models import Comment, Draft, DraftPrinciple, Review, Suggestion, Thread
from constitutions_app.places import PREAMBLE, Standing, exemplar_of, field_now, stand, texts_of


class WordsChanged(Exception):
    """The words a suggestion was made for read otherwise now; nothing was changed and the suggestion stays open."""

    def __init__(self, suggestion: Suggestion, standing: Standing) -> None:
        super().__init__("The words of this suggestion changed since it was made; nothing was applied.")
        self.suggestion = suggestion
        self.standing = standing

    @property
    def together(self) -> TextMerge:
        """What was done to the words since, and the suggestion, in one text where they do not touch."""
        return merge_text(self.suggestion.original, self.standing.quote, self.suggestion.replacement)


def open_thread(
    *,
    user: User,
    draft: Draft,
    key: str,
    field: str,
    quote: str = "",
    start: int | None = None,
    body: str = "",
    replacement: str | None = None,
) -> Thread:
    """Begin to talk about `quote` in one text of the draft; no field: about a principle, or the draft, as a whole.

    `start` is the code point at which the quote begins, to tell it from the same words elsewhere. The range grows to
    whole words. The newest thread opened again, with the same words on the same words, is that thread: a button
    pressed twice. Raises Refused when the words are not there, and when nothing is said.
    """
    with transaction.atomic():
        draft = locked_open(draft)
        thread = _placed(draft, key, field, core.normalise(quote), start)
        if opened := _opened_already(draft, thread, user, body, replacement):
            return opened
        thread.draft, thread.opened_by = draft, user
        thread.save()
        comment = _comment(thread, user, body, replacement)
        review = draft.reviews.filter(state=Review.State.OPEN).select_related("requested_by").first()
        _tell(thread, user, comment.body, [review.requested_by] if review else [])
        _record(thread, user, "thread.open", comment)
    return thread


def reply(*, user: User, thread: Thread, body: str = "", replacement: str | None = None) -> Comment:
    """Answer in a thread, with other words for its range if `replacement` is given. Raises Refused as open_thread.

    What the same person has just said in the same words is said once: a button pressed twice.
    """
    with transaction.atomic():
        thread = _fresh(thread)
        if said := _said_already(thread, user, body, replacement):
            return said
        comment = _comment(thread, user, body, replacement)
        people = User.objects.filter(pk__in=[thread.opened_by_id, *thread.comments.values_list("author", flat=True)])
        _tell(thread, user, comment.body, list(people))
        _record(thread, user, "thread.reply", comment)
    return comment


def resolve_thread(*, user: User, thread: Thread) -> bool:
    """Say that a thread is settled. False when it was already."""
    return _settle(user, thread, resolved=True)


def reopen_thread(*, user: User, thread: Thread) -> bool:
    """Say that a thread is not settled after all. False when it was open already."""
    return _settle(user, thread, resolved=False)


def apply_suggestion(
    *, user: User, suggestion: Suggestion, seen: str | None = None, words: str | None = None
) -> Suggestion:
    """Put the suggested words in place of the thread's. With `words`, those instead, if the place still reads `seen`.

    Raises WordsChanged when the place reads otherwise than the suggestion (or `seen`) says, Refused when it is decided.
    """
    with transaction.atomic():
        draft, row = _undecided(suggestion)
        thread = row.comment.thread
        body = draft.to_core()
        texts = texts_of(body)
        standing = stand(thread, texts)
        before = row.original if words is None else core.normalise(seen or "")
        if standing.lost or core.normalise(standing.quote) != core.normalise(before):
            raise WordsChanged(row, standing)
        wanted = row.replacement if words is None else core.normalise(words)
        if wanted == standing.quote:
            raise Refused("The text says that already. Decline the suggestion or resolve the thread.")
        text = spliced(standing.text, standing.start, standing.end, wanted)
        field = field_now(standing, texts)
        _carry(thread, field, text, standing.start, wanted)
        _decide(row, user, Suggestion.State.APPLIED)
        text_for = f"{notices.named(user)} applied your suggestion in {draft.constitution.name}"
        notices.notify(
            actor=user, people=[row.comment.author], verb="suggestion.apply", text=text_for, url=thread_url(thread)
        )
        _save(user, draft, body, thread.key, field, text, _credit(row, thread))
    return row


def decline_suggestion(*, user: User, suggestion: Suggestion) -> Suggestion:
    """Say that the suggested words are not wanted. Raises Refused when it is decided already."""
    with transaction.atomic():
        draft, row = _undecided(suggestion)
        thread = row.comment.thread
        _decide(row, user, Suggestion.State.DECLINED)
        text = f"{notices.named(user)} declined your suggestion in {draft.constitution.name}"
        notices.notify(
            actor=user, people=[row.comment.author], verb="suggestion.decline", text=text, url=thread_url(thread)
        )
        data = {**_about(thread), **_credit(row, thread)}
        record(actor=user, verb="suggestion.decline", obj=draft.constitution, data=data)
    return row


def spliced(text: str, start: int, end: int, words: str) -> str:
    """The text with other words in place of text[start:end]; where none come instead, one space goes with the old."""
    before, after = text[:start], text[end:]
    if not words and before[-1:] in ("", " ") and (not after or re.match(r"[ .,;:!?)]", after)):
        return core.normalise(before[:-1] + after) if before else core.normalise(after)
    return core.normalise(before + words + after)


def thread_url(thread: Thread) -> str:
    """The permanent address of a thread."""
    return reverse("constitutions:thread", args=[thread.draft.address, thread.pk])


def _placed(draft: Draft, key: str, field: str, quote: str, start: int | None) -> Thread:
    """An unsaved thread on these words. Raises Refused when the draft has no such place, or no such words in it."""
    body = draft.to_core()
    if not field:
        bodies = (body, draft.base.to_core() if draft.base else body)
        if key and not any(one.principle(key) for one in bodies):
            raise Refused("The draft has no such principle. Reload the page, then comment again.")
        return Thread(key=key, field="")
    text = texts_of(body).get((key, field))
    if text is None:
        raise Refused("This text is empty or gone. Reload the page, then comment again.")
    at = _where(text, quote, start)
    try:
        place = anchor(text, at, at + len(quote))
    except ValueError as error:
        raise Refused("Choose at least one word to comment on.") from error
    return Thread(key=key, field=field, text=text, start=place.start, end=place.end, quote=place.quote)


def _where(text: str, quote: str, start: int | None) -> int:
    """Where the quote begins: at `start` if it stands there, else its first place. Raises Refused if there is none."""
    if start is not None and quote and text[start : start + len(quote)] == quote:
        return start
    found = text.find(quote) if quote else -1
    if found < 0:
        raise Refused("These words are not in the text (any more). Copy them from it, then comment again.")
    return found


def _comment(thread: Thread, user: User, body: str, replacement: str | None) -> Comment:
    body = words_of(body)
    if not body and replacement is None:
        raise Refused("A comment needs words.")
    original = ""
    if replacement is not None:
        original, replacement = _suggested(thread, core.normalise(replacement))
    comment = Comment.objects.create(thread=thread, author=user, body=body)
    if replacement is not None:
        Suggestion.objects.create(comment=comment, original=original, replacement=replacement)
    return comment


def _said_already(thread: Thread, user: User, body: str, replacement: str | None) -> Comment | None:
    """The thread's newest comment, if the person said just this in it."""
    last = thread.comments.select_related("suggestion").last()
    if last is None or last.author_id != user.pk or last.body != core.normalise(body):
        return None
    suggestion = getattr(last, "suggestion", None)
    before = suggestion.replacement if suggestion else None
    return last if before == (None if replacement is None else core.normalise(replacement)) else None


def _opened_already(draft: Draft, thread: Thread, user: User, body: str, replacement: str | None) -> Thread | None:
    """The draft's newest thread, if the person opened it on the same place and nothing else was said in it yet."""
    last = draft.threads.last()
    places = [(row.key, row.field, row.text, row.start, row.end, row.opened_by_id) for row in (thread, last) if row]
    if last is None or last.resolved_at or places[0][:5] != places[1][:5] or places[1][5] != user.pk:
        return None
    last.draft = draft
    return last if last.comments.count() == 1 and _said_already(last, user, body, replacement) else None


def _suggested(thread: Thread, replacement: str) -> tuple[str, str]:
    """The words that a suggestion is for, as they read now, and the others. Raises Refused where there is no place."""
    if not thread.field:
        raise Refused("Other words can be suggested only for words. Choose some, then suggest.")
    standing = stand(thread, texts_of(thread.draft.to_core()))
    if standing.lost:
        raise Refused("The words of this thread are gone. Open a thread on words that are there.")
    if standing.quote == replacement:
        raise Refused("The suggestion says what the text says already.")
    return standing.quote, replacement


def _fresh(thread: Thread) -> Thread:
    """The thread's row with its draft, both locked. Raises Refused on a closed branch."""
    draft = locked(thread.draft)
    if draft.closed_at:
        raise Refused("This branch was closed; its threads can be read, not continued.")
    row = Thread.objects.select_related("opened_by").get(pk=thread.pk)
    row.draft = draft
    return row


def _settle(user: User, thread: Thread, *, resolved: bool) -> bool:
    with transaction.atomic():
        row = _fresh(thread)
        if (row.resolved_at is not None) == resolved:
            return False
        row.resolved_at, row.resolved_by = (timezone.now(), user) if resolved else (None, None)
        row.save(update_fields=["resolved_at", "resolved_by"])
        _record(row, user, "thread.resolve" if resolved else "thread.reopen")
    return True


def _undecided(suggestion: Suggestion) -> tuple[Draft, Suggestion]:
    """The suggestion's row and its draft, locked. Raises Refused when somebody decided it already."""
    thread = _fresh(suggestion.comment.thread)
    row = Suggestion.objects.select_related("comment__author", "decided_by").get(pk=suggestion.pk)
    row.comment.thread = thread
    if row.state != Suggestion.State.OPEN:
        by = name_of(row.decided_by) if row.decided_by else "somebody"
        raise Refused(f"This suggestion was {row.get_state_display().lower()} by {by} already.")
    return thread.draft, row


def _decide(row: Suggestion, user: User, state: Suggestion.State) -> None:
    row.state, row.decided_by, row.decided_at = state, user, timezone.now()
    row.save(update_fields=["state", "decided_by", "decided_at"])


def _carry(thread: Thread, field: str, text: str, start: int, words: str) -> None:
    """Move the thread's anchor onto the words that were just put in place of its own."""
    thread.field, thread.text, thread.quote = field, text, words
    thread.start, thread.end = start, start + len(words)
    thread.save(update_fields=["field", "text", "quote", "start", "end"])


def _save(
    user: User, draft: Draft, body: core.Constitution, key: str, field: str, text: str, credit: dict[str, object]
) -> None:
    """One changed text, through the verb that edits it; under the draft's lock nothing can come in between."""
    if key:
        row = DraftPrinciple.objects.get(draft=draft, key=key)
        row.draft = draft
        edit_principle(user=user, principle=row, expected=row.revision, changes={field: text}, credit=credit)
    elif field == PREAMBLE:
        edit_preamble(user=user, draft=draft, expected=text_revision(draft.preamble), text=text, credit=credit)
    elif found := exemplar_of(field):
        number, part = found
        exemplars = list(body.exemplars)
        exemplars[number - 1] = replaced(exemplars[number - 1], **{part: text})
        revision = text_revision(draft.exemplars)
        edit_exemplars(user=user, draft=draft, expected=revision, exemplars=exemplars, credit=credit)


def _credit(row: Suggestion, thread: Thread) -> dict[str, object]:
    author = row.comment.author
    return {
        "suggestion": row.pk,
        "thread": thread.pk,
        "suggested_by": {"id": author.pk, "name": name_of(author)},
    }


def _about(thread: Thread) -> dict[str, object]:
    return {"principle": thread.key, "field": thread.field, "branch": thread.draft.branch}


def _tell(thread: Thread, user: User, body: str, people: list[User]) -> None:
    """Those mentioned by name, and those who are in it: each once, with the stronger of the two reasons."""
    mentioned, name, url = notices.mentioned_in(body), notices.named(user), thread_url(thread)
    of = thread.draft.constitution.name
    notices.notify(
        actor=user, people=mentioned, verb="thread.mention", text=f"{name} mentioned you in a thread on {of}", url=url
    )
    others = [person for person in people if person not in mentioned]
    notices.notify(actor=user, people=others, verb="thread.reply", text=f"{name} wrote in a thread on {of}", url=url)


def _record(thread: Thread, user: User, verb: str, comment: Comment | None = None) -> None:
    data: dict[str, object] = {"thread": thread.pk, **_about(thread)}
    if comment:
        data |= {"comment": comment.pk, "body": comment.body, "quote": thread.quote}
        suggestion = getattr(comment, "suggestion", None)
        data |= {"replacement": suggestion.replacement} if suggestion else {}
    record(actor=user, verb=verb, obj=thread.draft.constitution, data=data)
