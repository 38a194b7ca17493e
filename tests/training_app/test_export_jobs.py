"""Exports as work of a worker: whole files, killed workers, cancelled wishes, files that grow old, and blindness."""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth.models import Group, User
from django.http import Http404
from django.utils import timezone

from constitutions_app.access import Role
from constitutions_app.models import LedgerEntry
from tests.training_app import factories
from tests.training_app.factories import FinishedRun
from tests.training_app.queue_scenes import auditor, judged, queue_of
from training_app import asked, export_jobs, export_sources, export_writing
from training_app.actions import cancel_export, export_items, export_run
from training_app.explorer.exporting import lines, lines_between
from training_app.explorer.filters import KINDS, Filters
from training_app.exports import write_export
from training_app.ledger_blindness import kept_back
from training_app.models import Audit, Export
from training_app.refusals import ExportRefused, SteeringRefused
from training_app.sweeper import Sweeper

pytestmark = pytest.mark.django_db


@pytest.fixture
def made(tmp_path: Path, settings: Any) -> FinishedRun:
    settings.ARTIFACT_ROOT = tmp_path / "artifacts"
    made = factories.finished_run(factories.person("ada"))
    made.run.created_by.groups.add(Group.objects.get(name=Role.ENGINEER))
    return made


@pytest.fixture
def short_stretches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_writing, "STRETCH", 2)
    monkeypatch.setattr(export_writing, "GROWN", 1)


def written(user: User, form: str = "jsonl", **filters: Any) -> Export:
    row = export_items(user=user, asked=Filters(**filters), form=form)
    assert export_jobs.run_once(row.pk) == "succeeded"
    row.refresh_from_db()
    return row


def read(user: User, row: Export) -> bytes:
    with export_jobs.open_for(user, row) as file:
        return file.read()


def keys(row: Export, name: str) -> list[Any]:
    return [json.loads(line)[name] for line in row.path.read_bytes().splitlines()]


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_holds_what_the_stream_holds(made: FinishedRun, short_stretches: None, kind: str) -> None:
    ada = made.run.created_by
    for label in made.labels[:3]:
        Audit.objects.create(auditor=ada, label=label, verdict="comment", comment="a\n“b”\t\u2028c", blind=False)
    row = written(ada, kind=kind)
    stream = b"".join(lines(Filters(kind=kind), ada))
    assert sorted(row.path.read_bytes().splitlines()) == sorted(stream.splitlines()) != []
    assert (row.done, row.total, row.bytes) == (len(stream.splitlines()),) * 2 + (len(stream),)
    assert row.digest == hashlib.sha256(row.path.read_bytes()).hexdigest()
    assert not row.partial.exists() and row.eta_s is None and row.is_there


@pytest.mark.parametrize("kind", KINDS)
def test_parquet_has_the_same_rows_with_types(made: FinishedRun, short_stretches: None, kind: str) -> None:
    from pyarrow import parquet

    ada = made.run.created_by
    Audit.objects.create(auditor=ada, label=made.labels[0], verdict="override", choice="a", comment="é\n", blind=True)
    table = parquet.read_table(written(ada, "parquet", kind=kind).path)
    rows = [json.loads(line) for line in written(ada, kind=kind).path.read_bytes().splitlines()]
    assert [row[kind] for row in table.to_pylist()] == [row[kind] for row in rows] != []
    for one, other in zip(table.to_pylist(), rows, strict=True):
        assert list(one) == list(other)
        assert all(one[name] == value for name, value in other.items() if not name.endswith("_at"))
        assert one["created_at"].isoformat()[:19] == other["created_at"][:19]


def test_nothing_that_fits_is_a_file_without_rows(made: FinishedRun) -> None:
    from pyarrow import parquet

    ada = made.run.created_by
    assert written(ada, text="harpsichord").path.read_bytes() == b""
    assert written(ada, kind="audit").done == 0
    assert parquet.read_table(written(ada, "parquet", kind="step", flag="refusal").path).num_rows == 0


def test_the_labels_of_a_run_are_written_as_at_once(made: FinishedRun, short_stretches: None, tmp_path: Path) -> None:
    for what, form in (("labels", "jsonl"), ("labels", "icai"), ("traces", "jsonl"), ("traces", "parquet")):
        row = export_run(user=made.run.created_by, run=made.run, what=what, form=form)
        assert export_jobs.run_once(row.pk) == "succeeded"
        row.refresh_from_db()
        count = write_export(made.run, what, form, tmp_path / "at-once")
        assert row.path.read_bytes() == (tmp_path / "at-once").read_bytes()
        assert row.done == count > 0


