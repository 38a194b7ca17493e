"""Figures over audits: what they come to, when a page computes them and when a worker does."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.http import QueryDict
from django.utils import timezone

from tests.training_app import factories
from tests.training_app.factories import FinishedRun
from training_app import tasks
from training_app.actions import ask_for_numbers, record_audit
from training_app.actions.record_audit import Verdict
from training_app.models import AILabel, Audit, NumbersReport
from training_app.numbers import keeping, report
from training_app.numbers.keeping import numbers_of, renew, waits
from training_app.numbers.scope import Scope
from training_app.sweeper import Sweeper

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def fresh() -> None:
    cache.clear()


@pytest.fixture
def done() -> FinishedRun:
    return factories.finished_run(factories.person("ada", name="Ada Osei"))


@pytest.fixture
def people() -> list[User]:
    return [factories.person(name, name=name.capitalize()) for name in ("jonas", "olu", "mei")]


@pytest.fixture
def many(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if there were too much to read while a page waits."""
    monkeypatch.setattr(keeping, "AT_ONCE", {Audit: 0, AILabel: 0})
    monkeypatch.setattr(tasks.compute_numbers, "apply_async", lambda **options: None)


def says(user: User, label: AILabel, choice: str) -> None:
    verdict = "agree" if choice == (label.ai_choice or "neither") else "override"
    record_audit(user=user, audit_id=uuid4(), item=label, said=Verdict(verdict, choice=choice))


def other(label: AILabel) -> str:
    return "b" if label.ai_choice == "a" else "a"


def judged(done: FinishedRun, people: Sequence[User]) -> None:
    """Jonas agrees with the judge on all labels but the first; Olu on the first two only; Mei judges one step."""
    for place, label in enumerate(done.labels):
        says(people[0], label, other(label) if place == 0 else label.ai_choice)
    for place, label in enumerate(done.labels[:4]):
        says(people[1], label, label.ai_choice if place < 2 else other(label))
    step = done.steps[0]
    record_audit(user=people[2], audit_id=uuid4(), item=step, said=Verdict("override", comment="No change needed."))


def test_the_figures_of_a_run(done: FinishedRun, people: list[User]) -> None:
    judged(done, people)
    data, audits, _ = report.compute(Scope())
    n = len(done.labels)
    assert audits == n + 4 + 1
    whole = data["whole"]
    # Between two who say differently the last one counts: Olu's word on labels 1, 3 and 4.
    assert whole["judged"] == n + 1
    assert whole["overridden"]["value"] == pytest.approx(3 / (n + 1))
    assert whole["judge"]["raw"]["value"] == pytest.approx((n - 2) / n)
    assert whole["people"]["items"] == 4 and whole["people"]["raw"]["value"] == pytest.approx(0.25)
    assert whole["people_on_steps"]["alpha"] == {
        "value": None, "interval": None, "n": 0, "note": "no item was rated twice", "more": None,
    }  # fmt: skip
    jonas, olu, mei = (next(one for one in data["auditors"] if one["pk"] == user.pk) for user in people)
    assert (jonas["verdicts"], olu["verdicts"], mei["verdicts"]) == (n, 4, 1)
    assert jonas["overrides"]["value"] == pytest.approx(1 / n)
    assert olu["others"]["raw"]["value"] == pytest.approx(0.25)
    assert sum(one["labels"] for one in data["principles"]) == n
    assert sum(one["judged"] for one in data["principles"]) == n + 1
    [week] = data["weeks"]
    assert (week["verdicts"], week["overridden"]["n"]) == (n + 5, n + 5)
    assert "nothing to compare" in data["drift"]["note"]
    assert [tag["name"] for tag in data["tags"]] == ["everyday"]
    assert data["calibration"]["brier"]["n"] == n


def test_a_scope_reads_only_what_it_names(done: FinishedRun, people: list[User]) -> None:
    judged(done, people)
    principle = factories.cited(done.labels[0])
    one = report.compute(Scope(principle=principle.pk))[0]
    assert one["whole"]["judge"]["items"] == sum(label.principle_id == principle.pk for label in done.labels)
    assert report.compute(Scope(auditor=people[1].pk))[1] == 4
    assert report.compute(Scope(tag="no such tag"))[1] == 0
    assert report.compute(Scope(run=done.run.number + 1))[1] == 0
    assert report.compute(Scope(until=date(2020, 1, 1)))[1] == 0
    assert report.compute(Scope(judge=done.labels[0].judge_id))[1] == len(done.labels) + 4  # a judge has no steps


def test_two_principles_on_the_same_comparison(done: FinishedRun) -> None:
    first, second = list(done.run.version.principles.all()[:2])
    base = done.labels[0]
    assert base.principle_id == first.pk
    values = {field.attname: getattr(base, field.attname) for field in AILabel._meta.concrete_fields}
    AILabel.objects.create(**values | {"id": None, "principle_id": second.pk, "p_a": 1 - base.p_a})
    [pair] = report.compute(Scope())[0]["pairs"]
    assert {pair["one"]["pk"], pair["other"]["pk"]} == {first.pk, second.pk}
    assert (pair["n"], pair["opposed"]["value"], pair["alike"]) == (1, 1.0, False)


