"""Queues: what is drawn, who is given what, the blind choice before the reveal, and what is kept of a decision."""

from __future__ import annotations

import threading
from collections import Counter
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, connection, transaction
from django.db.models import F
from django.utils import timezone

from constitutions_app.models import LedgerEntry
from tests.training_app.factories import FinishedRun, finished_run
from tests.training_app.queue_scenes import auditor, judged, queue_of, taken
from tests.training_app.scenes import comparisons, engineer
from training_app import verdicts
from training_app.actions import (
    assign_queue,
    choose_blind,
    close_queue,
    decide,
    give_back_item,
    record_audit,
    refuse_item,
    take_next,
    undo,
)
from training_app.actions.judge_in_queue import Said
from training_app.actions.record_audit import Verdict
from training_app.models import AILabel, Audit, AuditQueue, QueueItem, Reservation
from training_app.models.queue import DRAWN_BY
from training_app.refusals import AuditRefused, QueueRefused

pytestmark = pytest.mark.django_db


@pytest.fixture
def made(db: None) -> FinishedRun:
    return finished_run(engineer())


@pytest.fixture
def olu(db: None) -> User:
    return auditor("olu")


def label_of(given: Reservation) -> AILabel:
    assert given.item.label is not None
    return given.item.label


def let_pass(given: Reservation) -> None:
    Reservation.objects.filter(pk=given.pk).update(expires_at=timezone.now() - timedelta(seconds=1))


def test_a_queue_draws_the_same_items_for_the_same_seed(made: FinishedRun) -> None:
    drawn = [[one.label_id for one in queue_of(seed=seed, size=4).items.all()] for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert LedgerEntry.objects.filter(verb="queue.create")[0].object_type == "training_app.auditqueue"


@pytest.mark.parametrize("rule", [rule for rule, _ in DRAWN_BY])
def test_every_rule_says_why_an_item_is_there_and_nothing_of_what_was_chosen(made: FinishedRun, rule: str) -> None:
    for name, choice in (("olu", "a"), ("pia", "b")):
        label = made.labels[1]
        word = "agree" if choice == label.ai_choice else "override"
        record_audit(user=auditor(name), audit_id=uuid4(), item=label, said=Verdict(word, choice=choice))
    items = list(queue_of(rule=rule).items.all())
    assert items and all(item.why.endswith(".") and "0." not in item.why for item in items)
    labels = [item.label for item in items]
    if rule == "uncertain":
        assert [abs(one.p_a - 0.5) for one in labels if one] == sorted(abs(one.p_a - 0.5) for one in labels if one)
    if rule == "disagreement":
        assert labels == [made.labels[1]]
    if rule == "order":
        assert all(one.same_position for one in labels if one)


def test_stratified_takes_each_principle_in_turn(made: FinishedRun) -> None:
    items = queue_of(rule="stratified", size=4).items.select_related("label__principle")
    assert len({item.label.principle_id for item in items if item.label}) == 4


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": " "}, "name"),
        ({"rule": "best"}, "rule"),
        ({"kind": "answers"}, "kind"),
        ({"size": 0}, "size"),
        ({"per_item": 21}, "per_item"),
        ({"calibration": 3}, "calibration"),
        ({"filters": "user__password=x"}, "filters"),
        ({"filters": "run=nowhere"}, "filters"),
        ({"filters": "key=none-of-them"}, ""),
    ],
)
def test_it_refuses_a_queue_that_does_not_hold_together(made: FinishedRun, changes: dict[str, Any], field: str) -> None:
    with pytest.raises(QueueRefused) as caught:
        queue_of(**changes)
    assert caught.value.field == field
    assert not AuditQueue.objects.exists()


def test_steps_have_no_p_a_to_be_unsure_of(made: FinishedRun) -> None:
    with pytest.raises(QueueRefused, match="choose another rule"):
        queue_of("steps", rule="uncertain")


def test_a_person_keeps_what_they_hold_and_one_more_ahead(made: FinishedRun, olu: User) -> None:
    queue = queue_of()
    first = taken(olu, queue)
    assert taken(olu, queue) == first
    ahead = take_next(user=olu, queue=queue, beside=first.pk)
    assert ahead and ahead != first and take_next(user=olu, queue=queue, beside=first.pk) == ahead
    assert Reservation.objects.count() == 2


