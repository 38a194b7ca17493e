"""Handing a checkpoint on: the folder, the push to a hub, and that the token goes nowhere else."""

from __future__ import annotations

import sys
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.conf import LazySettings
from django.core.management import call_command

from constitutions_app.models import LedgerEntry
from tests.training_app import factories
from tests.training_app.factories import FinishedRun
from tests.training_app.hubs import TOKEN, Hub, hub
from training_app import event_tail, hub_copies, tasks
from training_app.actions import cancel_push, change_release_rules, push_checkpoint
from training_app.asked import Conduct
from training_app.core.events import EventLog
from training_app.core.hub import is_name, reason_against
from training_app.core.stage import run_job
from training_app.models import HubCopy
from training_app.refusals import ReleaseRefused, SteeringRefused
from training_app.retention import prunable
from training_app.sweeper import Sweeper

pytestmark = pytest.mark.django_db
QUICK = Conduct(look_every_s=0.05)


@pytest.fixture(autouse=True)
def places(tmp_path: Path, settings: LazySettings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.ARTIFACT_ROOT = tmp_path / "artifacts"
    settings.HUB_TOKEN_FILE = tmp_path / "hub_token"
    monkeypatch.setattr(tasks.do_release_work, "apply_async", lambda **options: None)


@pytest.fixture
def made() -> FinishedRun:
    return factories.finished_run(factories.person("ada"))


def pushed(made: FinishedRun, there: Hub, settings: LazySettings, repository: str = "me/it") -> HubCopy:
    """Pushed by the real program, in a process of its own."""
    settings.HUB_ENDPOINT = there.url
    settings.HUB_TOKEN_FILE.write_text(f"{TOKEN}\n")
    row = push_checkpoint(user=made.run.created_by, checkpoint=made.rl, repository=repository)
    hub_copies.run_once(row.pk, conduct=QUICK)
    row.refresh_from_db()
    return row


def test_it_is_pushed_as_one_commit_that_verifies(made: FinishedRun, settings: LazySettings, tmp_path: Path) -> None:
    with hub(files={".gitattributes": b"* text", "old.safetensors": b"of an earlier one"}) as there:
        row = pushed(made, there, settings)
        assert row.state == "succeeded", row.reason
    names = {".gitattributes", "README.md", "config.json", "constitution.json", "manifest.json", "model.safetensors"}
    assert set(there.files) == names and there.commits == 1 and there.private is True
    assert (len(row.commit), row.done, row.total) == (40, 10, 10)
    assert row.address == f"{there.url}/me/it/tree/{row.commit}"
    fetched = tmp_path / "fetched"
    for name, content in there.files.items():
        (fetched / name).parent.mkdir(parents=True, exist_ok=True)
        (fetched / name).write_bytes(content)
    out = StringIO()
    call_command("verify_checkpoint", fetched, stdout=out)
    assert "the one the database knows" in out.getvalue()
    assert (
        there.files["README.md"].startswith(b"---\n") and made.run.version.digest.encode() in there.files["README.md"]
    )
    assert TOKEN not in "".join(path.read_text("utf-8", "replace") for path in row.folder.iterdir() if path.is_file())
    entry = LedgerEntry.objects.get(verb="checkpoint.pushed").body
    assert row.commit in entry and TOKEN not in entry
    assert made.rl not in [one.checkpoint for one in prunable(keep_runs=0)]


def test_the_token_goes_to_no_other_host_though_the_hub_asks_for_it(made: FinishedRun, settings: LazySettings) -> None:
    with hub() as other, hub(verifies_at=other.url) as there:
        row = pushed(made, there, settings)
    assert row.state == "failed" and "another host" in row.reason
    assert other.asked == [] and there.commits == 0


def test_a_hub_that_refuses_is_told_in_a_sentence(made: FinishedRun, settings: LazySettings) -> None:
    with hub(refuses=403) as there:
        row = pushed(made, there, settings)
    assert row.state == "failed" and row.reason == "The hub does not let this token write to me/it."
    assert (row.copy / "manifest.json").is_file(), "the folder is kept"


def test_without_a_hub_the_folder_alone_is_written(made: FinishedRun) -> None:
    ada = made.run.created_by
    with pytest.raises(ReleaseRefused, match="There is no token for the hub"):
        push_checkpoint(user=ada, checkpoint=made.rl, repository="me/it")
    row = push_checkpoint(user=ada, checkpoint=made.rl)
    assert push_checkpoint(user=ada, checkpoint=made.rl) == row, "one at a time"
    assert run_job(hub_copies.write_job(row), lambda: False) == 0
    assert hub_copies.run_once(row.pk, conduct=Conduct(command=lambda *_: ["true"], look_every_s=0.01)) == "succeeded"
    row.refresh_from_db()
    assert {path.name for path in row.copy.iterdir()} > {"README.md", "manifest.json", "model.safetensors"}
    assert (row.commit, row.done, row.total) == ("", 5, 5)
    (row.copy / "config.json").write_text("{}")
    assert (made.rl.folder / "config.json").read_text() != "{}", "who edits the copy harms no checkpoint"


def test_what_is_not_released_or_damaged_goes_nowhere(made: FinishedRun) -> None:
    ada = made.run.created_by
    row = push_checkpoint(user=ada, checkpoint=made.sft)
    (made.sft.folder / "config.json").write_text("{}")
    assert run_job(hub_copies.write_job(row), lambda: False) == 2
    assert not row.copy.exists()
    change_release_rules(user=ada, constitution=made.run.version.constitution, roles=["auditor"])
    with pytest.raises(ReleaseRefused, match="Nobody has signed it off as auditor"):
        push_checkpoint(user=ada, checkpoint=made.rl)


def cancelled_once(condition: Callable[[], bool], row: HubCopy, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the copy cancelled as soon as the worker, looking at its program, finds this so."""
    look = event_tail.EventTail.take

    def take(tail: Any) -> Any:
        row.refresh_from_db()
        if not row.has_ended and condition():
            cancel_push(user=row.created_by, copy=row)
        return look(tail)

    monkeypatch.setattr(event_tail.EventTail, "take", take)


def test_one_that_waits_is_cancelled_and_never_taken(made: FinishedRun) -> None:
    row = push_checkpoint(user=made.run.created_by, checkpoint=made.rl)
    after = cancel_push(user=made.run.created_by, copy=row)
    assert (after.state, after.reason) == ("cancelled", "Cancelled by ada.")
    assert hub_copies.run_once(row.pk) is None and hub_copies.waiting() == []
    assert LedgerEntry.objects.order_by("-pk")[0].verb == "checkpoint.cancel_push"
    with pytest.raises(SteeringRefused, match="has already ended"):
        cancel_push(user=made.run.created_by, copy=row)
    assert push_checkpoint(user=made.run.created_by, checkpoint=made.rl) != row, "it can be asked for again"


def test_one_under_way_is_cancelled_and_what_was_copied_is_deleted(
    made: FinishedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = push_checkpoint(user=made.run.created_by, checkpoint=made.rl)
    half = row.folder / "folder.partial"
    writing = f"import pathlib, sys; pathlib.Path({str(half)!r}).mkdir(); sys.stdin.read()"
    cancelled_once(half.exists, row, monkeypatch)
    conduct = Conduct(command=lambda *_: [sys.executable, "-c", writing], look_every_s=0.01)
    assert hub_copies.run_once(row.pk, conduct=conduct) is None
    row.refresh_from_db()
    assert row.state == "cancelled" and not half.exists()


def test_a_commit_that_was_made_before_the_cancelling_is_told(
    made: FinishedRun, settings: LazySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.HUB_TOKEN_FILE.write_text(TOKEN)
    row = push_checkpoint(user=made.run.created_by, checkpoint=made.rl, repository="me/it")
    row.folder.mkdir(parents=True)
    (row.folder / "folder").mkdir()
    with EventLog(row.folder) as events:
        events.started(device="", dtype="", total=10, unit="files", resumed_at=0)
        events.progress(10)
    cancelled_once(lambda: True, row, monkeypatch)
    quick = Conduct(command=lambda *_: ["true"], look_every_s=0.01)
    assert hub_copies.run_once(row.pk, conduct=quick) is None
    row.refresh_from_db()
    assert (row.commit, row.copy.exists()) == ("", False) and "look there whether" in row.reason

    again = push_checkpoint(user=made.run.created_by, checkpoint=made.rl, repository="me/it")
    again.copy.mkdir(parents=True)
    with EventLog(again.folder) as events:
        events.started(device="", dtype="", total=10, unit="files", resumed_at=0)
        events.finished(outputs={}, summary={"commit": "c" * 40, "files": 5})
    cancelled_once(lambda: True, again, monkeypatch)
    assert hub_copies.run_once(again.pk, conduct=quick) is None
    again.refresh_from_db()
    assert (again.state, again.commit, again.copy.exists()) == ("cancelled", "c" * 40, True)
    assert "had made the commit" in again.reason and again.address.endswith("c" * 40)
    assert LedgerEntry.objects.order_by("-pk")[0].verb == "checkpoint.pushed"


def test_a_worker_whose_token_is_for_another_hub_sends_it_nowhere(made: FinishedRun, settings: LazySettings) -> None:
    settings.HUB_TOKEN_FILE.write_text(TOKEN)
    row = push_checkpoint(user=made.run.created_by, checkpoint=made.rl, repository="me/it")
    settings.HUB_ENDPOINT = "https://hub.example"
    assert run_job(hub_copies.write_job(row), lambda: False) == 2


def test_the_sweeper_rings_for_a_copy_that_nobody_heard_of(made: FinishedRun) -> None:
    row = push_checkpoint(user=made.run.created_by, checkpoint=made.rl)
    rung: list[UUID] = []

    def wake(pk: UUID) -> bool:
        rung.append(pk)
        return True

    Sweeper(lambda _: True, wake_for_release_work=wake).sweep()
    assert rung == [row.pk]


@pytest.mark.parametrize(
    "name", ["it", "me/it/more", "../it", "me/..", "me/it name", "https://elsewhere/it", "-me/it", f"me/{'x' * 200}"]
)
def test_what_names_no_repository_is_refused(made: FinishedRun, name: str) -> None:
    assert not is_name(name)
    with pytest.raises(ReleaseRefused, match="ORG/NAME"):
        push_checkpoint(user=made.run.created_by, checkpoint=made.rl, repository=name)


def test_a_token_is_sent_only_where_nobody_listens() -> None:
    assert not reason_against("https://huggingface.co") and not reason_against("http://127.0.0.1:8080")
    for address in ("http://huggingface.co", "ftp://x", "https://", "https://user@host", ""):
        assert reason_against(address), address
