"""The last word on what people disagree about: who has it, what it needs, and what follows from it."""

from __future__ import annotations

from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import QueryDict

from constitutions_app.access import Role
from constitutions_app.models import LedgerEntry
from tests.constitutions_app.factories import make_person
from tests.training_app.factories import FinishedRun, finished_run
from training_app import verdicts
from training_app.access import get_label_to_adjudicate_for, get_step_to_adjudicate_for
from training_app.actions import adjudicate, build_dataset, record_audit
from training_app.actions.record_audit import Verdict
from training_app.disagreements import agreement_of, decided_ones, disputed, open_ones
from training_app.explorer import rebuild
from training_app.explorer.filters import Filters
from training_app.explorer.items import matching
from training_app.models import Adjudication, AILabel, Audit, DatasetItem, LabelFacts, RunAudits, TraceStep
from training_app.numbers import report
from training_app.numbers.scope import Scope
from training_app.refusals import AuditRefused
from training_app.verdicts import Source

pytestmark = pytest.mark.django_db


@pytest.fixture
def made() -> FinishedRun:
    return finished_run(make_person("zoe", Role.ADMIN))


@pytest.fixture
def sides() -> tuple[User, User, User]:
    ben, cleo, dan = (make_person(name, Role.AUDITOR) for name in ("ben", "cleo", "dan"))
    return ben, cleo, dan


def give(user: User, item: AILabel | TraceStep, verdict: str, choice: str = "") -> Audit:
    return record_audit(user=user, audit_id=uuid4(), item=item, said=Verdict(verdict, choice=choice))


def dispute(label: AILabel, sides: tuple[User, User, User]) -> str:
    """Ben overrides, Cleo agrees, later; returns the choice that overrides."""
    choice = "b" if label.ai_choice == "a" else "a"
    give(sides[0], label, "override", choice)
    give(sides[1], label, "agree")
    return choice


def test_the_last_word_wins_and_says_where_it_comes_from(made: FinishedRun, sides: tuple[User, User, User]) -> None:
    label = made.labels[0]
    choice = dispute(label, sides)
    before = verdicts.final_labels(made.run)[label.pk]
    assert (before.overrides, before.source, before.backing) == (False, Source.UNRESOLVED, 1)
    kept = adjudicate(user=sides[2], adjudication_id=uuid4(), item=label, outcome=choice, note="It follows somebody.")
    after = verdicts.final_labels(made.run)[label.pk]
    assert (after.overrides, after.choice, after.source, after.backing) == (True, choice, Source.ADJUDICATED, 2)
    assert after.adjudication == kept and after.audit is not None and after.audit.auditor == sides[0]
    again = label.ai_choice or "neither"
    adjudicate(user=sides[2], adjudication_id=uuid4(), item=label, outcome=again, note="On reflection.")
    assert not verdicts.final_labels(made.run)[label.pk].overrides
    assert LedgerEntry.objects.filter(verb="audit.adjudicate").count() == 2


def test_all_of_one_mind_is_unanimous(made: FinishedRun, sides: tuple[User, User, User]) -> None:
    give(sides[0], made.steps[0], "override")
    give(sides[1], made.steps[0], "override")
    final = verdicts.final_steps(made.run)[made.steps[0].pk]
    assert (final.source, final.backing, final.overrides) == (Source.UNANIMOUS, 2, True)


def test_it_needs_a_reason_an_outcome_and_something_to_decide(
    made: FinishedRun, sides: tuple[User, User, User]
) -> None:
    label, key = made.labels[0], uuid4()
    dispute(label, sides)
    for outcome, note, words in (
        ("a", "  ", "needs a note"),
        ("agree", "so", "response A"),
        ("a", "x" * 5000, "shorten"),
    ):
        with pytest.raises(AuditRefused, match=words):
            adjudicate(user=sides[2], adjudication_id=key, item=label, outcome=outcome, note=note)
    with pytest.raises(AuditRefused, match="stand"):
        adjudicate(user=sides[2], adjudication_id=key, item=made.steps[0], outcome="a", note="so")
    with pytest.raises(AuditRefused, match="Nobody has judged"):
        adjudicate(user=sides[2], adjudication_id=key, item=made.labels[1], outcome="a", note="so")
    assert not Adjudication.objects.exists()


def test_sent_twice_it_is_kept_once_and_an_id_belongs_to_one_item(
    made: FinishedRun, sides: tuple[User, User, User]
) -> None:
    one, other = made.labels[:2]
    dispute(one, sides)
    dispute(other, sides)
    key = uuid4()
    kept = [adjudicate(user=sides[2], adjudication_id=key, item=one, outcome="a", note="So.") for _ in range(2)]
    assert kept[0] == kept[1] and Adjudication.objects.count() == 1
    with pytest.raises(AuditRefused, match="another item"):
        adjudicate(user=sides[2], adjudication_id=key, item=other, outcome="a", note="So.")


def test_those_who_disagree_do_not_decide_and_admins_may(made: FinishedRun, sides: tuple[User, User, User]) -> None:
    label, step = made.labels[0], made.steps[0]
    dispute(label, sides)
    give(sides[0], step, "override")
    zoe = made.run.created_by
    give(zoe, label, "agree")
    for user in (sides[2], make_person("rev", Role.REVIEWER), zoe):
        assert get_label_to_adjudicate_for(user, label.pk) == label
        assert get_step_to_adjudicate_for(user, step.pk) == step
    for user in (sides[0], make_person("rita", Role.READER), make_person("eng", Role.ENGINEER)):
        with pytest.raises(PermissionDenied):
            get_label_to_adjudicate_for(user, label.pk)
        with pytest.raises(PermissionDenied):
            get_step_to_adjudicate_for(user, step.pk)