def test_the_database_refuses_one_hand_too_many(made: FinishedRun) -> None:
    queue_of(per_item=2)
    with pytest.raises(IntegrityError, match="no_item_in_too_many_hands"), transaction.atomic():
        QueueItem.objects.update(taken=F("wanted") + 1)


def test_what_expired_goes_to_somebody_else_and_late_decisions_are_kept_uncounted(made: FinishedRun, olu: User) -> None:
    queue = queue_of(size=1)
    late = taken(olu, queue)
    choose_blind(user=olu, reservation=late, key=uuid4(), choice="a")
    assert take_next(user=auditor("pia"), queue=queue) is None, "olu holds it"
    let_pass(late)
    pia = User.objects.get(username="pia")
    assert judged(pia, queue).item == late.item
    late.refresh_from_db()
    decide(user=olu, reservation=late, audit_id=uuid4(), said=Said())
    queue.refresh_from_db()
    assert (late.state, queue.decisions, Audit.objects.count()) == ("late", 1, 2)


def test_what_expired_and_is_still_free_is_decided_as_if_nothing_had_happened(made: FinishedRun, olu: User) -> None:
    queue = queue_of(size=1)
    given = taken(olu, queue)
    let_pass(given)
    pia = auditor("pia")
    give_back_item(user=pia, reservation=taken(pia, queue))
    given.refresh_from_db()
    assert given.state == "expired"
    choose_blind(user=olu, reservation=given, key=uuid4(), choice="b")
    decide(user=olu, reservation=given, audit_id=uuid4(), said=Said())
    assert (given.state, QueueItem.objects.get(queue=queue).taken) == ("decided", 1)


def test_the_blind_choice_is_kept_once_and_never_changes(made: FinishedRun, olu: User) -> None:
    given, key = taken(olu, queue_of()), uuid4()
    with pytest.raises(QueueRefused, match="Choose before"):
        decide(user=olu, reservation=given, audit_id=uuid4(), said=Said())
    assert choose_blind(user=olu, reservation=given, key=key, choice="a", seconds=7)
    assert not choose_blind(user=olu, reservation=given, key=key, choice="a")
    assert not choose_blind(user=olu, reservation=given, key=uuid4(), choice="b")
    assert (given.choice, given.seconds) == ("a", 7)
    assert LedgerEntry.objects.filter(verb="audit.choose").count() == 1


def test_agreement_or_override_follows_from_the_choice(made: FinishedRun, olu: User) -> None:
    queue = queue_of()
    for choice in ("a", "b", "neither"):
        given = judged(olu, queue, choice)
        audit = given.audit
        assert audit is not None
        expected = "agree" if choice == (label_of(given).ai_choice or "neither") else "override"
        assert (audit.verdict, audit.choice, audit.blind, audit.blind_choice) == (expected, choice, True, choice)
        assert (audit.shown_first, audit.seconds) == (given.shown_first, 4)
    changed = judged(olu, queue, "a", choice="b", reason="misread", confidence=3).audit
    assert changed and (changed.choice, changed.blind, changed.blind_choice) == ("b", False, "a")


def test_a_decision_sent_twice_is_kept_once(made: FinishedRun, olu: User) -> None:
    given, key = taken(olu, queue_of()), uuid4()
    choose_blind(user=olu, reservation=given, key=uuid4(), choice="a")
    first = decide(user=olu, reservation=given, audit_id=key, said=Said())
    assert decide(user=olu, reservation=given, audit_id=key, said=Said()) == first
    with pytest.raises(AuditRefused, match="Take it back first"):
        decide(user=olu, reservation=given, audit_id=uuid4(), said=Said(choice="b"))
    assert (Audit.objects.count(), AuditQueue.objects.get().decisions, given.item.decided) == (1, 1, 1)


def test_a_step_is_judged_by_whether_it_got_better(made: FinishedRun, olu: User) -> None:
    queue = queue_of("steps")
    for choice, verdict, better in (("b", "agree", True), ("a", "override", False), ("neither", "abstain", None)):
        audit = judged(olu, queue, choice, critique_fair=True, principle_fits=False, change_needed=False).audit
        assert audit and (audit.verdict, audit.revision_better, audit.choice) == (verdict, better, "")
        assert (audit.critique_fair, audit.principle_fits, audit.change_needed) == (True, False, False)


