"""Stop and discard: of stages that are not finished, everything that only a resume would need is deleted.

Kept are the job, what the stage said (log and events), the outputs and checkpoints of finished stages, and every row:
records are frozen, and what somebody may have read or judged does not vanish.
"""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

from training_app import logs
from training_app.core.events import FILE as EVENTS
from training_app.jobs import JOB
from training_app.models import Run, RunStage
from training_app.models.run import StageState

KEPT = frozenset({JOB, EVENTS, logs.FILE})

log = logging.getLogger(__name__)


def drop_unfinished(run: Run) -> int:
    """Delete the resume states and half-made files of unfinished stages; returns how many bytes that freed.

    A file that cannot be deleted is told to the log and left: it costs room, and the run stays discarded.
    """
    freed = 0
    for stage in RunStage.objects.filter(run=run).exclude(state=StageState.SUCCEEDED):
        stage.run = run
        if not stage.folder.is_dir():
            continue
        for path in sorted(stage.folder.iterdir()):
            if path.name in KEPT:
                continue
            size = _size(path)
            try:
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
                freed += size
            except OSError as error:
                log.warning("%s of the discarded %s could not be deleted: %s", path, run, error)
    return freed


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() and not path.is_symlink() else [path]
    return sum(file.lstat().st_size for file in files if not file.is_dir())
