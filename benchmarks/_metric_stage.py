"""A stage that does nothing but report: so many metric events a second, evenly, for so many seconds.

    python -m benchmarks._metric_stage JOB.json --lifeline

The job's params say {"per_second", "seconds"}; each event carries five values, as a training step does.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from training_app.core import stage as program
from training_app.core.events import EventLog
from training_app.core.job import Job

VALUES = ("loss", "learning_rate", "grad_norm", "entropy", "token_accuracy")
PER_SECOND = 100
SECONDS = 30


def run(job: Job, events: EventLog, should_stop: Callable[[], bool]) -> None:
    """Report `PER_SECOND` times a second for `SECONDS` seconds."""
    total = PER_SECOND * SECONDS
    events.started(device="none", dtype="float32", total=total, unit="steps")
    began = time.monotonic()
    for step in range(1, total + 1):
        time.sleep(max(began + step / PER_SECOND - time.monotonic(), 0.0))
        events.metric(step, dict.fromkeys(VALUES, float(step)))
        events.progress(step)
    took = time.monotonic() - began
    events.finished(summary={"took_s": took})


if __name__ == "__main__":
    program.STAGES["sft"] = "benchmarks._metric_stage:run"
    sys.exit(program.main(prepare=lambda job: None))
