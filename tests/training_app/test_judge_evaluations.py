"""From a file and a judge to a report: the verb, the claim, the program, and what happens when things go wrong."""

from __future__ import annotations

import gzip
import io
import json
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.db import connection
from django.utils import timezone

from constitutions_app.access import Role
from constitutions_app.models import LedgerEntry
from tests.constitutions_app.factories import make_person
from tests.tiny_model import build_tiny_model
from tests.training_app.scenes import engineer
from training_app import event_tail, judge_evaluations, tasks
from training_app.actions import cancel_judge, measure_judge
from training_app.asked import Conduct, Lost, _Working
from training_app.core.judge_items import QUESTION
from training_app.judge_evaluations import run_once
from training_app.models import JudgeEvaluation
from training_app.refusals import JudgeFileRefused, SteeringRefused
from training_app.sweeper import Sweeper

pytestmark = pytest.mark.django_db(transaction=True)

LINES = b"".join(
    json.dumps(
        {"prompt": f"Which? {number}\n (A) x\n (B) y\n\nThe answer is:", "corrects": [" (A)"], "incorrects": [" (B)"]}
    ).encode()
    + b"\n"
    for number in range(5)
)


@pytest.fixture(autouse=True)
def places(tmp_path: Path, settings: LazySettings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.MODELS_ROOT, settings.ARTIFACT_ROOT = tmp_path / "models", tmp_path / "artifacts"
    (tmp_path / "models").mkdir()
    monkeypatch.setattr(tasks.evaluate_judge, "apply_async", lambda **options: None)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tiny_model(tmp_path_factory.mktemp("judge") / "tiny")


@pytest.fixture
def model(tiny: Path, tmp_path: Path) -> str:
    (tmp_path / "models" / "tiny").symlink_to(tiny)
    return "tiny"


def asked(model: str, *, user: User | None = None, **changes: Any) -> JudgeEvaluation:
    content = io.BytesIO(changes.pop("content", LINES))
    parts: dict[str, Any] = {"file": content, "file_name": "evals.jsonl", "template": "paper", "question": QUESTION}
    return measure_judge(user=user or engineer(), model=model, **parts | changes)


def program(code: str) -> Conduct:
    def command(stage: str, job: Path) -> Sequence[str]:
        return [sys.executable, "-c", code, "--lifeline"]

    return Conduct(command=command, look_every_s=0.02, folder_patience_s=0.1)


def test_a_file_and_a_judge_become_a_report(model: str) -> None:
    row = asked(model, content=gzip.compress(LINES))
    assert (row.state, row.total, row.format) == ("queued", 5, "choice")
    assert run_once(row.pk, conduct=Conduct(look_every_s=0.1)) == "succeeded"
    row.refresh_from_db()
    assert row.report["n"] == row.done == 5 and set(row.report) >= {"accuracy", "interval", "ece", "same_position"}
    assert row.judge is not None and row.judge.digest == row.report["judge"]["digest"]
    assert row.judge.model_digest == row.model["digest"] and row.finished_at and row.lease_expires_at is None
    assert [entry.verb for entry in LedgerEntry.objects.order_by("pk")][-3:] == [
        "judge.measure", "judge.register", "judge.measured",
    ]  # fmt: skip
    assert run_once(row.pk) is None, "it is measured once"


def test_bad_lines_are_named_and_nothing_is_left_behind(model: str, tmp_path: Path) -> None:
    with pytest.raises(JudgeFileRefused) as refused:
        asked(model, content=LINES + b"{}\nno\n")
    assert [problem.split(":")[0] for problem in refused.value.problems] == ["Line 6", "Line 7"]
    assert not JudgeEvaluation.objects.exists()
    assert not list((tmp_path / "artifacts" / "judge-evaluations").iterdir())


def test_what_cannot_judge_is_refused_by_its_field(model: str) -> None:
    for changes, field in (
        ({"model": "../etc"}, "model"),
        ({"model": "server:http://169.254.169.254"}, "model"),
        ({"content": b""}, "file"),
    ):  # fmt: skip
        with pytest.raises(JudgeFileRefused) as refused:
            asked(**{"model": model} | changes)
        assert refused.value.field == field


def test_sent_twice_it_is_measured_once(model: str) -> None:
    first = asked(model)
    assert asked(model, evaluation_id=first.pk).pk == first.pk


def test_an_id_that_is_taken_touches_nobodys_file(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One form sent twice at once is one measurement; another person's id is refused. The file stays in both cases."""
    first = asked(model)
    with pytest.raises(JudgeFileRefused, match="somebody else"):
        asked(model, user=make_person("eve", Role.ENGINEER), evaluation_id=first.pk, content=LINES.splitlines()[0])
    look = JudgeEvaluation.objects.filter
    unseen = iter([JudgeEvaluation.objects.none()])
    monkeypatch.setattr(JudgeEvaluation.objects, "filter", lambda **what: next(unseen, None) or look(**what))
    assert asked(model, evaluation_id=first.pk).pk == first.pk
    assert [path.name for path in first.folder.parent.iterdir()] == [str(first.pk)]
    assert (first.folder / judge_evaluations.ITEMS).read_bytes() == LINES


def test_a_program_that_fails_says_why(model: str) -> None:
    row = asked(model)
    failing = program("import sys; print('No such thing.'); sys.exit(2)")
    assert run_once(row.pk, conduct=failing) == "failed"
    row.refresh_from_db()
    assert row.reason == "No such thing." and row.finished_at is not None
    assert LedgerEntry.objects.filter(verb="judge.not_measured").exists()


def test_a_killed_one_is_failed_and_a_stopped_one_goes_back_into_the_queue(model: str) -> None:
    killed, stopped = asked(model), asked(model)
    assert run_once(killed.pk, conduct=program("import os; os.kill(os.getpid(), 9)")) == "failed"
    killed.refresh_from_db()
    assert killed.reason == "It was killed by signal 9."
    assert run_once(stopped.pk, conduct=program("import sys; sys.exit(3)")) == "queued"
    stopped.refresh_from_db()
    assert (stopped.state, stopped.attempt) == ("queued", 0)


def test_only_the_newest_claim_writes(model: str) -> None:
    row = asked(model)
    JudgeEvaluation.objects.filter(pk=row.pk).update(
        state="running", fencing_token=4, lease_expires_at=timezone.now() + timedelta(seconds=60)
    )
    assert run_once(row.pk) is None, "somebody has it"
    row.refresh_from_db()
    measuring = _Working(judge_evaluations.MEASURING, row, Conduct())
    JudgeEvaluation.objects.filter(pk=row.pk).update(fencing_token=5)
    with pytest.raises(Lost):
        measuring._write(done=3)


def test_one_whose_workers_keep_vanishing_is_given_up(model: str) -> None:
    row = asked(model)
    past = timezone.now() - timedelta(seconds=1)
    JudgeEvaluation.objects.filter(pk=row.pk).update(state="running", attempt=5, lease_expires_at=past)
    assert run_once(row.pk) == "failed"


def test_the_sweeper_wakes_for_what_nobody_works_on(model: str) -> None:
    queued, left, busy = asked(model), asked(model), asked(model)
    now = timezone.now()
    for row, expires in ((left, now - timedelta(seconds=1)), (busy, now + timedelta(seconds=60))):
        JudgeEvaluation.objects.filter(pk=row.pk).update(state="running", lease_expires_at=expires)
    woken: list[UUID] = []

    def wake(pk: UUID) -> bool:
        woken.append(pk)
        return True

    sweeper = Sweeper(lambda _: False, wake)
    assert sweeper.sweep().woken == 2
    assert set(woken) == {queued.pk, left.pk}
    assert sweeper.sweep().woken == 0, "not again so soon"


def test_it_goes_to_the_queue_of_short_inference(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[dict[str, Any]] = []
    monkeypatch.setattr(tasks.evaluate_judge, "apply_async", lambda **options: sent.append(options))
    row = asked(model)
    assert [(one["queue"], one["args"]) for one in sent] == [("infer", (str(row.pk),))]
    assert connection.in_atomic_block is False


def test_a_measurement_that_waits_is_cancelled_and_never_taken(model: str) -> None:
    row = asked(model)
    after = cancel_judge(user=engineer(), evaluation=row)
    assert (after.state, after.has_ended, after.reason) == ("cancelled", True, "Cancelled by engineer.")
    assert run_once(row.pk) is None and judge_evaluations.waiting() == []
    assert json.loads(LedgerEntry.objects.order_by("-pk")[0].body)["data"] == {"from": "queued", "done": 0}
    with pytest.raises(SteeringRefused, match="has already ended"):
        cancel_judge(user=engineer(), evaluation=row)


def test_one_that_runs_is_cancelled_and_its_program_ends(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    row = asked(model)
    look, seen = event_tail.EventTail.take, list[int]()

    def cancelled_meanwhile(tail: Any) -> Any:
        if not seen:
            cancel_judge(user=engineer(), evaluation=row)
        seen.append(1)
        return look(tail)

    monkeypatch.setattr(event_tail.EventTail, "take", cancelled_meanwhile)
    assert run_once(row.pk, conduct=program("import sys; sys.stdin.read()")) is None
    row.refresh_from_db()
    assert (row.state, row.lease_expires_at, row.report) == ("cancelled", None, {})


def test_a_file_that_is_too_large_is_refused_piece_by_piece(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module = sys.modules[measure_judge.__module__]  # the package gives the function the module's name
    monkeypatch.setattr(module, "LARGEST_FILE", 2**20)
    monkeypatch.setattr(module, "PIECE", 2**10)
    file = io.BytesIO(b"x" * 2**22)
    with pytest.raises(JudgeFileRefused, match="larger than 1 MiB"):
        asked(model, file=file)
    assert not JudgeEvaluation.objects.exists()
    assert file.tell() == 2**20 + 2**10
