"""The benchmark of exports writes a file as a worker does, and leaves nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks import exports
from tests.training_app import factories
from training_app.models import Export

pytestmark = pytest.mark.django_db


def test_it_counts_the_rows_of_a_question_and_leaves_no_file(tmp_path: Path, settings: Any) -> None:
    settings.ARTIFACT_ROOT = tmp_path
    made = factories.finished_run(factories.person("ada"))
    for file in ("jsonl", "icai.all"):
        found = exports._written(file, f"kind=label&run={made.run.number}")
        assert found["rows"] == len(made.labels) and found["rows_per_s"] > 0
    assert not Export.objects.exists() and not list((tmp_path / "exports").iterdir())
