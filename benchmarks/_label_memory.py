"""The peak memory of a whole labelling job, run as the app runs it: one process of its own."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from benchmarks._measuring import peak_of
from tests.tiny_model import build_tiny_model
from tests.training_app.core.asking_jobs import write_asking_job

WORDS = "the other in and on there is not one that can be said of it without a word about what is meant by them"


def peak_of_labelling(count: int) -> float:
    """Megabytes a job of `count` comparisons of about 400 characters each takes at its peak; raises if it fails."""
    rows = [
        {
            "id": f"item-{number:06d}",
            "prompt": f"{number} {WORDS}",
            "response_a": f"{WORDS} {number}",
            "response_b": f"{WORDS} {number % 7} {WORDS}",
        }
        for number in range(count)
    ]
    with tempfile.TemporaryDirectory() as folder:
        model = build_tiny_model(Path(folder) / "tiny")
        params = {"template": "principle_last", "batch_size": 64}
        file = write_asking_job(Path(folder) / "job", "label", model, {"comparisons": rows}, params)
        return peak_of([sys.executable, "-m", "training_app.core.stage", str(file)])
