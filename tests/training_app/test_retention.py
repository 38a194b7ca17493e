"""Weights are deleted only where nothing rests on them, and what they were made of stays."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.core.management import CommandError, call_command
from django.utils import timezone

from constitutions_app.models import LedgerEntry
from tests.training_app.factories import FinishedRun, finished_run, queued_run
from tests.training_app.scenes import engineer
from training_app.actions import promote_checkpoint, prune_weights, sign_off, withdraw_alias
from training_app.models import Checkpoint, Run
from training_app.retention import prunable

pytestmark = pytest.mark.django_db


@pytest.fixture
def runs(tmp_path: Path, settings: LazySettings) -> list[FinishedRun]:
    """Three finished runs of one version, each with SL-CAI, reward model and RL-CAI, and files of 100 bytes."""
    settings.ARTIFACT_ROOT = tmp_path
    first = finished_run(engineer())
    made = [first, *(finished_run(engineer(), first.run.version) for _ in range(2))]
    for checkpoint in Checkpoint.objects.all():
        checkpoint.folder.mkdir(parents=True, exist_ok=True)
        for name in (*checkpoint.manifest["files"], "manifest.json"):
            (checkpoint.folder / name).write_bytes(b"x" * 100)
    return made


def offered(keep_runs: int = 1) -> set[Checkpoint]:
    return {one.checkpoint for one in prunable(keep_runs=keep_runs)}


def test_parents_and_reward_models_are_never_offered_and_the_newest_runs_keep_theirs(runs: list[FinishedRun]) -> None:
    assert offered(1) == {runs[0].rl, runs[1].rl}  # RL-CAI was made from SL-CAI by the reward model
    assert offered(2) == {runs[0].rl}
    assert offered(3) == set()


def test_what_was_promoted_or_signed_off_is_never_offered_not_even_later(runs: list[FinishedRun]) -> None:
    promote_checkpoint(user=engineer(), checkpoint=runs[0].rl, name="candidate")
    sign_off(user=engineer(), checkpoint=runs[1].rl, role="engineer", word="approve")
    assert offered() == set()
    withdraw_alias(user=engineer(), checkpoint=runs[0].rl, name="candidate")
    assert offered() == set()


def test_a_run_that_may_be_resumed_keeps_its_weights(runs: list[FinishedRun]) -> None:
    Run.objects.filter(pk=runs[0].run.pk).update(state="failed")
    assert offered() == {runs[1].rl}
    Run.objects.filter(pk=runs[0].run.pk).update(discarded=True)
    assert offered() == {runs[0].rl, runs[1].rl}


def test_a_run_that_another_goes_on_from_keeps_its_weights_until_that_has_ended(runs: list[FinishedRun]) -> None:
    going_on = queued_run(engineer(), runs[0].run.version)
    Run.objects.filter(pk=going_on.pk).update(source=runs[0].run)
    assert offered(2) == {runs[1].rl}
    Run.objects.filter(pk=going_on.pk).update(state="succeeded", finished_at=timezone.now())
    assert offered(2) == {runs[0].rl, runs[1].rl}


def test_the_command_lists_first_and_deletes_only_weights(runs: list[FinishedRun]) -> None:
    out = StringIO()
    call_command("prune_weights", keep_runs=2, stdout=out)
    assert "could be freed" in out.getvalue() and offered(2)
    call_command("prune_weights", keep_runs=2, delete=True, stdout=out)
    left = sorted(path.name for path in runs[0].rl.folder.iterdir())
    assert "manifest.json" in left and not any(name.endswith(".safetensors") for name in left)
    assert offered(2) == set() and any(runs[0].sft.folder.glob("*.safetensors"))
    assert LedgerEntry.objects.filter(verb="checkpoint.delete_weights").count() == 1
    with pytest.raises(CommandError, match="at least one"):
        call_command("prune_weights", keep_runs=0, stdout=out)


def test_what_was_promoted_meanwhile_is_left_alone(runs: list[FinishedRun]) -> None:
    promote_checkpoint(user=engineer(), checkpoint=runs[0].rl, name="candidate")
    assert prune_weights(user=None, checkpoint=runs[0].rl, keep_runs=1) == 0
    assert any(runs[0].rl.folder.glob("*.safetensors"))
