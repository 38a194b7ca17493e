"""Verbs of review: asking for one, taking it back, saying a verdict, and the rules that publishing keeps to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict

from django.contrib.auth.models import User
from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from constitutions_app import notices
from constitutions_app.access import APPROVERS, Role, can_approve, can_discuss, has_role, may_approve, people_with_role
from constitutions_app.actions.drafting import Refused, locked, locked_open
from constitutions_app.approvals import approvals_of
from constitutions_app.core import principles as core
from constitutions_app.ledger import name_of, record
from constitutions_app.models import Constitution, Draft, PublishingRules, Review, Verdict, Version
from constitutions_app.reviewing import BINDING, Rules, rules_of

MAX_WORDS = 10_000
"""Most characters of a note or a comment."""
MAX_APPROVALS = 10

DONE = {
    Verdict.Word.APPROVE: "approved",
    Verdict.Word.REQUEST_CHANGES: "asks for changes in",
    Verdict.Word.COMMENT: "commented on",
}


def request_review(*, user: User, draft: Draft, note: str = "", reviewers: Iterable[User] = ()) -> Review:
    """Ask for the draft to be read. `reviewers` are told; where none are named, everybody whose approval counts is.

    Raises Refused when a request is open already, the branch is closed, or somebody named could not approve.
    """
    note, asked = words_of(note), {person.pk: person for person in reviewers}
    with transaction.atomic():
        draft = locked(draft)
        if draft.closed_at:
            raise Refused("This branch was closed. Reopen it, then ask for a review.")
        if draft.reviews.filter(state=Review.State.OPEN).exists():
            raise Refused("A review of this draft is open already.")
        if unable := set(asked) - may_approve(asked):
            raise Refused(f"{name_of(asked[min(unable)])} is no reviewer. Choose somebody else, then ask again.")
        review = Review.objects.create(draft=draft, note=note, requested_by=user)
        review.reviewers.set(asked.values())
        text = f"{notices.named(user)} asks for a review of {draft.constitution.name}"
        told = list(asked.values()) or list(people_with_role(*APPROVERS))
        notices.notify(actor=user, people=told, verb="review.request", text=text, url=review_url(draft))
        data = {"review": review.pk, "branch": draft.branch, "reviewers": sorted(map(name_of, asked.values()))}
        record(actor=user, verb="review.request", obj=draft.constitution, data={**data, "note": note})
    return review


def withdraw_review(*, user: User, review: Review) -> None:
    """Take a request back. What was said stays readable; a new request begins with no verdict."""
    with transaction.atomic():
        draft = locked(review.draft)
        row = _open(review)
        Review.objects.filter(pk=row.pk).update(state=Review.State.WITHDRAWN, ended_at=timezone.now())
        data = {"review": row.pk, "branch": draft.branch}
        record(actor=user, verb="review.withdraw", obj=draft.constitution, data=data)


def give_verdict(*, user: User, review: Review, word: Verdict.Word, note: str = "", expected: int) -> Verdict:
    """Say a verdict on the draft as it stands. `expected` is the draft's revision that the person has read.

    Raises Refused, with nothing changed, when the review ended, the draft changed meanwhile, the person asked for this
    review themselves or may not approve, or a note is missing. The same word said twice of the same words is one.
    """
    note = words_of(note)
    with transaction.atomic():
        draft = locked_open(review.draft)
        row = _open(review)
        if reason := _reason_against(user, row, word, note):
            raise Refused(reason)
        if expected != draft.revision:
            raise Refused("The draft changed while you were reading. Look at the changes again, then say it again.")
        body = core.canonical_json(draft.to_core())
        said = Verdict(review=row, person=user, word=word, note=note, body=body, digest=core.digest_of_text(body))
        if same := _said_already(said):
            return same
        said.save()
        text = f"{notices.named(user)} {DONE[word]} your draft of {draft.constitution.name}"
        people = [row.requested_by, draft.updated_by, *notices.mentioned_in(note)]
        notices.notify(actor=user, people=people, verb="review.verdict", text=text, url=review_url(draft))
        data = {"review": row.pk, "verdict": said.pk, "word": word.value, "digest": said.digest, "branch": draft.branch}
        record(actor=user, verb="review.verdict", obj=draft.constitution, data={**data, "note": note})
    return said


def end_review(*, user: User, draft: Draft, version: Version) -> list[str]:
    """Part of publishing, in its transaction: the open review ends with the version. Returns who approved, by name."""
    review = draft.reviews.filter(state=Review.State.OPEN).select_related("requested_by").first()
    if review is None:
        return []
    Review.objects.filter(pk=review.pk).update(state=Review.State.PUBLISHED, ended_at=timezone.now(), version=version)
    people = [
        review.requested_by,
        *review.reviewers.all(),
        *(row.person for row in review.verdicts.select_related("person")),
    ]
    text = f"{notices.named(user)} published {draft.constitution.name} {version}"
    url = reverse("constitutions:version", args=[draft.constitution.slug, version.number])
    notices.notify(actor=user, people=people, verb="version.publish", text=text, url=url)
    return [name_of(verdict.person) for verdict in approvals_of([version]).get(version.pk, ())]


def change_rules(*, user: User, constitution: Constitution, rules: Rules) -> bool:
    """Set what publishing asks for. False when it was so already. Raises Refused when an author would make it looser.

    Anybody who writes may ask for more; only an admin may ask for less, or a rule would hold nobody who can change it.
    """
    if not 0 <= rules.required_approvals <= MAX_APPROVALS:
        raise Refused(f"Between 0 and {MAX_APPROVALS} approvals can be required.")
    with transaction.atomic():
        Constitution.objects.select_for_update(no_key=True).get(pk=constitution.pk)
        before = rules_of(constitution)
        if before == rules:
            return False
        if rules.is_looser_than(before) and not has_role(user, Role.ADMIN):
            raise Refused("Only an admin can make the rules looser.")
        PublishingRules.objects.update_or_create(
            constitution=constitution, defaults={**asdict(rules), "updated_by": user}
        )
        data = {"before": asdict(before), "now": asdict(rules)}
        record(actor=user, verb="constitution.change_rules", obj=constitution, data=data)
    return True


def review_url(draft: Draft) -> str:
    """Where the draft's review is read."""
    return reverse("constitutions:review", args=[draft.address])


