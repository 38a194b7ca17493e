from __future__ import annotations

from io import StringIO

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.training_app import factories
from training_app.disagreements import agreement_of
from training_app.explorer import rebuild
from training_app.explorer.tokens import FINALS, Fact, cover_ids, cover_p, of_text, thousandth, token, value_of
from training_app.models import Adjudication, Audit, AuditFacts, ComparisonFacts, LabelFacts, RunTally, StepFacts
from training_app.models.facts import Judged
from training_app.verdicts import final_of

pytestmark = pytest.mark.django_db
SAID = (("agree", ""), ("override", "a"), ("override", "b"), ("override", "neither"), ("comment", ""),
        ("last", "agree"), ("last", "override"))  # fmt: skip


@pytest.fixture
def finished() -> factories.FinishedRun:
    return factories.finished_run(factories.person("ada"))


def test_every_label_step_and_comparison_is_described_when_it_is_written(finished: factories.FinishedRun) -> None:
    label = finished.labels[0]
    facts = LabelFacts.objects.get(label=label)
    assert facts.p_a == label.p_a
    assert set(facts.facets) >= {
        token(Fact.VERSION, finished.run.version_id), token(Fact.PRINCIPLE, factories.cited(label).pk),
        token(Fact.JUDGE, label.judge_id), token(Fact.RUN, finished.run.number), token(Fact.STATE, 0),
        token(Fact.SAME_POSITION, label.same_position), of_text(Fact.TAG, "everyday"),
        token(Fact.P_1000, thousandth(label.p_a)), token(Fact.BLOCK_10, label.pk >> 10),
    }  # fmt: skip
    step = finished.steps[1]
    assert of_text(Fact.FLAG, "no_op") in StepFacts.objects.get(step=step).facets
    assert token(Fact.PRINCIPLE, step.principle_id) in StepFacts.objects.get(step=step).facets
    words = ComparisonFacts.objects.get(comparison=label.comparison).words
    assert "'curtain'" in str(words)


@pytest.mark.parametrize(("first", "last"), [(1, 1), (5, 2000), (1023, 1024), (1, 5_000_000), (77_777, 8_000_001)])
def test_blocks_cover_a_stretch_of_ids_with_few_tokens(first: int, last: int) -> None:
    covered = set(cover_ids(first, last))
    assert len(covered) < 80
    with connection.cursor() as cursor:
        for number in (first, last, (first + last) // 2):
            cursor.execute("SELECT explorer_blocks(%s)", [number])
            assert covered & set(cursor.fetchone()[0])
        for number in (last + 1024, *([first - 1024] if first > 1024 else [])):
            cursor.execute("SELECT explorer_blocks(%s)", [number])
            assert not covered & set(cursor.fetchone()[0])


def test_blocks_of_p_are_the_same_in_the_database() -> None:
    with connection.cursor() as cursor:
        for p in (0.0, 0.0004, 0.29, 0.57, 0.999, 1.0):
            cursor.execute("SELECT explorer_likelihood(%s)", [p])
            found = set(cursor.fetchone()[0])
            assert token(Fact.P_1000, thousandth(p)) in found
            assert set(cover_p(thousandth(p), thousandth(p))) <= found
    assert cover_p(0, 999) == [token(Fact.P_10, tenth) for tenth in range(10)]


def test_of_each_person_the_newest_verdict_counts(finished: factories.FinishedRun) -> None:
    label, jonas, mira = finished.labels[0], factories.person("jonas"), factories.person("mira")

    def state(by: User, verdict: str, choice: str = "", comment: str = "") -> int:
        Audit.objects.create(
            auditor=by, label=label, verdict=verdict, choice=choice, comment=comment, blind=False
        )  # fmt: skip
        facts = LabelFacts.objects.get(label=label)
        (found,) = [one & 0xFFFFFF for one in facts.facets if one >> 24 == Fact.STATE]
        return found

    assert state(jonas, "comment", comment="unsure") == 0
    assert state(jonas, "agree") == 1
    assert state(mira, "override", "b") == 3
    assert state(jonas, "override", "b") == 2
    assert state(jonas, "override", "neither") == 3
    facts = LabelFacts.objects.get(label=label)
    assert (facts.agrees, facts.overrides, facts.audits) == (0, 2, 5)
    assert {token(Fact.AUDITOR, jonas.pk), token(Fact.AUDITOR, mira.pk), token(Fact.COMMENTED)} <= set(facts.facets)


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 2), st.integers(0, 6), st.booleans()), max_size=12))
def test_counters_equal_a_full_scan_after_any_audits(
    finished: factories.FinishedRun, said: list[tuple[int, int, int, bool]]
) -> None:
    people = [User.objects.get_or_create(username=name)[0] for name in ("one", "two", "three")]
    for item, person, what, on_step in said:
        verdict, choice = SAID[what]
        row = {"step": finished.steps[item]} if on_step else {"label": finished.labels[item]}
        if verdict == "last":
            last = "" if on_step else "a" if choice == "override" else "b"
            Adjudication.objects.create(adjudicator=people[person], verdict=choice, choice=last, note="x", **row)
            continue
        if on_step:
            choice = ""
        Audit.objects.create(auditor=people[person], verdict=verdict, choice=choice, blind=False, comment="x", **row)
    assert rebuild.check(mend=False) == {"labels": 0, "steps": 0, "comparisons": 0, "audits": 0, "runs": 0}
    for facts in (*LabelFacts.objects.all(), *StepFacts.objects.all()):
        _equals_a_scan(facts)


