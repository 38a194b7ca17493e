"""The app with a database and artifacts of its own, for benchmarks that launch runs and bring them to their end.

The folder is thrown away unless one is named; then `VAR_DIR=FOLDER make run` shows what is in it afterwards.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks import _measuring as measuring


@contextmanager
def app_in(folder: Path) -> Iterator[None]:
    """The app with its own database under `folder`, tables ready; its services end with the block."""
    os.environ.update(
        VAR_DIR=str(folder), MODELS_ROOT=str(measuring.bundled_model().parent), HTTPS="0", DEBUG="0",
        COLLECTED_STATIC="0", DJANGO_SETTINGS_MODULE="cai_web.settings",
    )  # fmt: skip
    import django
    from django.conf import settings
    from django.core.management import call_command

    django.setup()
    try:
        call_command("migrate", verbosity=0)
        yield
    finally:
        settings.OWN_SERVICES.release()


def somebody() -> Any:
    """Who launches: a person who may do everything and cannot sign in."""
    from django.contrib.auth.models import User

    person, _ = User.objects.get_or_create(username="benchmark", defaults={"is_superuser": True, "is_staff": True})
    return person


def follow(runs: Sequence[Any], at_once: int = 1) -> None:
    """Bring every run to its end here, in their order, so many at a time; a line for each that ended."""
    from django.db import connection

    from training_app import runner
    from training_app.models import Run
    from training_app.models.run import ENDED_STATES

    def work(run: Run) -> None:
        try:
            if run.state not in ENDED_STATES:
                runner.run_once(run.pk)
            run.refresh_from_db()
            words = f"{run.name}, seed {run.seed}: {run.state} after {seconds_of(run):.0f} s {run.reason}".rstrip()
            print(f"  {words}", flush=True)
        finally:
            connection.close()

    with ThreadPoolExecutor(max_workers=at_once) as workers:
        list(workers.map(work, runs))


def seconds_of(run: Any) -> float:
    """From its first claim to its end; 0 while it has none."""
    return float((run.finished_at - run.started_at).total_seconds()) if run.finished_at and run.started_at else 0.0