def words_of(text: str) -> str:
    """A note or a comment as it is kept. Raises Refused for one that is too long."""
    plain = core.normalise(text)
    if len(plain) > MAX_WORDS:
        raise Refused(
            f"This has {len(plain):,} characters; {MAX_WORDS:,} are the most. Shorten it, then send it again."
        )
    return plain


def _open(review: Review) -> Review:
    """The review's row, fresh; the draft's lock holds it still. Raises Refused when it has ended."""
    row = Review.objects.select_related("requested_by").get(pk=review.pk)
    if row.state != Review.State.OPEN:
        raise Refused(f"This review has ended: {row.get_state_display().lower()}.")
    return row


def _reason_against(user: User, review: Review, word: Verdict.Word, note: str) -> str:
    """Why the person cannot say this, as one sentence; empty when they can."""
    if word in BINDING and not can_approve(user):
        return "Only reviewers approve or ask for changes. You can comment."
    if not can_discuss(user):
        return "Your role reads reviews and does not take part in them."
    if word in BINDING and review.requested_by_id == user.pk:
        return "You asked for this review, so somebody else has to judge it. You can comment."
    if word != Verdict.Word.APPROVE and not note:
        return "Say in a sentence what you mean, then send it again."
    return ""


def _said_already(said: Verdict) -> Verdict | None:
    """The person's newest verdict in this review if it says the same of the same words: a button pressed twice."""
    last = Verdict.objects.filter(review=said.review, person=said.person).last()
    same = last and (last.word, last.note, last.digest) == (said.word, said.note, said.digest)
    return last if same else None
