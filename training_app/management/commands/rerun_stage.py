"""`manage.py rerun_stage RUN STAGE`: does one stage again from its recorded job file, and compares what it left."""

from __future__ import annotations

import os
import shutil
from argparse import ArgumentParser
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from constitutions_app.ledger import record
from training_app.models import Run, RunStage
from training_app.rerun import CannotRerun, compare, rerun


class Command(BaseCommand):
    help = "Does one stage of a run again, beside it, from its recorded job file. The run itself is not touched."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("run", help="the run's number or id")
        parser.add_argument("stage", help="the stage's slug, for example sft")
        parser.add_argument("--compare", action="store_true", help="fail unless every file has the recorded digest")
        parser.add_argument("--keep", action="store_true", help="keep the folder of the rerun")

    def handle(self, *args: Any, **options: Any) -> None:
        stage = _stage(options["run"], options["stage"])
        try:
            folder = rerun(stage, dict(os.environ))
        except CannotRerun as error:
            raise CommandError(str(error)) from error
        files = compare(stage, folder)
        for file in files:
            words = "same" if file.same else f"differs: {file.recorded} recorded, {file.again} now"
            self.stdout.write(f"{file.name:40} {words}")
        same = bool(files) and all(file.same for file in files)
        with transaction.atomic():
            data = {"stage": stage.slug, "job": stage.job_digest, "files": len(files), "same": same}
            record(actor=None, verb="run.rerun_stage", obj=stage.run, data=data)
        if not options["keep"]:
            shutil.rmtree(folder)
        self.stdout.write(f"{sum(file.same for file in files)} of {len(files)} files are the same.")
        if options["compare"] and not same:
            raise CommandError("The rerun did not make the same.")


def _stage(run: str, slug: str) -> RunStage:
    """The stage named on the command line. Raises CommandError."""
    runs = Run.objects.filter(number=int(run)) if run.isdecimal() else Run.objects.filter(pk=_uuid(run))
    stage = RunStage.objects.select_related("run").filter(run__in=runs, slug=slug).first()
    if stage is None:
        raise CommandError(f"There is no run {run} with a stage {slug!r}.")
    if stage.state != RunStage.State.SUCCEEDED:
        raise CommandError(
            f"The stage {slug} of {stage.run} is {stage.get_state_display()}; only a finished one counts."
        )
    return stage


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise CommandError(f"{text!r} is neither a run's number nor its id.") from error