def _equals_a_scan(facts: Judged) -> None:
    item = {"label": facts.label_id} if isinstance(facts, LabelFacts) else {"step": facts.pk}
    verdicts = Audit.objects.filter(**item).exclude(verdict="comment").order_by("created_at", "pk")
    newest = {audit.auditor_id: audit for audit in verdicts}
    outcomes = {(audit.verdict, audit.choice if audit.verdict == "override" else "") for audit in newest.values()}
    agrees = sum(audit.verdict == "agree" for audit in newest.values())
    assert (facts.agrees, facts.overrides) == (agrees, len(newest) - agrees)
    expected = 0 if not outcomes else 3 if len(outcomes) > 1 else 1 if agrees else 2
    final = final_of(Audit.objects.filter(**item).order_by("created_at", "pk"), last := list(
        Adjudication.objects.filter(**item).order_by("created_at", "pk")))  # fmt: skip
    if last:
        expected = 1 if last[-1].verdict == "agree" else 2
    assert value_of(Fact.STATE, facts.facets) == expected
    assert value_of(Fact.FINAL, facts.facets) == (FINALS.index(final.source) if final else None)
    split = len(outcomes) > 1
    assert facts.agreement == (pytest.approx(agreement_of(newest.values())) if split else None)
    if final and (last or not split):
        assert facts.choice == final.choice


def test_the_command_finds_and_mends_what_differs(finished: factories.FinishedRun) -> None:
    Audit.objects.create(auditor=finished.run.created_by, label=finished.labels[0], verdict="agree", blind=False)
    LabelFacts.objects.filter(label=finished.labels[0]).update(agrees=7)
    StepFacts.objects.filter(step=finished.steps[0]).delete()
    AuditFacts.objects.update(facets=[])
    RunTally.objects.update(labels=3)
    with pytest.raises(CommandError, match="Nothing was changed"):
        call_command("rebuild_explorer", "--check", stdout=StringIO())
    out = StringIO()
    call_command("rebuild_explorer", stdout=out)
    assert out.getvalue().splitlines() == [
        "labels: 1 differ", "steps: 1 differ", "comparisons: all agree", "audits: 1 differ", "runs: 1 differ",
    ]  # fmt: skip
    assert LabelFacts.objects.get(label=finished.labels[0]).agrees == 1
    assert set(rebuild.check(mend=False).values()) == {0}
