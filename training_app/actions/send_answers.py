"""Send the answers of two checkpoints to be judged blind. People's preference between them is all that comes of it.

The pair becomes a comparison whose source is the question; no AI judged it, so there is no label and no audit. All such
pairs wait in one open queue, where each is given out without a word on whose answer is whose.
"""

from __future__ import annotations

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now

from constitutions_app.ledger import record
from training_app.actions.judge_in_queue import name_of
from training_app.models import AuditQueue, ChatTurn, Comparison, QueueItem, Reservation
from training_app.refusals import ChatRefused

NAME = "Answers of two checkpoints"
WHY = "Somebody asked two checkpoints; whose answer is whose is told after the choice."


def send_answers(*, user: User, turn: ChatTurn) -> QueueItem:
    """Put the two answers of a question into the open queue of answers, which is made if there is none.

    Sent twice it is one item. Whoever asked and whoever sends has read whose answer is whose, so they are never given
    it. Raises ChatRefused, nothing written, while there are no two answers.
    """
    if "left" not in turn.replies or "right" not in turn.replies:
        raise ChatRefused("Only the answers of two checkpoints can be judged against each other.")
    with transaction.atomic():
        ChatTurn.objects.select_for_update(no_key=True).get(pk=turn.pk)
        before = QueueItem.objects.filter(comparison__chat=turn).select_related("queue").first()
        if before is not None:
            return before
        queue = _open_queue(user)
        pair = _comparison(turn)
        position = queue.items_count + 1
        item = QueueItem.objects.create(
            queue=queue, position=position, comparison=pair, why=WHY, wanted=queue.per_item
        )  # fmt: skip
        AuditQueue.objects.filter(pk=queue.pk).update(items_count=F("items_count") + 1)
        for pk in {user.pk, turn.created_by_id}:
            Reservation.objects.create(
                item=item, queue=queue, auditor_id=pk, state=Reservation.State.REFUSED, taken_at=Now(),
                expires_at=Now(), shown_first="a",
            )  # fmt: skip
        record(actor=user, verb="chat.send", obj=turn, data={"item": name_of(item), "queue": queue.pk})
    return item


def _comparison(turn: ChatTurn) -> Comparison:
    left, right = turn.replies["left"]["text"], turn.replies["right"]["text"]
    return Comparison.objects.create(
        source=Comparison.Source.CHAT, chat=turn, key=str(turn.pk), prompt_text=turn.question,
        messages=turn.messages if len(turn.messages) > 1 else [], response_a=left, response_b=right,
        identical=left == right,
    )  # fmt: skip


def _open_queue(user: User) -> AuditQueue:
    """The open queue of answers, locked: its next place is nobody else's."""
    queue, created = AuditQueue.objects.get_or_create(
        kind=AuditQueue.Kind.ANSWERS,
        closed_at=None,
        defaults={"name": NAME, "rule": AuditQueue.Rule.SENT, "created_by": user},
    )
    if created:
        data = {"kind": queue.kind, "rule": queue.rule, "per_item": queue.per_item}
        record(actor=user, verb="queue.create", obj=queue, data=data)
    return AuditQueue.objects.select_for_update(no_key=True).get(pk=queue.pk)
