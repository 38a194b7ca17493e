"""Create a queue: its items are drawn once, by filter, rule and seed, and stand from then on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.contrib.auth.models import User
from django.db import models, transaction
from django.db.models import F, Value
from django.db.models.functions import MD5, Cast, Concat, Now

from constitutions_app.ledger import record
from constitutions_app.notices import named, notify
from training_app.models import AuditQueue, Comparison, PromptSet, QueueItem
from training_app.models.queue import DRAWN_BY, MOST_AUDITORS
from training_app.queues.matching import KINDS, matching
from training_app.queues.sampling import WHY_KNOWN, Drawn, draw, places_for_known
from training_app.refusals import QueueRefused

LARGEST = 20_000


@dataclass(frozen=True)
class QueuePlan:
    """What a queue is to be. `calibration` human comparisons of `calibration_set` are mixed in."""

    name: str
    kind: str
    rule: str
    size: int
    filters: str = ""
    seed: int = 0
    per_item: int = 1
    goal: int = 0
    hide_principle: bool = False
    calibration_set: PromptSet | None = None
    calibration: int = 0


def create_queue(*, user: User, plan: QueuePlan, people: Iterable[User] = ()) -> AuditQueue:
    """The queue with its items. Raises QueueRefused when nothing matches, or for a plan that does not hold together."""
    _check(plan)
    found = matching(plan.kind, plan.filters, user)
    drawn = draw(found, rule=plan.rule, size=plan.size, seed=plan.seed)
    if not drawn:
        raise QueueRefused("Nothing matches this filter and rule, so there is nothing to judge. Widen the filter.")
    known = _known(plan)
    wanted = list(people)
    with transaction.atomic():
        queue = AuditQueue.objects.create(
            name=plan.name.strip(), kind=plan.kind, filters=plan.filters.lstrip("?"), rule=plan.rule, seed=plan.seed,
            per_item=plan.per_item, goal=plan.goal, hide_principle=plan.hide_principle,
            calibration_set=plan.calibration_set if known else None, items_count=len(drawn) + len(known),
            created_by=user,
        )  # fmt: skip
        queue.people.set(wanted)
        QueueItem.objects.bulk_create(_items(queue, drawn, known), batch_size=1000)
        record(
            actor=user,
            verb="queue.create",
            obj=queue,
            data={
                "kind": plan.kind,
                "filters": queue.filters,
                "rule": plan.rule,
                "seed": plan.seed,
                "per_item": plan.per_item,
                "items": [one.pk for one in drawn],
                "calibration": [one.pk for one in known],
                "people": [one.pk for one in wanted],
            },
        )
        _tell(user, queue, wanted)
    return queue


def close_queue(*, user: User, queue: AuditQueue) -> AuditQueue:
    """Give nothing more out. What people hold they may still decide. A queue that is closed already stays as it is."""
    with transaction.atomic():
        if AuditQueue.objects.filter(pk=queue.pk, closed_at=None).update(closed_at=Now()):
            record(actor=user, verb="queue.close", obj=queue, data={"decisions": queue.decisions})
    queue.refresh_from_db()
    return queue


def assign_queue(*, user: User, queue: AuditQueue, people: Iterable[User]) -> AuditQueue:
    """Whom a queue is for from now on; nobody named: every auditor. What people hold stays with them."""
    wanted = list(people)
    with transaction.atomic():
        before = set(queue.people.values_list("pk", flat=True))
        queue.people.set(wanted)
        record(actor=user, verb="queue.assign", obj=queue, data={"people": [one.pk for one in wanted]})
        _tell(user, queue, [one for one in wanted if one.pk not in before])
    return queue


def _tell(user: User, queue: AuditQueue, people: Iterable[User]) -> None:
    """A notification for everybody named. It says nothing of what is in the queue."""
    text = f"{named(user)} asks you to judge {queue.items_count} items."
    notify(actor=user, people=people, verb="queue.assign", text=text, url=f"/audit/queues/{queue.pk}/")


def _check(plan: QueuePlan) -> None:
    if not plan.name.strip():
        raise QueueRefused("Give the queue a name.", field="name")
    if plan.kind not in KINDS:
        raise QueueRefused("A queue holds AI labels or steps.", field="kind")
    if plan.rule not in dict(DRAWN_BY):
        raise QueueRefused("This rule is not one of the list.", field="rule")
    if not 1 <= plan.size <= LARGEST:
        raise QueueRefused(f"A queue holds from 1 to {LARGEST:,} items.", field="size")
    if not 1 <= plan.per_item <= MOST_AUDITORS:
        raise QueueRefused(f"From 1 to {MOST_AUDITORS} people can judge an item.", field="per_item")
    if plan.calibration and (plan.kind != AuditQueue.Kind.LABELS or plan.calibration_set is None):
        raise QueueRefused(
            "Known answers come from a set of human comparisons and are mixed into a queue of labels.",
            field="calibration",
        )


def _known(plan: QueuePlan) -> list[Comparison]:
    """The calibration items, drawn by chance like the others."""
    if not plan.calibration or plan.calibration_set is None:
        return []
    known = Comparison.objects.filter(prompt_set=plan.calibration_set, identical=False).exclude(human_choice="")
    lot = MD5(Concat(Value(f"{plan.seed} "), Cast("pk", models.TextField()), output_field=models.TextField()))
    return list(known.annotate(lot=lot).order_by(F("lot"))[: plan.calibration])


def _items(queue: AuditQueue, drawn: list[Drawn], known: list[Comparison]) -> Iterable[QueueItem]:
    field = "label_id" if queue.kind == AuditQueue.Kind.LABELS else "step_id"
    places = set(places_for_known(len(drawn), len(known), queue.seed))
    plain, mixed_in = iter(drawn), iter(known)
    for position in range(queue.items_count):
        common = {"queue": queue, "position": position + 1, "wanted": queue.per_item}
        if position in places and (one := next(mixed_in, None)):
            yield QueueItem(comparison=one, known=one.human_choice, why=WHY_KNOWN, **common)
        elif item := next(plain, None):
            yield QueueItem(why=item.why, **{field: item.pk}, **common)
        elif one := next(mixed_in, None):
            yield QueueItem(comparison=one, known=one.human_choice, why=WHY_KNOWN, **common)
