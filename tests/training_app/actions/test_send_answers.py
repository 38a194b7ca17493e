"""Two answers to one question, judged blind: nobody is told whose is whose, and no AI's choice is made up."""

from __future__ import annotations

from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction

from constitutions_app.models import LedgerEntry
from tests.training_app.factories import FinishedRun, chat_turn, finished_run
from tests.training_app.queue_scenes import auditor, judged, taken
from tests.training_app.scenes import engineer
from training_app.access import hides_judgement
from training_app.actions import (
    choose_blind,
    close_queue,
    create_queue,
    decide,
    look_first,
    send_answers,
    take_next,
    undo,
)
from training_app.actions.create_queue import QueuePlan
from training_app.actions.judge_in_queue import Said
from training_app.models import AILabel, Audit, AuditQueue, Comparison, QueueItem, Reservation
from training_app.queues.progress import preferred
from training_app.queues.showing import Given
from training_app.refusals import ChatRefused, QueueRefused

pytestmark = pytest.mark.django_db


@pytest.fixture
def made(db: None) -> FinishedRun:
    return finished_run(engineer())


@pytest.fixture
def item(made: FinishedRun) -> QueueItem:
    return send_answers(user=engineer(), turn=chat_turn(made))


def pair_of(item: QueueItem) -> Comparison:
    assert item.comparison is not None
    return item.comparison


def test_the_pair_becomes_a_comparison_without_a_label(made: FinishedRun) -> None:
    labels, turn = AILabel.objects.count(), chat_turn(made)
    item = send_answers(user=engineer(), turn=turn)
    pair = pair_of(item)
    assert (pair.source, pair.chat, pair.response_a, pair.response_b) == (
        "chat", turn, "Put the key back.", "Ask her first.",
    )  # fmt: skip
    assert (item.queue.kind, item.queue.rule, item.position, item.known) == ("answers", "sent", 1, "")
    assert AILabel.objects.count() == labels
    assert send_answers(user=engineer(), turn=turn) == item
    second = send_answers(user=engineer(), turn=chat_turn(made))
    assert (second.queue, second.position) == (item.queue, 2)
    assert AuditQueue.objects.get().items_count == 2
    assert LedgerEntry.objects.filter(verb="chat.send").count() == 2


def test_it_refuses_before_there_are_two_answers(made: FinishedRun) -> None:
    for turn in (chat_turn(made, replies={}, state="queued", finished_at=None), chat_turn(made, right=None,
                 replies={"left": {"text": "Yes.", "tokens": 1, "finish": "stop"}})):  # fmt: skip
        with pytest.raises(ChatRefused, match="two checkpoints"):
            send_answers(user=engineer(), turn=turn)
    assert not AuditQueue.objects.exists() and not Comparison.objects.filter(source="chat").exists()


def test_whoever_asked_or_sent_it_has_read_who_answered_and_is_never_given_it(made: FinishedRun) -> None:
    asked, sent, other = auditor("asker"), auditor("sender"), auditor("olu")
    item = send_answers(user=sent, turn=chat_turn(made, created_by=asked))
    assert [take_next(user=one, queue=item.queue) for one in (asked, sent)] == [None, None]
    assert taken(other, item.queue).item == item
    assert pair_of(item) in hides_judgement(other, [pair_of(item)])
    assert pair_of(item) not in hides_judgement(asked, [pair_of(item)])


def test_authors_are_told_after_the_choice_which_is_kept_as_a_preference(item: QueueItem) -> None:
    olu = auditor("olu")
    given = taken(olu, item.queue)
    Reservation.objects.filter(pk=given.pk).update(shown_first="b")
    given.refresh_from_db()
    assert Given(given).authors == () and all(side.text for side in Given(given).sides)
    choose_blind(user=olu, reservation=given, key=uuid4(), choice="a", seconds=9)
    given = Reservation.objects.select_related("item", "queue").get(pk=given.pk)
    assert [(side, one.stage) for side, one in Given(given).authors] == [("first", "rl"), ("second", "sft")]
    assert decide(user=olu, reservation=given, audit_id=uuid4(), said=Said()) is None
    assert not Audit.objects.exists()
    assert preferred(pair_of(item)) == {"a": 1}
    (entry,) = LedgerEntry.objects.filter(verb="queue.prefer")
    assert '"choice":"a"' in entry.body.replace(" ", "") and "right" not in entry.body
    undo(user=olu, queue=item.queue)
    assert preferred(pair_of(item)) == {}


def test_looking_first_leaves_it_to_others(item: QueueItem) -> None:
    olu = auditor("olu")
    assert look_first(user=olu, item=pair_of(item)) == 1
    assert pair_of(item) not in hides_judgement(olu, [pair_of(item)])
    assert take_next(user=olu, queue=item.queue) is None


def test_a_closed_queue_makes_way_for_another(made: FinishedRun, item: QueueItem) -> None:
    judged(auditor("olu"), item.queue)
    close_queue(user=engineer(), queue=item.queue)
    assert send_answers(user=engineer(), turn=chat_turn(made)).queue != item.queue


def test_such_a_queue_is_not_drawn_and_there_is_one_at_a_time(made: FinishedRun, item: QueueItem) -> None:
    for plan in (QueuePlan("All", "answers", "sent", 5), QueuePlan("All", "labels", "sent", 5)):
        with pytest.raises(QueueRefused):
            create_queue(user=engineer(), plan=plan)
    with pytest.raises(IntegrityError, match="one_open_queue_of_answers"), transaction.atomic():
        AuditQueue.objects.create(name="Another", kind="answers", rule="sent", created_by=engineer())


def test_the_database_refuses_a_pair_without_its_question(made: FinishedRun) -> None:
    assert User.objects.exists()
    with pytest.raises(IntegrityError, match="a_comparison_has_an_origin"), transaction.atomic():
        Comparison.objects.create(source="chat", key="x", prompt_text="Why?", response_a="a", response_b="b")
