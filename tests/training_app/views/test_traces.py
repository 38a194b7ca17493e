from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from tests.training_app import factories
from tests.training_app.factories import FinishedRun
from tests.training_app.queue_scenes import queue_of
from tests.training_app.views.conftest import Queries
from training_app.models import Adjudication, Audit, Trace, TraceStep

pytestmark = pytest.mark.django_db


def url_of(trace: Trace) -> str:
    return reverse("training:trace", args=[trace.pk])


def audit_url(step: TraceStep) -> str:
    return reverse("training:audit_step", args=[step.pk])


def said(**changes: Any) -> dict[str, Any]:
    return {"idempotency_key": str(uuid.uuid4())} | changes


def test_the_list_explains_itself_when_it_is_empty(reader: Client) -> None:
    assert "No traces yet" in reader.get("/audit/traces/").content.decode()


def test_the_list_shows_prompt_principles_flags_and_verdicts(
    auditor: Client, jonas: User, finished: FinishedRun
) -> None:
    Audit.objects.create(auditor=jonas, step=finished.steps[0], verdict="override", blind=False)
    page = auditor.get("/audit/traces/").content.decode()
    assert "no change" in page
    assert "1 override" in page
    assert "answered, not revised" in page
    assert url_of(finished.traces[0]) in page


def test_the_list_filters_by_everything_in_the_url(auditor: Client, jonas: User, finished: FinishedRun) -> None:
    Audit.objects.create(auditor=jonas, step=finished.steps[0], verdict="agree", blind=False)
    Audit.objects.create(auditor=jonas, step=finished.steps[1], verdict="agree", blind=False)
    first, second, helpful = finished.traces[0], finished.traces[1], finished.traces[-1]
    for query, shown in {
        "": (True, True, True), "audit=waiting": (False, True, False), "audit=mine": (True, False, False),
        "flag=no_op": (True, True, False), "flag=preamble": (False, False, False),
        f"run={finished.run.pk}": (True, True, True), "principle=privacy": (True, False, False),
    }.items():  # fmt: skip
        page = auditor.get(f"/audit/traces/?{query}").content.decode()
        assert tuple(url_of(trace) + "?" in page.replace('/"', '/?"') for trace in (first, second, helpful)) == shown, (
            query
        )


def test_a_filter_must_hold_for_one_and_the_same_step(auditor: Client, finished: FinishedRun) -> None:
    step = finished.steps[0]  # round 1, which has no flag
    page = auditor.get(f"/audit/traces/?principle={step.principle.key}&flag=no_op").content.decode()
    assert f"{url_of(finished.traces[0])}?" not in page


def test_the_list_takes_as_many_queries_for_many_traces(
    auditor: Client, ada: User, finished: FinishedRun, queries: Queries
) -> None:
    few = queries(auditor, "/audit/traces/")
    factories.finished_run(ada, finished.run.version, red_team=factories.RED_TEAM * 3)
    assert queries(auditor, "/audit/traces/") == few


def test_the_page_shows_every_round_with_its_principle_diff_and_wording(reader: Client, finished: FinishedRun) -> None:
    trace = finished.traces[0]
    page = reader.get(url_of(trace)).content.decode()
    assert "Round 1" in page and "Round 2" in page
    assert "against the initial response" in page and "against round 1" in page
    assert "<ins>" in page and "<del>" in page
    assert "RevisionRequest" in page
    assert "The revision repeats the text it was asked to revise." in page
    for step in finished.steps[:2]:
        assert reverse("constitutions:principle", args=["harmless-assistant", 1, step.principle.key]) in page


def test_a_helpful_trace_says_why_it_has_no_rounds(reader: Client, finished: FinishedRun) -> None:
    assert "nothing to revise" in reader.get(url_of(finished.traces[-1])).content.decode()


def test_readers_see_no_form_and_cannot_post(reader: Client, engineer: Client, finished: FinishedRun) -> None:
    for client in (reader, engineer):
        assert "idempotency_key" not in client.get(url_of(finished.traces[0])).content.decode()
        assert client.post(audit_url(finished.steps[0]), said(verdict="agree")).status_code == 403
    assert not Audit.objects.exists()


def test_a_verdict_is_saved_once_and_leads_to_the_next_round_then_the_next_trace(
    auditor: Client, jonas: User, finished: FinishedRun
) -> None:
    trace, (first, second) = finished.traces[1], finished.steps[2:4]
    message = said(verdict="agree", critique_fair="yes", revision_better="no", confidence="2")
    for _ in range(2):
        assert auditor.post(audit_url(first), message)["Location"] == f"{url_of(trace)}#s2"
    audit = Audit.objects.get()
    assert (audit.auditor, audit.step, audit.verdict, audit.blind) == (jonas, first, "agree", False)
    assert (audit.critique_fair, audit.revision_better, audit.confidence) == (True, False, 2)
    response = auditor.post(audit_url(second), said(verdict="override", reason="misread"))
    assert response["Location"] == url_of(finished.traces[0])


def test_only_the_first_waiting_round_has_keys(auditor: Client, finished: FinishedRun) -> None:
    page = auditor.get(url_of(finished.traces[0])).content.decode()
    assert page.count('data-key="a"') == 1
    auditor.post(audit_url(finished.steps[0]), said(verdict="agree"))
    page = auditor.get(url_of(finished.traces[0])).content.decode()
    assert page.count('data-key="a"') == 1
    assert "Change my verdict on round 1" in page


def test_a_refused_verdict_keeps_what_was_typed(auditor: Client, finished: FinishedRun) -> None:
    response = auditor.post(audit_url(finished.steps[1]), said(reason="taste", comment="half a thought"))
    page = response.content.decode()
    assert response.status_code == 422
    assert "Nothing was saved" in page
    assert 'value="half a thought"' in page
    assert not Audit.objects.exists()


def test_the_page_takes_as_many_queries_for_many_rounds(
    auditor: Client, jonas: User, finished: FinishedRun, queries: Queries
) -> None:
    trace, step = finished.traces[0], finished.steps[0]
    few = queries(auditor, url_of(trace))
    for number in range(3, 7):
        TraceStep.objects.create(
            trace=trace, round=number, principle=step.principle, critique_request="c", revision_request="r"
        )
        Audit.objects.create(auditor=jonas, step=step, verdict="agree", blind=False)
    assert queries(auditor, url_of(trace)) == few


def test_each_round_says_what_verdicts_come_to_unless_it_is_to_be_judged(
    reader: Client, auditor: Client, ada: User, jonas: User, finished: FinishedRun
) -> None:
    step = finished.steps[0]
    page = reverse("training:trace", args=[step.trace_id])
    Adjudication.objects.create(adjudicator=ada, step=step, verdict="override", note="Read twice")
    for client in (reader, auditor):
        text = client.get(page).content.decode()
        assert "final: overridden" in text and "by Ada Osei, who had the last word" in text and "Read twice" in text
    queue_of("steps", people=(jonas,))
    assert "who had the last word" not in auditor.get(page).content.decode()