def test_the_widest_disagreement_comes_first(made: FinishedRun, sides: tuple[User, User, User]) -> None:
    wide, narrow, agreed = made.labels[:3]
    dispute(wide, sides)
    dispute(narrow, sides)
    give(sides[2], narrow, "agree")
    for user in sides:
        give(user, agreed, "agree")
    give(sides[0], made.steps[0], "override")
    give(sides[1], made.steps[0], "agree")
    reader = make_person("rita", Role.READER)
    found = open_ones("label", reader).items
    assert [one.item for one in found] == [wide, narrow]
    assert [one.agreement for one in found] == [0.0, pytest.approx(1 / 3)]
    stored = LabelFacts.objects.filter(label__in=[wide, narrow, agreed]).order_by("label")
    assert [one.agreement for one in stored] == [0.0, pytest.approx(1 / 3), None]
    assert [one.item for one in open_ones("step", reader).items] == [made.steps[0]]
    assert disputed(agreed) is None and agreement_of([]) == 1.0
    adjudicate(user=made.run.created_by, adjudication_id=uuid4(), item=wide, outcome="neither", note="Both are bad.")
    assert [one.item for one in open_ones("label", reader).items] == [narrow]
    assert [one.item for one in decided_ones("label", reader).items] == [wide]


def test_disagreements_are_read_to_their_end_page_by_page(made: FinishedRun, sides: tuple[User, User, User]) -> None:
    reader, labels = make_person("rita", Role.READER), list(made.labels[:4])
    for label in labels:
        dispute(label, sides)
    give(sides[2], labels[1], "agree")
    for look in (open_ones, decided_ones):
        read, after = [], ""
        while True:
            page = look("label", reader, after=after, size=1)
            read += [one.item for one in page.items]
            if not (after := page.after):
                break
        assert read == ([labels[0], *labels[2:], labels[1]] if look is open_ones else [])
    for label in labels:
        adjudicate(user=made.run.created_by, adjudication_id=uuid4(), item=label, outcome="neither", note="So.")
    first = decided_ones("label", reader, size=3)
    rest = decided_ones("label", reader, after=first.after, size=3)
    assert [one.item for one in (*first.items, *rest.items)] == labels[::-1] and not rest.after
    for nonsense in ("x", "~", "nan~1", "0.5~x", "2~1", f"0~{'9' * 5000}"):
        assert open_ones("label", reader, after=nonsense).items == []


def test_a_build_names_the_adjudication_that_changed_a_row(made: FinishedRun, sides: tuple[User, User, User]) -> None:
    label = made.labels[0]
    dispute(label, sides)
    kept = adjudicate(user=sides[2], adjudication_id=uuid4(), item=label, outcome="neither", note="Both are bad.")
    built = build_dataset(user=made.run.created_by, run=made.run, stage="reward")
    item = DatasetItem.objects.get(build__in=built, label=label)
    assert (item.audit, item.adjudication) == (None, kept)  # nobody but the adjudicator said so
    named = [one for build in built for one in build.rules["overridden"]["adjudications"]]
    assert named == [str(kept.pk)]


def test_the_explorer_follows_the_last_word(made: FinishedRun, sides: tuple[User, User, User]) -> None:
    label, other, step = made.labels[0], made.labels[1], made.steps[0]
    choice = dispute(label, sides)
    give(sides[0], other, "override", choice)
    give(sides[0], step, "override")
    give(sides[1], step, "agree")
    reader = make_person("rita", Role.READER)

    def found(query: str) -> list[int]:
        return sorted(matching(Filters.from_query(QueryDict(query)), reader).values_list("pk", flat=True))

    def tally() -> tuple[int, int]:
        counted = RunAudits.objects.get(run=made.run)
        return counted.labels_audited, counted.labels_overridden

    assert found("state=disputed") == found("final=unresolved") == [label.pk]
    assert found("final=unanimous") == [other.pk] and found("final=adjudicated") == [] and tally() == (2, 2)
    for outcome, state in ((choice, "overridden"), (label.ai_choice or "neither", "agreed")):
        adjudicate(user=sides[2], adjudication_id=uuid4(), item=label, outcome=outcome, note="So.")
        assert found(f"state={state}&final=adjudicated") == [label.pk] and found("state=disputed") == []
        assert LabelFacts.objects.get(label=label).choice == (outcome if state == "overridden" else "")
    assert tally() == (2, 1)
    adjudicate(user=sides[2], adjudication_id=uuid4(), item=step, outcome="override", note="So.")
    assert found("kind=step&state=overridden&final=adjudicated") == [step.pk]
    give(sides[1], label, "override", choice)
    assert found("state=agreed") == [label.pk], "a later verdict does not change the last word"
    assert set(rebuild.check(mend=False).values()) == {0}


def test_the_numbers_follow_the_last_word(made: FinishedRun, sides: tuple[User, User, User]) -> None:
    label = made.labels[0]
    choice = dispute(label, sides)
    assert report.compute(Scope())[0]["whole"]["overridden"]["value"] == 0.0
    adjudicate(user=sides[2], adjudication_id=uuid4(), item=label, outcome=choice, note="So.")
    assert report.compute(Scope())[0]["whole"]["overridden"]["value"] == 1.0
