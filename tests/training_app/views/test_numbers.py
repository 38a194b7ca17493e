"""Pages of the numbers over audits."""

from __future__ import annotations

from datetime import date
from uuid import uuid4

import pytest
from django.contrib.auth.models import Group, User
from django.core.cache import cache
from django.test import Client
from django.urls import reverse

from constitutions_app.access import Role
from tests.training_app import factories
from tests.training_app.factories import FinishedRun, judge_evaluation
from tests.training_app.queue_scenes import queue_of
from tests.training_app.views.conftest import Queries
from training_app import tasks
from training_app.actions import record_audit
from training_app.actions.record_audit import Verdict
from training_app.models import AILabel, Audit, Comparison, NumbersReport
from training_app.numbers import keeping, report
from training_app.views.numbers import weeks_plot

pytestmark = pytest.mark.django_db

PAGES = tuple(reverse(f"training:{name}") for name in ("numbers", "numbers_principles", "numbers_people"))


@pytest.fixture(autouse=True)
def fresh() -> None:
    cache.clear()


def overrides(user: User, label: AILabel) -> None:
    choice = "b" if label.ai_choice == "a" else "a"
    record_audit(user=user, audit_id=uuid4(), item=label, said=Verdict("override", choice=choice))


def test_everybody_with_a_role_reads_them_and_nobody_else(
    reader: Client, stranger: Client, nobody: Client, finished: FinishedRun, jonas: User
) -> None:
    overrides(jonas, finished.labels[0])
    for url in PAGES:
        assert reader.get(url).status_code == 200
        assert stranger.get(url).status_code == 403
        assert nobody.get(url).status_code == 302
    assert "Gwet AC1" in reader.get(PAGES[0]).content.decode()
    assert "Jonas Weber" in reader.get(PAGES[2]).content.decode()


def test_what_is_missing_is_said_in_words(reader: Client, finished: FinishedRun, jonas: User) -> None:
    assert "Nobody has judged anything here yet" in reader.get(PAGES[0]).content.decode()
    overrides(jonas, finished.labels[0])
    page = reader.get(f"{PAGES[0]}?run={finished.run.number}").content.decode()
    assert "no item was rated twice" in page and "nan" not in page.lower().replace("finance", "")
    assert "an interval needs at least 20 items" in page
    assert "No item was judged by two people yet" in page and "Make such a queue" not in page
    assert '<span class="nowrap">0% <span' in page, "raw agreement is a share, as everywhere in percent"


def test_the_scope_stands_in_the_address(reader: Client, finished: FinishedRun, jonas: User) -> None:
    overrides(jonas, finished.labels[0])
    page = reader.get(f"{PAGES[0]}?tag=%3Cscript%3E&since=2026-01-01").content.decode()
    assert "Nobody has judged" in page and "<script>" not in page.split("</head>")[1].replace("<script ", "")
    assert 'value="2026-01-01"' in page and "tag=%3Cscript%3E&amp;since=2026-01-01" in page


def test_a_judge_stands_beside_people_and_human_comparisons(
    reader: Client, finished: FinishedRun, jonas: User, ada: User
) -> None:
    base = finished.labels[0]
    human = Comparison.objects.create(
        source="human", prompt_set=factories.prompt_set("comparisons", []), key="hh-1", prompt_text="Why?",
        response_a="Because.", response_b="No.", human_choice="a",
    )  # fmt: skip
    values = {field.attname: getattr(base, field.attname) for field in AILabel._meta.concrete_fields}
    AILabel.objects.create(**values | {"id": None, "comparison_id": human.pk, "p_a": 0.9})
    overrides(jonas, base)
    judge_evaluation(ada)
    page = reader.get(PAGES[2]).content.decode()
    assert "of 1 label" in page and "evals.jsonl" in page and "62%" in page and "of 32" in page