def test_undo_takes_the_last_decision_back_by_a_further_row(made: FinishedRun, olu: User) -> None:
    queue = queue_of()
    given = judged(olu, queue, "a")
    other = "b" if label_of(given).ai_choice == "a" else "a"
    opened = undo(user=olu, queue=queue)
    assert opened == given and opened.is_revealed and opened.state == "open"
    assert list(Audit.objects.order_by("created_at").values_list("verdict", flat=True))[1] == "withdraw"
    assert not Audit.objects.all().standing().exists()
    decide(user=olu, reservation=opened, audit_id=uuid4(), said=Said(choice=other))
    queue.refresh_from_db()
    assert (queue.decisions, Audit.objects.all().standing().get().choice) == (1, other)
    assert list(verdicts.overridden_labels(made.run)) == [given.item.label_id]
    undo(user=olu, queue=queue)
    assert not verdicts.overridden_labels(made.run)
    assert undo(user=auditor("pia"), queue=queue) is None


def test_a_refused_item_goes_to_others_and_never_comes_back(made: FinishedRun, olu: User) -> None:
    queue = queue_of(size=1)
    given = taken(olu, queue)
    refuse_item(user=olu, reservation=given, reason="I know this person.")
    assert take_next(user=olu, queue=queue) is None
    assert taken(auditor("pia"), queue).item == given.item
    with pytest.raises(QueueRefused, match="You refused"):
        choose_blind(user=olu, reservation=given, key=uuid4(), choice="a")


def test_nobody_is_given_what_they_judged_elsewhere(made: FinishedRun, olu: User) -> None:
    for label in made.labels[1:]:
        record_audit(user=olu, audit_id=uuid4(), item=label, said=Verdict("agree"))
    queue = queue_of()
    assert judged(olu, queue).item.label == made.labels[0]
    assert take_next(user=olu, queue=queue) is None


def test_a_closed_queue_gives_nothing_out_and_takes_what_is_held(made: FinishedRun, olu: User) -> None:
    queue = queue_of()
    given = taken(olu, queue)
    queue = close_queue(user=engineer(), queue=queue)
    assert close_queue(user=engineer(), queue=queue).closed_at == queue.closed_at
    assert LedgerEntry.objects.filter(verb="queue.close").count() == 1
    choose_blind(user=olu, reservation=given, key=uuid4(), choice="a")
    decide(user=olu, reservation=given, audit_id=uuid4(), said=Said())
    assert take_next(user=olu, queue=queue) is None


def test_a_queue_is_for_the_people_it_names(made: FinishedRun, olu: User) -> None:
    queue = assign_queue(user=engineer(), queue=queue_of(), people=[olu])
    assert list(queue.people.all()) == [olu]


def test_known_answers_are_mixed_in_and_make_no_audit(made: FinishedRun, olu: User) -> None:
    known = comparisons(4)
    queue = queue_of(calibration_set=known, calibration=3, size=6)
    items = list(queue.items.all())
    assert len(items) == queue.items_count == 9 and sum(bool(item.known) for item in items) == 3
    assert [bool(item.known) for item in items].index(True) < 3, "they are spread, not put at the end"
    for _ in items:
        judged(olu, queue, "a")
    assert Audit.objects.count() == 6
    assert LedgerEntry.objects.filter(verb="queue.calibrate").count() == 3
    assert undo(user=olu, queue=queue) is not None


@pytest.mark.django_db(transaction=True)
def test_many_at_once_are_never_given_one_item_too_often() -> None:
    finished_run(engineer())
    queue = queue_of(per_item=2)
    people = [auditor(f"person{n}") for n in range(8)]
    ready = threading.Barrier(len(people))

    def judge_all(user: User) -> None:
        ready.wait()
        try:
            while (given := take_next(user=user, queue=queue)) is not None:
                choose_blind(user=user, reservation=given, key=uuid4(), choice="a")
                decide(user=user, reservation=given, audit_id=uuid4(), said=Said())
        finally:
            connection.close()

    threads = [threading.Thread(target=judge_all, args=(user,)) for user in people]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    queue.refresh_from_db()
    given = Counter(Reservation.objects.filter(state="decided").values_list("item", flat=True))
    assert set(given.values()) == {2} and queue.decisions == queue.wanted == sum(given.values())
    assert Audit.objects.count() == queue.wanted
    assert not QueueItem.objects.exclude(taken=2, decided=2).exists()
