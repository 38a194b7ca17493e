"""Outputs of finished stages that are no longer there: noticed when the run is taken up, and made again the same.

The stage is started again in its own folder. What it recorded it does not do anew: a lost file of records is written
again from the events. A lost checkpoint must be trained again; where arithmetic repeats it gets the very manifest it
had, so the row and everything that descends from it stay true, and where it does not, the stage says so and fails.
"""

from __future__ import annotations

import json

from training_app.core.checkpoints import PUBLISHED, REMAKE
from training_app.core.datasets import write_text
from training_app.models import Checkpoint, RunStage


def what_is_gone(stage: RunStage) -> str | None:
    """The first file a finished stage left that is missing, by name; None when all are there. Reads no content."""
    for output in stage.outputs.values():
        if not (stage.folder / output["path"]).is_file():
            return str(output["path"])
    made = Checkpoint.objects.filter(run=stage.run_id, stage=stage.slug).first()
    names = ["manifest.json", *made.manifest["files"]] if made else []
    return next((f"{PUBLISHED}/{name}" for name in names if made and not (made.folder / name).is_file()), None)


def prepare(stage: RunStage) -> None:
    """Leave the lost checkpoint's manifest in the stage's folder, for `core.checkpoints` to hold the new against."""
    stage.folder.mkdir(parents=True, exist_ok=True)
    made = Checkpoint.objects.filter(run=stage.run_id, stage=stage.slug).first()
    if made is not None:
        write_text(stage.folder / REMAKE, json.dumps({"digest": made.digest, "manifest": made.manifest}))