def test_a_principle_leads_to_its_words_with_its_evidence(
    engineer: Client, auditor: Client, finished: FinishedRun, jonas: User, ada: User
) -> None:
    label = finished.labels[0]
    cited = factories.cited(label)
    url = reverse("training:numbers_principle", args=[cited.pk])
    overrides(ada, label)
    page = engineer.get(url).content.decode()
    assert f"Label {label.pk}" in page and "Edit this principle" not in page  # engineers do not write
    queue_of("labels")
    cache.clear()
    assert f"Label {label.pk}" not in auditor.get(url).content.decode()  # who has yet to judge it blind is not told
    overrides(jonas, label)
    assert f"Label {label.pk}" in auditor.get(url).content.decode()
    jonas.groups.add(Group.objects.get(name=Role.AUTHOR))
    cache.clear()
    assert f"?evidence={cited.pk}" in auditor.get(url).content.decode()
    assert auditor.get(reverse("training:numbers_principle", args=[10**6])).status_code == 404


def test_weeks_without_verdicts_take_their_room() -> None:
    rate = {"value": 0.5, "interval": [0.2, 0.8]}
    drawn = weeks_plot({"weeks": [{"week": day, "overridden": rate} for day in ("2026-01-05", "2026-02-02")]})
    assert drawn is not None and [row.cells for row in drawn.rows] == [("50 [20, 80]",)] * 2
    assert drawn.title == "Overridden in percent, week 1 (5 Jan 2026) to 5 (2 Feb 2026)"


def test_drift_is_told_in_points_with_a_sentence_and_old_figures_without_one(
    reader: Client, finished: FinishedRun, jonas: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    overrides(jonas, finished.labels[0])
    assert "Whether it drifted cannot be said: all verdicts are of the last" in reader.get(PAGES[0]).content.decode()
    days = [(date(2026, month, 1), place < share) for month, share in ((3, 10), (9, 40)) for place in range(100)]
    found = report.drift_data(days)
    for told, sentence in ((found, True), ({name: found[name] for name in ("value", "interval", "note")}, False)):
        cache.clear()
        monkeypatch.setattr(report, "drift_data", lambda days, told=told: told)
        page = reader.get(PAGES[0]).content.decode()
        assert '+30.0 points <span class="quiet">[+18.' in page
        assert ("It drifted up (p &lt; 0.001). Overridden: 40.0% of 100" in page) == sentence


def test_newer_figures_are_asked_for(reader: Client, finished: FinishedRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "AT_ONCE", {Audit: 0, AILabel: 0})
    monkeypatch.setattr(tasks.compute_numbers, "apply_async", lambda **options: None)
    assert "Compute them" in reader.get(f"{PAGES[0]}?run=1").content.decode()
    sent = reader.post(reverse("training:numbers_refresh"), {"run": "1", "back": f"{PAGES[0]}?run=1"})
    assert sent["Location"] == f"{PAGES[0]}?run=1"
    assert NumbersReport.objects.get().scope == "run=1"
    assert "being computed" in reader.get(f"{PAGES[0]}?run=1").content.decode()
    assert reader.post(reverse("training:numbers_refresh"), {"back": "//elsewhere.example"})["Location"] == PAGES[0]


def test_a_kept_report_costs_the_same_however_much_it_is_about(
    reader: Client, finished: FinishedRun, jonas: User, queries: Queries, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "AT_ONCE", {Audit: 0, AILabel: 0})
    monkeypatch.setattr(tasks.compute_numbers, "apply_async", lambda **options: None)
    overrides(jonas, finished.labels[0])
    reader.post(reverse("training:numbers_refresh"))
    tasks.compute_numbers()
    before = [queries(reader, url) for url in PAGES]
    for label in finished.labels[1:]:
        overrides(jonas, label)
    reader.post(reverse("training:numbers_refresh"))
    tasks.compute_numbers()
    assert [queries(reader, url) for url in PAGES] == before
    assert max(before) <= 12
