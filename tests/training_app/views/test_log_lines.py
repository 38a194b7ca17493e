from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib.auth.models import User

from tests.training_app import factories
from training_app.models import RunEvent
from training_app.views.log_lines import newest_lines, printed_line, told_line

AT = datetime(2026, 11, 24, 15, 0, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("kind", "data", "level", "words"),
    [
        ("started", {"device": "CPU", "total": 7, "unit": "prompts", "resumed_at": 3}, "info",
         "started on CPU, 7 prompts, going on behind 3"),
        ("started", {"device": "CPU"}, "info", "started on CPU"),
        ("engine", {"of": "model", "engines": {"write": {"way": "sharing", "package": "torch", "version": "2.13.0",
         "dtype": "float32"}}}, "info", "model writes with torch 2.13.0 in float32"),
        ("progress", {"done": 3, "total": 7, "unit": "prompts", "rate": 0.07, "eta_s": 17.0}, "info",
         "3 of 7 prompts, 0.07 a second, 17 s left"),
        ("progress", {"done": 0, "total": 7, "unit": "prompts", "rate": None, "eta_s": None}, "info", "0 of 7 prompts"),
        ("batch", {"keys": ["p1", "p2", "p3"], "together": [2, 1]}, "info",
         "batch of 3, computed as 2 + 1"),
        ("metric", {"step": 4, "values": {"kl": 0.0125, "loss": 1.5, "grad_norm": 9}}, "info",
         "step 4: loss 1.5, kl 0.0125"),
        ("checkpoint", {"digest": "a" * 64, "files": 9}, "info", "checkpoint aaaaaaaaaaaa, 9 files"),
        ("log", {"level": "warning", "message": "2 rows left out"}, "warning", "2 rows left out"),
        ("failed", {"message": "Disk full.", "advice": "Make room."}, "error", "Disk full. Make room."),
        ("finished", {"summary": {}}, "info", "finished"),
        ("unheard_of", {}, "info", "unheard_of"),
    ],
)  # fmt: skip
def test_what_a_stage_told_reads_as_a_line(kind: str, data: dict[str, Any], level: str, words: str) -> None:
    line = told_line(RunEvent(kind=kind, at=AT, data=data))
    assert (line.at, line.level, line.text) == (AT, level, words)


def test_what_a_program_printed_keeps_its_time_and_level() -> None:
    line = printed_line("2026-11-24 15:00:05,250 WARNING careful")
    assert (line.at, line.level, line.text) == (AT.replace(microsecond=250_000), "warning", "careful")
    assert printed_line("Traceback (most recent call last):").at is None


@pytest.mark.django_db
def test_both_stand_in_the_order_of_their_times_and_tracebacks_stay_together(settings: Any, tmp_path: Any) -> None:
    settings.ARTIFACT_ROOT = tmp_path
    stage = factories.queued_run(User.objects.create_user("ada")).stages.get(slug="sft")
    for seq, (second, kind) in enumerate([(1, "started"), (9, "failed")], start=1):
        data = {"message": "A bug."} if kind == "failed" else {}
        RunEvent.objects.create(stage=stage, seq=seq, kind=kind, at=AT.replace(second=second), data=data)
    stage.folder.mkdir(parents=True)
    (stage.folder / "log.txt").write_text("2026-11-24 15:00:05,000 ERROR broken\nTraceback:\n  File x\n")
    texts = [line.text for line in newest_lines(stage)]
    assert [text.split()[0] for text in texts] == ["started", "broken", "Traceback:", "File", "A"]
    assert [line.text for line in newest_lines(stage, 2)][-1] == "A bug."
