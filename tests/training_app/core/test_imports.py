"""What a stage imports before its work."""

from __future__ import annotations

import gc
import subprocess
import sys
from pathlib import Path

import pytest

from tests.training_app.core.asking_jobs import write_asking_job
from training_app.core.imports import MODEL, TRAINER, import_quickly, modules_for
from training_app.core.job import read_job


@pytest.mark.parametrize(
    ("stage", "backend", "expected"),
    [
        ("generate", "local", MODEL),
        ("label", "openai", ()),
        ("revise", "scripted", ()),
        ("rl", "local", TRAINER["rl"]),
        ("push", "local", ()),
        ("sign", "local", ()),
    ],
)
def test_a_stage_imports_a_model_or_a_trainer_where_it_needs_one(
    tmp_path: Path, stage: str, backend: str, expected: tuple[str, ...]
) -> None:
    job = read_job(write_asking_job(tmp_path, stage, tmp_path, {}, backend=backend))
    assert modules_for(job) == expected


def test_the_garbage_collector_is_off_while_importing_and_on_again_behind_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "heavy_for_once.py").write_text("import gc\nwas_on = gc.isenabled()\n")
    (tmp_path / "broken_for_once.py").write_text("1 / 0\n")
    monkeypatch.syspath_prepend(tmp_path)
    frozen = gc.get_freeze_count()
    try:
        import_quickly(("heavy_for_once",))
        assert sys.modules["heavy_for_once"].was_on is False
        assert gc.isenabled()
        assert gc.get_freeze_count() > frozen
        with pytest.raises(ZeroDivisionError):
            import_quickly(("heavy_for_once", "broken_for_once"))
        assert gc.isenabled()
    finally:
        gc.unfreeze()
        sys.modules.pop("heavy_for_once", None)


def test_what_decides_about_imports_imports_nothing_heavy() -> None:
    code = "import sys, training_app.core.stage; sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
