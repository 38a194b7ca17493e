"""Annotated pairs of any question of the explorer: what they say of each kind, killed workers, blindness, veils."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.utils import timezone

from constitutions_app.access import Role
from tests.training_app import factories
from tests.training_app.factories import FinishedRun
from tests.training_app.queue_scenes import auditor, queue_of
from training_app import export_jobs, export_pairs, export_writing
from training_app.actions import export_items, export_run
from training_app.core.annotated_pairs import AnnotatedPairs, Pair, read_pairs
from training_app.explorer.filters import KINDS, Filters
from training_app.export_pairs import Pairs
from training_app.models import AILabel, Audit, AuditorSettings, Comparison, Export, QueueItem

pytestmark = pytest.mark.django_db


@pytest.fixture
def made(tmp_path: Path, settings: Any) -> FinishedRun:
    settings.ARTIFACT_ROOT = tmp_path / "artifacts"
    made = factories.finished_run(factories.person("ada"))
    made.run.created_by.groups.add(Group.objects.get(name=Role.ENGINEER))
    return made


@pytest.fixture
def short_stretches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_writing, "STRETCH", 20)
    monkeypatch.setattr(export_writing, "GROWN", 1)
    monkeypatch.setattr(export_pairs, "AT_ONCE", 1)


def written(user: User, texts: str = "all", **filters: Any) -> Export:
    row = export_items(user=user, asked=Filters(**filters), form="icai", texts=texts)
    assert export_jobs.run_once(row.pk) == "succeeded"
    row.refresh_from_db()
    return row


def pairs_of(row: Export) -> AnnotatedPairs:
    return read_pairs(row.path.read_bytes())


def second_labels(made: FinishedRun) -> list[AILabel]:
    """Under another principle each, far behind the first ones and in the opposite order."""
    principles = list(made.run.version.principles.all())
    again = [AILabel.objects.get(pk=one.pk) for one in made.labels]
    for one in again:
        place = next(place for place, principle in enumerate(principles) if principle.pk == one.principle_id)
        one.pk, one.principle, one._state.adding = None, principles[place - 1], True
    return AILabel.objects.bulk_create(again[::-1])


def human_comparison(prompt: Any, key: str = "hh-1") -> Comparison:
    return Comparison.objects.create(
        source="human", prompt_set=prompt.prompt_set, prompt=prompt, key=key, prompt_text=prompt.text,
        response_a="One.", response_b="Another.", human_choice="b",
    )  # fmt: skip


def test_every_label_that_fits_prefers_one_response_of_its_comparison(made: FinishedRun, short_stretches: None) -> None:
    second_labels(made)
    row = written(made.run.created_by)
    found = pairs_of(row)
    assert row.done == len(found.pairs) == len(made.labels), "each comparison once, wherever its labels lie"
    named = {one.id: one for one in found.annotators}
    told = {(pair.id, named[who].said["principle"].rpartition("/")[2]): said
            for pair in found.pairs for who, said in pair.annotations.items()}  # fmt: skip
    labels = AILabel.objects.select_related("comparison", "principle")
    assert len(told) == labels.count()
    for label in labels:
        said = told[f"comparison-{label.comparison_id}", factories.cited(label).key]
        assert (said["label"], said["pref"] or "", said["p_a"]) == (label.pk, label.ai_choice, label.p_a)
    texts = {pair.id: (pair.prompt, pair.response_a, pair.response_b) for pair in found.pairs}
    one = made.labels[0].comparison
    assert texts[f"comparison-{one.pk}"] == (one.prompt_text, one.response_a, one.response_b)
    assert found.metadata["question"] == row.question == ""


def test_what_does_not_fit_annotates_nothing(made: FinishedRun) -> None:
    second_labels(made)
    principle = made.labels[0].principle_id
    found = pairs_of(written(made.run.created_by, principle=principle))
    assert {said["label"] for pair in found.pairs for said in pair.annotations.values()} == set(
        AILabel.objects.filter(principle=principle).values_list("pk", flat=True)
    )
    assert len(found.annotators) == 1
    nothing = pairs_of(written(made.run.created_by, text="harpsichord"))
    assert (nothing.pairs, nothing.annotators) == ((), ())


def test_the_newest_of_several_labels_of_one_judge_counts_and_the_others_are_kept(made: FinishedRun) -> None:
    other = factories.queued_run(made.run.created_by, made.run.version)
    again = AILabel.objects.get(pk=made.labels[0].pk)
    again.pk, again.run, again.p_a, again._state.adding = None, other, 0.99, True
    again.save()
    found = pairs_of(written(made.run.created_by))
    (said,) = next(one for one in found.pairs if one.id == f"comparison-{again.comparison_id}").annotations.values()
    assert (said["label"], said["pref"], said["run"]) == (again.pk, "a", other.number)
    assert [one["label"] for one in said["earlier"]] == [made.labels[0].pk]


def test_comparisons_have_all_their_labels_and_what_people_chose(made: FinishedRun) -> None:
    human = human_comparison(made.labels[0].comparison.prompt)
    found = pairs_of(written(made.run.created_by, kind="comparison"))
    assert found.default == "people"
    by_id = {pair.id: pair for pair in found.pairs}
    assert by_id[f"comparison-{human.pk}"].annotations == {"people": {"pref": "b"}}
    assert sum(len(pair.annotations) for pair in found.pairs) == len(made.labels) + 1


def test_a_step_prefers_its_revision_to_the_text_before(made: FinishedRun) -> None:
    found = {pair.id: pair for pair in pairs_of(written(made.run.created_by, kind="step")).pairs}
    assert len(found) == len(made.steps)
    first, second = made.steps[:2]
    ((_, said),) = found[f"step-{first.pk}"].annotations.items()
    assert (found[f"step-{first.pk}"].response_a, said["pref"]) == (first.trace.initial_response, "b")
    ((_, said),) = found[f"step-{second.pk}"].annotations.items()
    assert found[f"step-{second.pk}"].response_a == first.revision
    assert (said["pref"], said["no_pref_reason"]) == (None, "no change")


def test_auditors_annotate_what_they_judged(made: FinishedRun, short_stretches: None) -> None:
    jonas, ada = auditor("jonas"), made.run.created_by
    label, step = made.labels[0], made.steps[0]
    said = {"auditor": jonas, "blind": True}
    Audit.objects.create(**said, label=label, verdict="override", choice="a")
    Audit.objects.create(**said, step=step, verdict="override")
    Audit.objects.create(**said, label=label, verdict="comment", comment="Hm.")
    Audit.objects.create(auditor=ada, label=label, verdict="agree", blind=False)
    Audit.objects.create(**said, label=label, verdict="abstain")
    row = written(ada, kind="audit")
    found = pairs_of(row)
    assert row.done == len(found.pairs) == 2
    names = {one.id: one.said["auditor"] for one in found.annotators}
    compared, revised = found.pairs
    told = {names[who]: said for who, said in compared.annotations.items()}
    assert compared.id == f"comparison-{label.comparison_id}"
    assert (told["ada"]["pref"] or "") == label.ai_choice
    assert (told["jonas"]["pref"], told["jonas"]["no_pref_reason"]) == (None, "cannot tell")
    assert [one["pref"] for one in told["jonas"]["earlier"]] == ["a"]
    assert [one["pref"] for one in revised.annotations.values()] == ["a"]
    assert revised.response_b == step.revision


class Killed(BaseException):
    """The worker is gone, and says nothing more."""


@pytest.mark.parametrize("asked", ["labels", "comparison", "audit", "run"])
def test_after_a_kill_the_next_worker_goes_on_and_the_file_is_the_same(
    made: FinishedRun, short_stretches: None, monkeypatch: pytest.MonkeyPatch, asked: str
) -> None:
    ada = made.run.created_by
    human_comparison(made.labels[0].comparison.prompt)
    second_labels(made)
    for label in made.labels:
        Audit.objects.create(auditor=ada, label=label, verdict="override", choice="a", blind=False)

    def wish() -> Export:
        if asked == "run":
            return export_run(user=ada, run=made.run, what="labels", form="icai")
        return export_items(user=ada, asked=Filters(kind=asked.removesuffix("s")), form="icai", texts="all")

    whole = wish()
    assert export_jobs.run_once(whole.pk) == "succeeded"
    read, rest, calls = Pairs.between, Pairs.rest, []

    def between(self: Pairs, low: int, high: int, done: int) -> Any:
        calls.append(low)
        if len(calls) > 2:
            raise Killed
        return read(self, low, high, done)

    row = wish()
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(Pairs, "between", between)
        export_jobs.run_once(row.pk)
    row.refresh_from_db()
    assert row.state == "running" and row.written > 0 and row.noted and not row.path.exists()
    with row.partial.open("ab") as file:
        file.write(b'\n{"half a pair')

    def fail(self: Pairs, done: int) -> Any:
        yield from rest(self, done)
        raise Killed

    again(row)
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(Pairs, "rest", fail)
        export_jobs.run_once(row.pk)
    again(row)
    assert export_jobs.run_once(row.pk) == "succeeded"
    row.refresh_from_db()
    whole.refresh_from_db()
    mine, theirs = pairs_of(row), pairs_of(whole)
    assert (mine.pairs, mine.annotators, mine.default) == (theirs.pairs, theirs.annotators, theirs.default)
    assert row.done == whole.done == len(mine.pairs)


def again(row: Export) -> None:
    Export.objects.filter(pk=row.pk).update(lease_expires_at=timezone.now() - timedelta(seconds=1))


@pytest.mark.parametrize("what", ["labels", "traces"])
def test_rows_of_a_run_go_on_after_a_kill(
    made: FinishedRun, short_stretches: None, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    from training_app.exports import RunRows

    whole = export_run(user=made.run.created_by, run=made.run, what=what, form="jsonl")
    assert export_jobs.run_once(whole.pk) == "succeeded"
    read, seen = RunRows.between, []

    def between(self: RunRows, low: int, high: int, done: int) -> Any:
        seen.append(low)
        if len(seen) == 3:
            raise Killed
        return read(self, low, high, done)

    monkeypatch.setattr(RunRows, "between", between)
    row = export_run(user=made.run.created_by, run=made.run, what=what, form="jsonl")
    with pytest.raises(Killed):
        export_jobs.run_once(row.pk)
    assert not row.path.exists(), "half a file has no name that anybody is given"
    again(row)
    assert export_jobs.run_once(row.pk) == "succeeded"
    assert seen[3] == seen[2], "it went on where it was"
    assert row.path.read_bytes() == whole.path.read_bytes() != b""


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_to_be_judged_blind_is_left_out(made: FinishedRun, kind: str) -> None:
    jonas, ada = auditor("jonas"), made.run.created_by
    for label in made.labels:
        Audit.objects.create(auditor=ada, label=label, verdict="override", choice="a", blind=False)
    for step in made.steps:
        Audit.objects.create(auditor=ada, step=step, verdict="override", blind=False)
    early = written(jonas, kind=kind)
    queue = queue_of("steps" if kind == "step" else "labels", size=2, people=(jonas,))
    hidden = set(queue.items.values_list("step" if kind == "step" else "label", flat=True))
    mine, theirs = told(pairs_of(written(jonas, kind=kind))), told(pairs_of(written(ada, kind=kind)))
    key = "step" if kind == "step" else "label"
    assert {said[key] for said in theirs if key in said} - {said[key] for said in mine if key in said} == hidden
    with pytest.raises(export_jobs.NotTold, match="2 items"):
        export_jobs.open_for(jonas, early)


@pytest.mark.parametrize("kind", ["label", "audit"])
def test_a_comparison_stands_once_though_the_first_thing_said_of_it_is_hidden(
    made: FinishedRun, short_stretches: None, kind: str
) -> None:
    jonas, ada = auditor("jonas"), made.run.created_by
    queue_of(size=len(made.labels), people=(jonas,))
    for label in (*made.labels, *second_labels(made)):
        Audit.objects.create(auditor=ada, label=label, verdict="override", choice="a", blind=False)
    found = pairs_of(written(jonas, kind=kind))
    assert len({pair.id for pair in found.pairs}) == len(found.pairs) == len(made.labels)
    assert not {said["label"] for said in told(found)} & {label.pk for label in made.labels}
    assert len(told(found)) == len(made.labels)


@pytest.mark.parametrize("kind", ["label", "audit"])
def test_where_a_comparison_stands_does_not_tell_what_is_hidden_of_it(made: FinishedRun, kind: str) -> None:
    """A hidden label that fits says what the AI chose, a hidden audit what somebody made of it."""
    jonas, ada = auditor("jonas"), made.run.created_by
    queue_of(size=len(made.labels), people=(jonas,))
    seen = second_labels(made)
    for label in (*made.labels, *seen):
        Audit.objects.create(auditor=ada, label=label, verdict="override", choice="a", blind=False)
    asked = {"verdict": "override"} if kind == "audit" else {"p_from": 0.0}
    found = pairs_of(written(jonas, kind=kind, **asked))
    assert [pair.id for pair in found.pairs] == [f"comparison-{one.comparison_id}" for one in seen]


def test_comments_alone_make_no_pair(made: FinishedRun) -> None:
    said = {"auditor": auditor("jonas"), "verdict": "comment", "comment": "Hm.", "blind": False}
    Audit.objects.create(**said, label=made.labels[0])
    Audit.objects.create(**said, step=made.steps[0])
    row = written(made.run.created_by, kind="audit")
    assert (row.done, pairs_of(row).pairs) == (0, ())


def told(found: AnnotatedPairs) -> list[dict[str, Any]]:
    return [dict(said) for pair in found.pairs for said in pair.annotations.values()]


def test_what_people_chose_is_kept_from_whoever_is_asked_the_same(made: FinishedRun) -> None:
    jonas = auditor("jonas")
    human = human_comparison(made.labels[0].comparison.prompt)
    label = AILabel.objects.get(pk=made.labels[0].pk)
    label.pk, label.comparison, label._state.adding = None, human, True
    label.save()
    early = written(jonas)
    queue = queue_of(size=1, people=(jonas,))
    QueueItem.objects.filter(pk=queue.items.get().pk).update(label=None, comparison=human, known="b")
    later = {pair.id: pair for pair in pairs_of(written(jonas)).pairs}[f"comparison-{human.pk}"]
    assert "people" not in later.annotations and len(later.annotations) == 1
    with pytest.raises(export_jobs.NotTold, match="1 item"):
        export_jobs.open_for(jonas, early)


def test_veiled_texts_stay_out_unless_they_are_asked_for(made: FinishedRun) -> None:
    ada = made.run.created_by
    AuditorSettings.objects.create(person=ada, veil_tags=["everyday"])

    def texts(pair: Pair) -> set[str]:
        return {pair.prompt, pair.response_a, pair.response_b}

    kept, shown = written(ada, "veiled"), written(ada, "all")
    assert kept.done == shown.done
    assert all(texts(pair) == {""} and pair.metadata["veiled"] for pair in pairs_of(kept).pairs)
    assert all(len(texts(pair)) == 3 and not pair.metadata["veiled"] for pair in pairs_of(shown).pairs)
    assert all(pair.metadata["severity"] == 1 for pair in pairs_of(shown).pairs)
    assert written(ada, "").texts == "veiled", "pairs are made of texts"