class Killed(BaseException):
    """The worker is gone, and says nothing more."""


def killed_after(stretches: int, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def read_until_then(*args: Any, **texts: Any) -> Any:
        calls.append(args)
        if len(calls) > stretches:
            raise Killed
        return lines_between(*args, **texts)

    monkeypatch.setattr(export_sources, "lines_between", read_until_then)


def test_after_a_kill_the_next_worker_goes_on_where_it_was(
    made: FinishedRun, short_stretches: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = made.run.created_by
    whole = written(ada).path.read_bytes()
    row = export_items(user=ada, asked=Filters(), form="jsonl")
    with monkeypatch.context() as patch, pytest.raises(Killed):
        killed_after(2, patch)
        export_jobs.run_once(row.pk)
    row.refresh_from_db()
    assert row.state == "running" and 0 < row.written < len(whole)
    assert export_jobs.run_once(row.pk) is None, "its lease holds"
    with row.partial.open("ab") as file:
        file.write(b'{"half a line')
    Export.objects.filter(pk=row.pk).update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    assert export_jobs.waiting() == [row.pk]
    asked_again: list[int] = []

    def noted(*args: Any, **texts: Any) -> Any:
        asked_again.append(args[2])
        return lines_between(*args, **texts)

    monkeypatch.setattr(export_sources, "lines_between", noted)
    assert export_jobs.run_once(row.pk) == "succeeded"
    assert row.path.read_bytes() == whole
    assert min(asked_again) == row.place + 1
    row.refresh_from_db()
    assert row.done == len(whole.splitlines())


def test_a_parquet_file_that_broke_off_is_begun_anew(
    made: FinishedRun, short_stretches: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pyarrow import parquet

    row = export_items(user=made.run.created_by, asked=Filters(), form="parquet")
    with monkeypatch.context() as patch, pytest.raises(Killed):
        killed_after(1, patch)
        export_jobs.run_once(row.pk)
    Export.objects.filter(pk=row.pk).update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    assert export_jobs.run_once(row.pk) == "succeeded"
    assert parquet.read_table(row.path).num_rows == len(made.labels)


def test_one_whose_workers_always_vanish_fails(made: FinishedRun) -> None:
    row = export_items(user=made.run.created_by, asked=Filters(), form="jsonl")
    Export.objects.filter(pk=row.pk).update(attempt=asked.MOST_ATTEMPTS)
    assert export_jobs.run_once(row.pk) == "failed"
    row.refresh_from_db()
    assert "several times" in row.reason and not row.path.exists()


def test_a_full_disk_is_said(made: FinishedRun, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **texts: object) -> Any:
        raise OSError(28, "No space left on device")

    row = export_items(user=made.run.created_by, asked=Filters(), form="jsonl")
    monkeypatch.setattr(export_sources, "lines_between", full)
    assert export_jobs.run_once(row.pk) == "failed"
    row.refresh_from_db()
    assert "No space left" in row.reason and LedgerEntry.objects.filter(verb="export.not_written").exists()


def test_a_cancelled_one_is_let_go_of_and_leaves_nothing(
    made: FinishedRun, short_stretches: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = made.run.created_by
    row = export_items(user=ada, asked=Filters(), form="jsonl")

    def cancelled_meanwhile(*args: Any, **texts: Any) -> Any:
        if not Export.objects.get(pk=row.pk).has_ended:
            cancel_export(user=ada, export=row)
        return lines_between(*args, **texts)

    monkeypatch.setattr(export_sources, "lines_between", cancelled_meanwhile)
    assert export_jobs.run_once(row.pk) is None
    row.refresh_from_db()
    assert (row.state, row.is_kept) == ("cancelled", False) and not row.folder.exists()
    with pytest.raises(SteeringRefused, match="already ended"):
        cancel_export(user=ada, export=row)


def test_the_same_wish_is_one_export_and_five_are_the_most(made: FinishedRun) -> None:
    ada = made.run.created_by
    first = export_items(user=ada, asked=Filters(kind="step"), form="jsonl")
    assert export_items(user=ada, asked=Filters(kind="step", sort="oldest"), form="jsonl") == first
    for number in range(4):
        export_items(user=ada, asked=Filters(run=number), form="jsonl")
    with pytest.raises(ExportRefused, match="under way"):
        export_items(user=ada, asked=Filters(), form="jsonl")
    with pytest.raises(ExportRefused, match="jsonl, parquet or icai"):
        export_items(user=ada, asked=Filters(), form="docx")
    with pytest.raises(ExportRefused, match="not written as icai"):
        export_run(user=ada, run=made.run, what="traces", form="icai")
    assert LedgerEntry.objects.filter(verb="export.ask").count() == Export.objects.count() == 5


def test_the_sweeper_rings_for_what_waits_and_for_what_is_old(made: FinishedRun) -> None:
    rung: list[UUID] = []
    old = factories.export(made.run.created_by, expires_at=timezone.now() - timedelta(minutes=1))
    row = export_items(user=made.run.created_by, asked=Filters(), form="jsonl")

    def wake(pk: UUID) -> bool:
        rung.append(pk)
        return True

    Sweeper(lambda _: True, wake_for_export=wake).sweep()
    assert rung == [row.pk, old.pk]
    with pytest.raises(Http404):
        export_jobs.open_for(made.run.created_by, old)
    assert export_jobs.run_once(old.pk) is None
    old.refresh_from_db()
    assert not old.folder.exists() and not old.is_kept and export_jobs.waiting() == [row.pk]


@pytest.mark.parametrize("kind", ["label", "step", "audit"])
def test_what_is_to_be_judged_blind_is_left_out(made: FinishedRun, kind: str) -> None:
    jonas, ada = auditor("jonas"), made.run.created_by
    for label in made.labels:
        Audit.objects.create(auditor=ada, label=label, verdict="override", choice="a", blind=False)
    for step in made.steps:
        Audit.objects.create(auditor=ada, step=step, verdict="override", blind=False)
    queue = queue_of("steps" if kind == "step" else "labels", size=2, people=(jonas,))
    hidden = set(queue.items.values_list("step" if kind == "step" else "label", flat=True))
    mine, theirs = written(jonas, kind=kind), written(ada, kind=kind)
    name = "label" if kind == "audit" else kind
    assert set(keys(theirs, name)) - set(keys(mine, name)) == hidden
    assert mine.done == theirs.done - 2


def test_a_file_is_kept_back_while_its_person_has_come_to_judge_it(made: FinishedRun) -> None:
    jonas, ada = auditor("jonas"), made.run.created_by
    row, of_run = written(jonas), export_run(user=jonas, run=made.run, what="labels", form="icai")
    steps = written(jonas, kind="step")
    assert export_jobs.run_once(of_run.pk) == "succeeded"
    of_run.refresh_from_db()
    queue = queue_of(size=1, people=(jonas,))
    for one in (row, of_run):
        with pytest.raises(export_jobs.NotTold, match="1 item that it may tell"):
            export_jobs.open_for(jonas, one)
    assert read(jonas, steps)
    assert read(ada, written(ada))
    again = written(jonas)
    assert read(jonas, again).count(b"\n") == row.done - 1
    judged(jonas, queue)
    assert read(jonas, row)


def test_a_new_role_keeps_an_old_file_back(made: FinishedRun) -> None:
    rita = factories.person("rita")
    rita.groups.add(Group.objects.get(name=Role.READER))
    row = written(rita, state="unaudited")
    queue_of(size=3)
    assert read(rita, row)
    rita.groups.add(Group.objects.get(name=Role.AUDITOR))
    rita = User.objects.get(pk=rita.pk)
    with pytest.raises(export_jobs.NotTold, match="3 items"):
        export_jobs.open_for(rita, row)


def test_the_ledger_keeps_counts_back_from_whoever_has_to_judge(made: FinishedRun) -> None:
    jonas = auditor("jonas")
    written(made.run.created_by, p_from=0.5)
    entries = list(LedgerEntry.objects.filter(verb__startswith="export."))
    assert kept_back(jonas, entries) == frozenset()
    queue_of(size=1, people=(jonas,))
    assert kept_back(jonas, entries) == {one.seq for one in entries if one.verb == "export.written"} != frozenset()
