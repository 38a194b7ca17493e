"""Read side of review: which verdicts still count, and what is missing before a draft may be published.

A verdict holds the very words it was said of, and counts until their meaning changes (`core/approval.py`). What people
*declare* to be a minor edit does not help there, since whoever edits could declare it. Approvals are for words that
somebody else wrote: for the last editor of every changed principle there has to be an approval by another person.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from django.contrib.auth.models import User
from django.db.models import prefetch_related_objects

from constitutions_app.access import may_approve
from constitutions_app.comparing import changes_since
from constitutions_app.core import principles as core
from constitutions_app.core.approval import altered
from constitutions_app.ledger import name_of
from constitutions_app.models import Constitution, Draft, PublishingRules, Review, Verdict
from constitutions_app.scenario_results import scenarios_not_passed

BINDING = (Verdict.Word.APPROVE, Verdict.Word.REQUEST_CHANGES)


@dataclass(frozen=True)
class Rules:
    """What must hold before publishing. As made here: nothing, so that one person alone can work."""

    required_approvals: int = 0
    threads_resolved: bool = False
    scenarios_passed: bool = False

    def is_looser_than(self, other: Rules) -> bool:
        """Whether they ask for less than `other` in any respect."""
        return (
            self.required_approvals < other.required_approvals
            or self.threads_resolved < other.threads_resolved
            or self.scenarios_passed < other.scenarios_passed
        )


@dataclass(frozen=True)
class Said:
    """A verdict, and why it does not count (any more): "" while it does."""

    verdict: Verdict
    void: str = ""

    @property
    def counts(self) -> bool:
        return not self.void

    @property
    def approves(self) -> bool:
        """Whether it is an approval that counts."""
        return self.counts and self.verdict.word == Verdict.Word.APPROVE


@dataclass(frozen=True)
class Requirement:
    """One line of the checklist: whether it is met, and a sentence that says what is so or what is missing."""

    met: bool
    words: str


@dataclass(frozen=True)
class ReviewState:
    """Everything about a draft's open review: its verdicts, oldest first, and the checklist for publishing."""

    review: Review | None
    rules: Rules
    said: tuple[Said, ...]
    requirements: tuple[Requirement, ...]

    @property
    def missing(self) -> tuple[str, ...]:
        """Sentences for what is not met."""
        return tuple(part.words for part in self.requirements if not part.met)


def rules_of(constitution: Constitution) -> Rules:
    """The constitution's rules; none are required where nobody made any. One query."""
    row = PublishingRules.objects.filter(constitution=constitution).first()
    return Rules(row.required_approvals, row.threads_resolved, row.scenarios_passed) if row else Rules()


def reasons_against_publishing(draft: Draft) -> tuple[str, ...]:
    """What the constitution's rules still ask for, a sentence each; empty when nothing stands in the way."""
    return state_of_review(draft).missing


def state_of_review(draft: Draft, body: core.Constitution | None = None) -> ReviewState:
    """The draft's open review as it stands. A constant number of queries; `body` is the draft's words if at hand."""
    prefetch_related_objects([draft], "principles__updated_by")
    now = body or draft.to_core()
    rules = rules_of(draft.constitution)
    review = open_review(draft)
    said = tuple(verdicts_on(review, now)) if review else ()
    requirements = (
        *(_approval_lines(draft, now, rules, said) if rules.required_approvals else ()),
        *(_thread_lines(draft) if rules.threads_resolved else ()),
        *(_scenario_lines(draft) if rules.scenarios_passed else ()),
    )
    return ReviewState(review, rules, said, requirements)


def open_review(draft: Draft) -> Review | None:
    """The request that is open for the draft, with who asked and who was asked."""
    open_ones = draft.reviews.filter(state=Review.State.OPEN)
    return open_ones.select_related("requested_by").prefetch_related("reviewers").first()


def verdicts_on(review: Review, now: core.Constitution) -> Iterator[Said]:
    """Every verdict of a review, oldest first, held against the words `now`. Two queries and one per review."""
    rows = list(review.verdicts.select_related("person"))
    able = may_approve({row.person_id for row in rows})
    newest = {row.person_id: row.pk for row in rows if row.word in BINDING}
    digest = core.digest(now)
    for row in rows:
        yield Said(row, _why_void(row, review, newest, able, () if row.digest == digest else _altered(row, now)))


def _altered(row: Verdict, now: core.Constitution) -> tuple[str, ...]:
    return altered(core.from_json(row.body), now)


def _why_void(
    row: Verdict, review: Review, newest: dict[int, int], able: frozenset[int], changed: Sequence[str]
) -> str:
    if row.word == Verdict.Word.COMMENT:
        return ""
    if newest[row.person_id] != row.pk:
        return "said something newer"
    if row.person_id not in able:
        return "is no longer a reviewer"
    # A request for changes stands until the one who made it is content; an approval only for what was read.
    if row.word == Verdict.Word.APPROVE and changed:
        more = f" and {len(changed) - 2} more" if len(changed) > 2 else ""
        return f"{' and '.join(changed[:2])}{more} changed since"
    return ""


def _approval_lines(draft: Draft, now: core.Constitution, rules: Rules, said: Sequence[Said]) -> Iterator[Requirement]:
    approvers = {part.verdict.person_id: part.verdict.person for part in said if part.approves}
    have, need = len(approvers), rules.required_approvals
    yield Requirement(have >= need, f"{have} of {need} approval{'' if need == 1 else 's'}.")
    against = [part.verdict for part in said if part.counts and part.verdict.word == Verdict.Word.REQUEST_CHANGES]
    names = ", ".join(name_of(verdict.person) for verdict in against)
    yield Requirement(not against, f"{names} asked for changes." if against else "Nobody asks for changes.")
    alone = [editor for editor in _last_editors(draft, now) if not set(approvers) - {editor.pk}]
    if have and alone:
        name = name_of(alone[0])
        yield Requirement(False, f"Somebody other than {name} has to approve what {name} wrote last.")
    elif have:
        yield Requirement(True, "What was written last is approved by somebody else.")


def _last_editors(draft: Draft, now: core.Constitution) -> list[User]:
    """Who saved last what differs from the base: each changed principle, and the draft itself."""
    changed = changes_since(draft.base.to_core() if draft.base else None, now)
    people = {row.updated_by_id: row.updated_by for row in draft.principles.all() if row.key in changed}
    return list({**people, draft.updated_by_id: draft.updated_by}.values())


def _thread_lines(draft: Draft) -> Iterator[Requirement]:
    left = draft.threads.filter(resolved_at__isnull=True).count()
    words = f"{left} thread{' is' if left == 1 else 's are'} not resolved." if left else "Every thread is resolved."
    yield Requirement(not left, words)


def _scenario_lines(draft: Draft) -> Iterator[Requirement]:
    left = scenarios_not_passed(draft)
    words = f"{len(left)} scenario{' does' if len(left) == 1 else 's do'} not pass under these words." if left else ""
    yield Requirement(not left, words or "Every scenario passes under these words.")
