"""A scenario made of what the AI did, in one click."""

from __future__ import annotations

from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from constitutions_app.models import Scenario
from constitutions_app.templatetags.scenarios import scenario_origin
from tests.training_app.factories import FinishedRun
from training_app.actions import record_audit
from training_app.actions.record_audit import Verdict
from training_app.models import AILabel, TraceStep

pytestmark = pytest.mark.django_db


def of_label(label: AILabel) -> str:
    return reverse("training:scenario_from_label", args=[label.pk])


def of_step(step: TraceStep) -> str:
    return reverse("training:scenario_from_step", args=[step.pk])


def test_a_label_without_a_verdict_asks_which_response_should_win(auditor: Client, finished: FinishedRun) -> None:
    label = finished.labels[0]
    assert "Make a scenario" in auditor.get(reverse("training:label", args=[label.pk])).content.decode()
    answer = auditor.post(of_label(label))
    made = Scenario.objects.get()
    slug = finished.run.version.constitution.slug
    assert answer["Location"] == reverse("constitutions:edit_scenario", args=[slug, made.key])
    assert (made.prompt, made.response_a, made.response_b, made.expected) == (
        label.comparison.prompt_text, label.comparison.response_a, label.comparison.response_b, "",
    )  # fmt: skip
    assert label.principle and made.principles == [label.principle.key]
    assert (made.origin["kind"], made.origin["id"]) == ("label", label.pk)
    assert scenario_origin(made) == f'<a href="/audit/labels/{label.pk}/">AI label {label.pk}</a>'


def test_pressed_twice_it_makes_one(auditor: Client, finished: FinishedRun) -> None:
    first = auditor.post(of_label(finished.labels[0]))
    assert auditor.post(of_label(finished.labels[0]))["Location"] == first["Location"]
    assert Scenario.objects.count() == 1


def test_a_persons_choice_is_what_is_expected(auditor: Client, jonas: User, finished: FinishedRun) -> None:
    label = finished.labels[0]
    other = "b" if label.ai_choice == "a" else "a"
    said = Verdict("override", choice=other, comment="The other keeps the secret.")
    audit = record_audit(user=jonas, audit_id=uuid4(), item=label, said=said)
    answer = auditor.post(of_label(label))
    made = Scenario.objects.get()
    assert (made.expected, made.note) == (other, "The other keeps the secret.")
    assert made.origin["audit"] == str(audit.pk)
    assert answer["Location"] == reverse("constitutions:scenario", args=[made.constitution.slug, made.key])


@pytest.mark.parametrize(("better", "expected"), [(True, "b"), (False, "a")])
def test_a_step_sets_its_revision_against_what_stood_before(
    auditor: Client, jonas: User, finished: FinishedRun, better: bool, expected: str
) -> None:
    step = max((one for one in finished.steps), key=lambda one: one.round)
    record_audit(user=jonas, audit_id=uuid4(), item=step, said=Verdict("agree", revision_better=better))
    auditor.post(of_step(step))
    made = Scenario.objects.get()
    before = TraceStep.objects.filter(trace=step.trace, round=step.round - 1).first()
    assert (made.response_a, made.response_b) == (
        before.revision if before else step.trace.initial_response,
        step.revision,
    )
    assert (made.expected, made.origin["trace"]) == (expected, step.trace_id)


def test_readers_and_engineers_do_not_see_the_button(reader: Client, engineer: Client, finished: FinishedRun) -> None:
    for client in (reader, engineer):
        page = client.get(reverse("training:label", args=[finished.labels[0].pk])).content.decode()
        assert "Make a scenario" not in page
        assert client.post(of_label(finished.labels[0])).status_code == 403
    assert not Scenario.objects.exists()
