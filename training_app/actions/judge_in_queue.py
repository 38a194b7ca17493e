"""Judging in a queue: take an item, choose blind, keep the choice or change it, take it back, or refuse the item.

The blind choice is kept before anything is revealed and never changes. The verdict that follows is an audit like any
other: what it agrees with or overrides follows from the choice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from uuid import UUID, uuid5

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now

from constitutions_app.composed import Composed, Later
from constitutions_app.ledger import record
from training_app.actions.record_audit import Verdict, keep_verdict, record_audit, record_verdict
from training_app.models import AILabel, Audit, AuditQueue, Comparison, QueueItem, Reservation, TraceStep
from training_app.queues.giving import LEASE, alone, alone_to_take, bring_back_expired, give_back, give_one, take_again
from training_app.queues.keeping import end_judged, keep_choice
from training_app.refusals import AuditRefused, QueueRefused

State = Reservation.State
LONGEST_SECONDS = 24 * 3600
ANSWERS = ("critique_fair", "principle_fits", "change_needed")
"""What is said of a step besides whether it got better."""


@dataclass(frozen=True)
class Said:
    """What is kept after the reveal. `choice` empty: the blind choice stands. The booleans are for steps."""

    choice: str = ""
    critique_fair: bool | None = None
    principle_fits: bool | None = None
    change_needed: bool | None = None
    confidence: int | None = None
    reason: str = ""
    comment: str = ""


def take_next(*, user: User, queue: AuditQueue, beside: int | None = None) -> Reservation | None:
    """What this person is to judge next: what they hold already, else the first item they can have; None: nothing.

    `beside` is a reservation they are looking at: the answer is another one, so that a page can fetch it ahead. Nobody
    holds more than the two. No ledger entry: a reservation is a lease, and expires by itself.
    """
    with transaction.atomic():
        if alone_to_take(queue, user):
            bring_back_expired(queue)
        found = _HELD.first(queue=queue.pk, auditor=user.pk, beside=beside or NOTHING)
        if found is None and not queue.closed_at:
            pk = give_one(queue, user)
            found = None if pk is None else _TAKEN.first(reservation=pk)
    return found


NOTHING = 0
"""A primary key that no row has."""

_TAKEN = Composed(lambda: Reservation.objects.given().filter(pk=Later("reservation")))
_HELD = Composed(
    lambda: (
        Reservation.objects.given()
        .filter(queue_id=Later("queue"), auditor_id=Later("auditor"), state=State.OPEN)
        .exclude(pk=Later("beside"))
        .order_by("taken_at", "pk")[:1]
    )
)


def choose_blind(
    *,
    user: User,
    reservation: Reservation,
    key: UUID,
    choice: str,
    seconds: int | None = None,
    answers: Mapping[str, bool | None] | None = None,
) -> bool:
    """Keep the blind choice ("a", "b", "neither"); only then is the AI's revealed. False: there was one already.

    Sent twice it is kept once, and a second choice never takes the place of the first. Raises QueueRefused for a choice
    that is none, or for an item that the person gave back and others have taken since.
    """
    if choice not in Audit.Choice.values:
        raise QueueRefused("Choose the first response, the second, or neither.", field="choice")
    with transaction.atomic():
        if reservation.state == State.EXPIRED:
            take_again(reservation)
        kept = keep_choice(
            reservation,
            user,
            key=key,
            choice=choice,
            seconds=None if seconds is None else min(max(seconds, 0), LONGEST_SECONDS),
            answers={name: value for name, value in (answers or {}).items() if name in ANSWERS and value is not None},
        )
        if kept:
            data = {"item": name_of(reservation.item), "queue": reservation.queue_id, "choice": choice}
            record(actor=user, verb="audit.choose", obj=reservation, data=data)
    if not kept:
        reservation.refresh_from_db()
    if not reservation.choice:
        raise QueueRefused("You refused this item, so nothing was kept. Take another one.")
    return kept


def decide(*, user: User, reservation: Reservation, audit_id: UUID, said: Said) -> Audit | None:
    """Keep the verdict that follows from the choice, under the id that the page chose; sent twice it is kept once.

    Of a calibration item no audit is made, and the answer is None: it is about the auditor, not about an AI. Nor of two
    answers that no AI chose between: the choice is a preference, and stands in the reservation. When the
    time had passed and others have taken the item, the audit is kept all the same, and the queue does not count it.
    Raises QueueRefused before a blind choice, and AuditRefused for a verdict that does not hold together.
    """
    thing = thing_of(reservation.item)
    kept_as = audit_id if thing else None
    with transaction.atomic():
        state = State.DECIDED
        at = end_judged(reservation, user, audit_id=kept_as, to=state)
        if at is None:
            mine = Reservation.objects.select_for_update().get(pk=reservation.pk, auditor=user)
            if mine.state == State.DECIDED or mine.state == State.LATE:
                return _sent_again(mine, audit_id)
            state = _ending(mine)
            at = end_judged(reservation, user, audit_id=kept_as, to=state)
        kept = None
        if thing:
            kept = keep_verdict(user, audit_id, thing, verdict_of(reservation.item, reservation, said))
        if thing and kept and kept.is_new:
            record_verdict(user, kept.audit, thing)
        elif not thing:
            _record_known(user, reservation)
    audit = kept.audit if kept else None
    reservation.state, reservation.audit, reservation.decided_at = state, audit, at
    return audit


def undo(*, user: User, queue: AuditQueue) -> Reservation | None:
    """Take this person's last decision in a queue back by a further audit, and open its item again; None: nothing to.

    The AI's choice has been seen, so it opens revealed. What was said stays in the record, followed by its withdrawal.
    """
    with transaction.atomic():
        alone(queue, user)
        decided = Reservation.objects.filter(queue=queue, auditor=user, state__in=(State.DECIDED, State.LATE))
        last = decided.select_for_update().order_by("-decided_at").first()
        if last is None:
            return None
        counted = last.state == State.DECIDED
        if counted:
            QueueItem.objects.filter(pk=last.item_id).update(decided=F("decided") - 1)
            AuditQueue.objects.filter(pk=last.queue_id).update(decisions=F("decisions") - 1)
        opened = State.OPEN if counted else State.EXPIRED
        taken_back, item = last.audit, last.item
        decided.filter(pk=last.pk).update(
            state=opened, audit=None, decided_at=None, taken_at=Now(), expires_at=Now() + LEASE
        )
        thing = thing_of(item)
        if taken_back and thing:
            again = uuid5(taken_back.pk, "withdraw")
            record_audit(user=user, audit_id=again, item=thing, said=Verdict(Audit.Verdict.WITHDRAW))
        else:
            record(actor=user, verb="queue.undo", obj=last, data={"item": name_of(item), "queue": queue.pk})
    last.refresh_from_db()
    return last


def give_back_item(*, user: User, reservation: Reservation) -> bool:
    """Give an item back undecided, for somebody else or for later; False when it was not held any more."""
    with transaction.atomic():
        return reservation.auditor_id == user.pk and give_back(reservation, State.EXPIRED)


def refuse_item(*, user: User, reservation: Reservation, reason: str = "") -> Reservation:
    """Not wanting to judge this item: it goes to somebody else and never comes back to this person."""
    with transaction.atomic():
        if reservation.auditor_id == user.pk and give_back(reservation, State.REFUSED):
            data = {"item": name_of(reservation.item), "queue": reservation.queue_id, "reason": reason[:200]}
            record(actor=user, verb="queue.refuse", obj=reservation, data=data)
    reservation.refresh_from_db()
    return reservation


def look_first(*, user: User, item: AILabel | TraceStep | Comparison) -> int:
    """See the judgement of something before judging it: it is refused in every queue that could give it to the person.

    Returns in how many; 0 changes nothing.
    """
    kind = {AILabel: "label", TraceStep: "step", Comparison: "comparison"}[type(item)]
    with transaction.atomic():
        waiting = QueueItem.objects.filter(**{kind: item}, queue__closed_at=None).order_by("pk")
        for one in waiting.select_for_update():
            given, created = Reservation.objects.get_or_create(
                item=one,
                auditor=user,
                defaults={
                    "queue_id": one.queue_id,
                    "state": State.REFUSED,
                    "taken_at": Now(),
                    "expires_at": Now(),
                    "shown_first": "a",
                },
            )
            if not created and not given.choice and not give_back(given, State.REFUSED):
                Reservation.objects.filter(pk=given.pk, state=State.EXPIRED).update(state=State.REFUSED)
        if count := len(waiting):
            data = {"item": f"{item._meta.label_lower}:{item.pk}", "queues": [one.queue_id for one in waiting]}
            record(actor=user, verb="queue.look", obj=item, data=data)
    return count


def thing_of(item: QueueItem) -> AILabel | TraceStep | None:
    """What is audited; None for a calibration item and for two answers. May query."""
    return item.label or item.step


def name_of(item: QueueItem) -> str:
    """How the ledger names the thing behind an item: "training_app.ailabel:207". No query."""
    for model, pk in (("ailabel", item.label_id), ("tracestep", item.step_id), ("comparison", item.comparison_id)):
        if pk is not None:
            return f"training_app.{model}:{pk}"
    raise ValueError(f"queue item {item.pk} holds nothing")


def verdict_of(item: QueueItem, reservation: Reservation, said: Said) -> Verdict:
    """The verdict that follows from the blind choice and what was said after the reveal."""
    choice = said.choice or reservation.choice
    verdict = Verdict(
        Audit.Verdict.AGREE,
        blind=choice == reservation.choice,
        blind_choice=reservation.choice,
        seconds=reservation.seconds,
        confidence=said.confidence,
        reason=said.reason,
        comment=said.comment,
    )
    if item.label:
        agrees = choice == (item.label.ai_choice or Audit.Choice.NEITHER)
        word = Audit.Verdict.AGREE if agrees else Audit.Verdict.OVERRIDE
        return replace(verdict, verdict=word, choice=choice, shown_first=reservation.shown_first)
    better = {Audit.Choice.A.value: False, Audit.Choice.B.value: True}.get(choice)
    word = {True: Audit.Verdict.AGREE, False: Audit.Verdict.OVERRIDE, None: Audit.Verdict.ABSTAIN}[better]
    return replace(
        verdict,
        verdict=word,
        revision_better=better,
        critique_fair=said.critique_fair,
        principle_fits=said.principle_fits,
        change_needed=said.change_needed,
    )


def _ending(mine: Reservation) -> State:
    """How a reservation ends that is not simply open: counted where there is still a place, late otherwise.

    Raises QueueRefused where nothing can be kept.
    """
    if not mine.choice:
        raise QueueRefused("Choose before the AI's choice is shown.", field="choice")
    if mine.state == State.REFUSED:
        raise QueueRefused("You refused this item, so nothing was kept. Take another one.")
    return State.LATE if mine.state == State.EXPIRED and not take_again(mine) else State.DECIDED


def _record_known(user: User, mine: Reservation) -> None:
    """The ledger's entry about an item of which no audit is made."""
    item = mine.item
    data: dict[str, object] = {"item": name_of(item), "queue": mine.queue_id, "choice": mine.choice}
    if item.known:
        record(actor=user, verb="queue.calibrate", obj=mine, data=data | {"right": mine.choice == item.known})
    else:
        record(actor=user, verb="queue.prefer", obj=mine, data=data)


def _sent_again(mine: Reservation, audit_id: UUID) -> Audit | None:
    """The audit kept before, for the same id. Raises AuditRefused for another: a change of mind begins with undo."""
    if mine.audit and mine.audit.pk != audit_id:
        raise AuditRefused("You have decided this item already. Take it back first, then decide anew.")
    return mine.audit
