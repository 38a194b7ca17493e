"""Pages of second opinions, and of what people changed in a build."""

from __future__ import annotations

from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from constitutions_app.access import Role
from tests.training_app.factories import FinishedRun
from tests.training_app.queue_scenes import queue_of
from tests.training_app.views.conftest import Queries, signed_in, somebody
from training_app.actions import build_dataset, record_audit
from training_app.actions.record_audit import Verdict
from training_app.models import Adjudication, AILabel, DatasetBuild, TraceStep

pytestmark = pytest.mark.django_db

LIST = reverse("training:disagreements")


def disputed(item: AILabel | TraceStep, *people: User) -> None:
    choice = "" if isinstance(item, TraceStep) else "b" if item.ai_choice == "a" else "a"
    said = [Verdict("override", choice=choice, comment="<script>no</script>"), Verdict("agree")]
    for user, one in zip(people, said, strict=True):
        record_audit(user=user, audit_id=uuid4(), item=item, said=one)


def test_what_the_reader_has_yet_to_judge_is_left_out(
    reader: Client, auditor: Client, stranger: Client, finished: FinishedRun, ada: User
) -> None:
    mei = somebody("mei", Role.AUDITOR, "Mei Lin")
    label = finished.labels[0]
    disputed(label, mei, ada)
    disputed(finished.steps[0], mei, ada)
    assert f"Label {label.pk}<" in auditor.get(LIST).content.decode()  # no queue can give it to him
    queue_of("labels")
    page = auditor.get(LIST).content.decode()
    assert f"Label {label.pk}<" not in page and "Left out: 1 that" in page
    url = reverse("training:adjudicate_label", args=[label.pk])
    page = auditor.get(url).content.decode()
    assert "You have yet to judge it" in page and "Mei Lin" not in page and "AI preferred" not in page
    sent = {"idempotency_key": str(uuid4()), "outcome": "neither", "note": "So."}
    assert auditor.post(url, sent).status_code == 403 and not Adjudication.objects.exists()
    assert f"Label {label.pk}<" in reader.get(LIST).content.decode()
    assert stranger.get(LIST).status_code == 403
    assert f"Trace {finished.steps[0].trace_id}, round" in auditor.get(f"{LIST}?kind=steps").content.decode()


def test_somebody_who_took_no_side_decides(
    auditor: Client, reader: Client, finished: FinishedRun, jonas: User, ada: User
) -> None:
    label = finished.labels[0]
    mei = somebody("mei", Role.AUDITOR, "Mei Lin")
    disputed(label, mei, ada)
    url = reverse("training:adjudicate_label", args=[label.pk])
    sent = {"idempotency_key": str(uuid4()), "outcome": "neither", "note": "Both <b>tell</b> too much."}
    assert reader.post(url, sent).status_code == 403
    assert signed_in(mei).post(url, sent).status_code == 403
    assert "Decide</button>" not in signed_in(mei).get(url).content.decode()
    page = auditor.get(url).content.decode()
    assert "Decide</button>" in page and "&lt;script&gt;no" in page and "agreement 0%" in page
    refused = auditor.post(url, sent | {"note": " "})
    assert refused.status_code == 422 and not Adjudication.objects.exists()
    assert auditor.post(url, sent)["Location"] == LIST
    assert Adjudication.objects.get().note == "Both <b>tell</b> too much."
    page = reader.get(url).content.decode()
    assert "adjudicated" in page and "Both &lt;b&gt;tell" in page


def test_a_step_is_decided_too(auditor: Client, finished: FinishedRun, ada: User) -> None:
    step = finished.steps[0]
    disputed(step, somebody("mei", Role.AUDITOR, "Mei Lin"), ada)
    url = reverse("training:adjudicate_step", args=[step.pk])
    sent = {"idempotency_key": str(uuid4()), "outcome": "override", "note": "It helps to watch."}
    assert auditor.post(url, sent)["Location"] == f"{LIST}?kind=steps"
    assert Adjudication.objects.get().verdict == "override"


def test_the_list_costs_the_same_however_long(
    reader: Client, finished: FinishedRun, jonas: User, ada: User, queries: Queries
) -> None:
    disputed(finished.labels[0], jonas, ada)
    before = queries(reader, LIST)
    for label in finished.labels[1:]:
        disputed(label, jonas, ada)
    assert queries(reader, LIST) == before


def built_with(finished: FinishedRun, stage: str, **options: object) -> list[DatasetBuild]:
    run = finished.run
    run.config[stage] |= options
    run.save(update_fields=["config"])
    return list(build_dataset(user=run.created_by, run=run, stage=stage))


def pages_of(client: Client, built: list[DatasetBuild]) -> str:
    return "".join(client.get(reverse("training:build_changes", args=[one.pk])).content.decode() for one in built)


def test_what_people_changed_is_shown_before_and_after(
    reader: Client, finished: FinishedRun, jonas: User, queries: Queries
) -> None:
    changed, other = finished.labels[:2]
    choice = "b" if changed.ai_choice == "a" else "a"
    record_audit(user=jonas, audit_id=uuid4(), item=changed, said=Verdict("override", choice=choice, comment="<i>hm"))
    built = built_with(finished, "reward")
    page = pages_of(reader, built)
    after = "1.00" if choice == "a" else "0.00"
    assert f"Label {changed.pk}<" in page and f"Label {other.pk}<" not in page
    assert f"p(A) {changed.p_a_clamped:.2f} → p(A) {after}" in page and "&lt;i&gt;hm" in page
    untouched = pages_of(reader, built_with(finished, "sft"))
    assert "Nobody changed anything" in untouched


def test_what_the_reader_has_yet_to_judge_is_not_told_by_a_build(
    auditor: Client, finished: FinishedRun, ada: User
) -> None:
    label = finished.labels[0]
    choice = "b" if label.ai_choice == "a" else "a"
    record_audit(user=ada, audit_id=uuid4(), item=label, said=Verdict("override", choice=choice))
    built = built_with(finished, "reward")
    assert f"Label {label.pk}<" in pages_of(auditor, built)
    queue_of("labels")
    page = pages_of(auditor, built)
    assert f"Label {label.pk}<" not in page and "1 item left out of this page" in page


def test_what_people_had_left_out_is_shown(reader: Client, finished: FinishedRun, jonas: User) -> None:
    label, step = finished.labels[0], finished.steps[0]
    choice = "b" if label.ai_choice == "a" else "a"
    record_audit(user=jonas, audit_id=uuid4(), item=label, said=Verdict("override", choice=choice))
    record_audit(user=jonas, audit_id=uuid4(), item=step, said=Verdict("override"))
    page = pages_of(reader, built_with(finished, "reward", overridden_labels="drop"))
    assert f"Label {label.pk}<" in page and "→ left out" in page
    page = pages_of(reader, built_with(finished, "sft"))
    assert f"Trace {step.trace_id}, round {step.round}<" in page and "trained on → left out" in page


def test_a_lighter_row_says_its_weight(reader: Client, finished: FinishedRun, jonas: User) -> None:
    label = finished.labels[0]
    choice = "b" if label.ai_choice == "a" else "a"
    record_audit(user=jonas, audit_id=uuid4(), item=label, said=Verdict("override", choice=choice))
    page = pages_of(reader, built_with(finished, "reward", overridden_labels="weight", overridden_weight=0.25))
    assert f"p(A) {label.p_a_clamped:.2f}, weight 1 → p(A) {label.p_a_clamped:.2f}, weight 0.25" in page