def test_principles_that_nothing_cites_are_named(done: FinishedRun) -> None:
    AILabel.objects.get(pk=done.labels[0].pk)
    used = {label.principle_id for label in done.labels} | {step.principle_id for step in done.steps}
    named = {one["pk"] for one in report.compute(Scope())[0]["never_cited"]}
    assert named == set(done.run.version.principles.values_list("pk", flat=True)) - used


def test_a_bad_record_is_one_whose_interval_lies_above_one_in_five() -> None:
    assert report.is_bad({"overridden": {"interval": [0.21, 0.6]}})
    assert not report.is_bad({"overridden": {"interval": [0.1, 0.6]}})
    assert not report.is_bad({"overridden": {"interval": None}})


TODAY = date(2026, 11, 27)


def days(ago: int, overridden: int, given: int) -> list[tuple[date, bool]]:
    return [(TODAY - timedelta(days=ago), place < overridden) for place in range(given)]


def test_drift_compares_the_newest_four_weeks_with_all_before() -> None:
    found = report.drift_data(days(60, 10, 100) + days(0, 40, 100))
    assert (found["value"], found["newer"]["value"], found["older"]["n"]) == (pytest.approx(0.3), 0.4, 100)
    assert found["interval"][0] > 0.15 and found["p"] < 0.001
    shares = "Overridden: 40.0% of 100 verdicts of the newest four weeks, 10.0% of 100 before."
    assert found["words"] == f"It drifted up (p < 0.001). {shares}"
    found = report.drift_data(days(60, 40, 100) + days(0, 25, 100))
    assert found["words"].startswith("It drifted down (p = 0.024).") and found["interval"][1] < 0
    found = report.drift_data(days(60, 10, 100) + days(0, 12, 100))
    assert found["words"].startswith("No drift can be told from chance (p = 0.651).") and found["interval"][0] < 0


def test_a_drift_that_cannot_be_said_says_why() -> None:
    nothing, new = report.drift_data([]), report.drift_data(days(0, 4, 9))
    assert (nothing["value"], nothing["p"], nothing["note"]) == (None, None, "there is no verdict yet")
    assert new["words"] == (
        "Whether it drifted cannot be said: all verdicts are of the last four weeks; there is nothing to compare."
    )
    few, none = report.drift_data(days(60, 2, 90) + days(0, 4, 9)), report.drift_data(days(60, 0, 90) + days(0, 0, 9))
    assert few["value"] is not None and few["p"] is None
    assert few["words"].startswith("Whether it drifted cannot be tested: fewer than 5 would be expected")
    assert "none of both are counted, so the rates are the same" in none["words"]


def test_a_scope_stands_in_the_address_in_one_way() -> None:
    scope = Scope.from_query(QueryDict("tag=money%20%26&until=2026-11-27&run=3&nonsense=1&version=x&judge=99999999999"))
    assert scope == Scope(run=3, tag="money &", until=date(2026, 11, 27))
    assert scope.to_query() == "run=3&tag=money+%26&until=2026-11-27"
    assert Scope.from_query(QueryDict(scope.to_query())) == scope
    assert Scope().to_query() == "" and Scope().digest != scope.digest


def test_little_is_computed_for_the_page(done: FinishedRun, people: list[User]) -> None:
    judged(done, people)
    found = numbers_of(Scope())
    assert found.is_live and found.audits == len(done.labels) + 5
    assert not NumbersReport.objects.exists()


def test_much_is_left_to_a_worker_and_kept(many: None, done: FinishedRun, people: list[User]) -> None:
    judged(done, people)
    assert numbers_of(Scope()).data is None
    ask_for_numbers(scope=Scope())
    ask_for_numbers(scope=Scope())
    assert numbers_of(Scope()).is_waiting and NumbersReport.objects.count() == 1
    assert renew() == 1 and renew() == 0
    found = numbers_of(Scope())
    assert found.data is not None and not found.is_waiting and not found.is_live
    assert found.audits == len(done.labels) + 5 and found.at is not None
    says(people[2], done.labels[0], "neither")
    assert numbers_of(Scope()).audits == found.audits  # until somebody asks again


def test_the_sweeper_asks_for_everything_once_there_are_newer_audits(
    many: None, done: FinishedRun, people: list[User]
) -> None:
    rung: list[str] = []

    def wake() -> bool:
        rung.append("numbers")
        return True

    sweeper = Sweeper(lambda _: False, wake_for_numbers=wake)
    judged(done, people)
    assert waits()
    sweeper.sweep()
    assert rung == ["numbers"]
    tasks.compute_numbers()
    assert not waits()
    NumbersReport.objects.update(computed_at=timezone.now() - timedelta(hours=1))
    assert not waits() or Audit.objects.filter(created_at__gt=timezone.now() - timedelta(hours=1)).exists()


def test_old_scopes_make_room(many: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "MOST_KEPT", 2)
    for number in range(4):
        ask_for_numbers(scope=Scope(run=number))
    ask_for_numbers(scope=Scope())
    assert NumbersReport.objects.count() == 3
