"""Verdicts: append-only, sent twice saved once, and never one that contradicts itself."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User

from constitutions_app.models import LedgerEntry
from constitutions_app.models.frozen import FrozenRowError
from tests.training_app.factories import FinishedRun, finished_run
from tests.training_app.scenes import engineer
from training_app.actions import record_audit
from training_app.actions.record_audit import Verdict
from training_app.models import AILabel, Audit, TraceStep
from training_app.refusals import AuditRefused

pytestmark = pytest.mark.django_db


@pytest.fixture
def made() -> FinishedRun:
    return finished_run(engineer())


def other(label: AILabel) -> str:
    """The choice that is not the AI's."""
    return "b" if label.ai_choice == "a" else "a"


def test_it_keeps_a_verdict_and_the_same_one_sent_again_only_once(made: FinishedRun) -> None:
    key, label = uuid4(), made.labels[0]
    said = Verdict("override", choice=other(label), blind=True, confidence=3, reason="misread", comment=" why\x00 ")
    first = record_audit(user=engineer(), audit_id=key, item=label, said=said)
    assert record_audit(user=engineer(), audit_id=key, item=label, said=said) == first
    audit = Audit.objects.get()
    assert (audit.verdict, audit.choice, audit.blind, audit.comment) == ("override", other(label), True, "why")
    assert LedgerEntry.objects.get(verb="audit.record").object_id == str(key)
    with pytest.raises(FrozenRowError):
        audit.delete()


def test_a_change_of_mind_is_another_row(made: FinishedRun) -> None:
    for verdict in ("agree", "agree"):
        record_audit(user=engineer(), audit_id=uuid4(), item=made.labels[0], said=Verdict(verdict))
    assert Audit.objects.count() == 2


def test_an_id_belongs_to_one_person_and_one_item(made: FinishedRun) -> None:
    key = uuid4()
    record_audit(user=engineer(), audit_id=key, item=made.labels[0], said=Verdict("agree"))
    for user, item in ((User.objects.create_user("other"), made.labels[0]), (engineer(), made.labels[1])):
        with pytest.raises(AuditRefused, match="already used"):
            record_audit(user=user, audit_id=key, item=item, said=Verdict("agree"))
    assert Audit.objects.count() == 1


def test_a_step_is_judged_by_its_critique_and_revision(made: FinishedRun) -> None:
    said = Verdict("override", critique_fair=False, revision_better=False)
    audit = record_audit(user=engineer(), audit_id=uuid4(), item=made.steps[0], said=said)
    assert (audit.step, audit.label, audit.critique_fair, audit.revision_better) == (made.steps[0], None, False, False)


@pytest.mark.parametrize(
    ("kind", "said", "field", "words"),
    [
        ("label", {"verdict": "maybe"}, "verdict", "agree, override or only comment"),
        ("label", {"verdict": "override"}, "choice", "choose response A, response B or neither"),
        ("label", {"verdict": "override", "choice": "c"}, "choice", "should be response A"),
        ("label", {"verdict": "override", "choice": "ai"}, "choice", "the AI's own choice"),
        ("label", {"verdict": "agree", "choice": "other"}, "verdict", "override it instead"),
        ("label", {"verdict": "agree", "critique_fair": True}, "verdict", "no critique"),
        ("label", {"verdict": "agree", "confidence": 5}, "confidence", "from 1"),
        ("label", {"verdict": "agree", "reason": "bored"}, "reason", "not one of the list"),
        ("label", {"verdict": "agree", "comment": "x" * 5000}, "comment", "shorten it"),
        ("label", {"verdict": "comment", "comment": " "}, "comment", "Write the comment"),
        ("step", {"verdict": "override", "choice": "a"}, "choice", "has no response A or B"),
    ],
)
def test_it_refuses_a_verdict_that_does_not_hold_together(
    made: FinishedRun, kind: str, said: dict[str, Any], field: str, words: str
) -> None:
    label = made.labels[0]
    meant = {"ai": label.ai_choice, "other": other(label)}
    said = {**said, "choice": meant.get(said.get("choice", ""), said.get("choice", ""))}
    item: AILabel | TraceStep = label if kind == "label" else made.steps[0]
    with pytest.raises(AuditRefused, match=words) as caught:
        record_audit(user=engineer(), audit_id=uuid4(), item=item, said=Verdict(**said))
    assert caught.value.field == field
    assert not Audit.objects.exists() and not LedgerEntry.objects.filter(verb="audit.record").exists()
