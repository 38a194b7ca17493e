"""`manage.py demo`: the demo run. With `--wait` it is followed to its end, and its checkpoints are verified.

The last line of `--wait` is one JSON object: {"run", "state", "checkpoints": [{"stage", "path", "digest",
"constitution_digest"}]}. Where no worker takes the run within a few seconds, this command does the work itself.
"""

from __future__ import annotations

import json
import threading
import time
from argparse import ArgumentParser
from dataclasses import dataclass, field
from typing import Any

from django.contrib.auth.models import User
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, OutputWrapper
from django.db import connection

from constitutions_app import starter_material as constitutions
from constitutions_app.models import Version
from training_app import lineage, runner
from training_app import starter_material as prompts
from training_app.actions import launch_run, resume_run
from training_app.core.base_model import BUNDLED_NAME
from training_app.core.manifest import verify
from training_app.models import Checkpoint, Run, RunStage
from training_app.models.run import ENDED_STATES, RunState, StageState
from training_app.refusals import Refused

NAME = "Demo run"
CONSTITUTION = "harmless-assistant"
PATIENCE_S = 8.0
"""How long a worker may take to claim the run before this command does it itself."""

LOOK_EVERY_S = 1.0
SAY_EVERY_S = 15.0


class Command(BaseCommand):
    help = "Launches the demo run on the starter constitution, or goes on with the one there is."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--wait", action="store_true", help="follow the run to its end and verify its checkpoints")
        parser.add_argument("--base-model", default=BUNDLED_NAME, help="a folder under MODELS_ROOT")
        parser.add_argument("--preset", default="demo", help="demo, small or full")
        parser.add_argument("--seed", type=int, default=7)

    def handle(self, *args: Any, **options: Any) -> None:
        # On a fresh clone this is the first command to see the database.
        call_command("migrate", interactive=False, verbosity=0)
        call_command("load_starter", stdout=self.stdout)
        try:
            run = self._run(options)
        except Refused as error:
            raise CommandError(str(error)) from error
        if not options["wait"]:
            return
        self._follow(run.pk)
        self._report(Run.objects.select_related("version").get(pk=run.pk))

    def _run(self, options: dict[str, Any]) -> Run:
        """The newest demo run of the newest version, brought into motion; a new one where there is none."""
        version = Version.objects.filter(constitution__slug=CONSTITUTION).order_by("-number").first()
        user = User.objects.filter(is_superuser=True, is_active=True).order_by("pk").first()
        known = Run.objects.filter(name=NAME, version=version, preset=options["preset"], seed=options["seed"])
        run = known.filter(base_model__name=options["base_model"]).order_by("-number").first()
        if run is None:
            run = launch_run(
                user=user or constitutions.system_user(),
                version=version,
                base_model=options["base_model"],
                prompt_sets=prompts.load(constitutions.system_user()),
                preset=options["preset"],
                seed=options["seed"],
                name=NAME,
                say=self._say,
            )
            self._say(f"Launched {run} on {run.base_model['name']}, {version}, preset {run.preset}.")
        elif run.can_resume:
            self._say(f"{run} is {run.get_state_display()}; going on where it was.")
            run = resume_run(user=user or constitutions.system_user(), run=run, say=self._say)
        else:
            self._say(f"{run} is {run.get_state_display()}.")
        return run

    def _follow(self, run_id: Any) -> None:
        """A line whenever something moves, until the run has ended. Works on it where nobody else does."""
        watch = Watch(self.stdout)
        alone_since = time.monotonic()
        helper: threading.Thread | None = None
        while (run := Run.objects.get(pk=run_id)).state not in ENDED_STATES:
            watch.look(run)
            if run.lease_is_alive():
                alone_since = time.monotonic()
            elif time.monotonic() - alone_since > PATIENCE_S and (helper is None or not helper.is_alive()):
                self._say("No worker takes it; this command does the work itself.")
                helper = threading.Thread(target=_work, args=(run_id,), name="demo", daemon=True)
                helper.start()
                alone_since = time.monotonic()
            time.sleep(LOOK_EVERY_S)
        if helper is not None:
            helper.join()
        watch.look(run)

    def _report(self, run: Run) -> None:
        """Verify every checkpoint and print the JSON object. Raises CommandError unless all is well."""
        problems = [run.reason] if run.state != RunState.SUCCEEDED else []
        made = list(Checkpoint.objects.filter(run=run).select_related("version").order_by("pk"))
        for checkpoint in made:
            found = verify(checkpoint.folder)
            agreement = lineage.database_agrees(checkpoint)
            wrong = [*(problem.sentence for problem in found.problems), *([] if agreement.ok else [agreement.sentence])]
            problems += wrong
            words = wrong[0] if wrong else f"verifies ({len(found.checked)} checks)"
            self._say(f"Checkpoint {checkpoint.stage}: {words}")
        for problem in problems:
            self.stderr.write(problem)
        self._say(
            json.dumps(
                {
                    "run": str(run.pk),
                    "state": str(run.state),
                    "checkpoints": [
                        {
                            "stage": checkpoint.stage,
                            "path": str(checkpoint.folder),
                            "digest": checkpoint.digest,
                            "constitution_digest": checkpoint.constitution_digest,
                        }
                        for checkpoint in made
                    ],
                }
            )
        )
        if problems:
            raise SystemExit(1)

    def _say(self, sentence: str) -> None:
        self.stdout.write(sentence)
        self.stdout.flush()


@dataclass
class Watch:
    """Prints a line for a stage when it begins, every now and then while it works, and when it ends."""

    out: OutputWrapper
    _said: dict[str, str] = field(default_factory=dict)
    _at: float = 0.0

    def look(self, run: Run) -> None:
        for stage in RunStage.objects.filter(run=run):
            if stage.state == StageState.WAITING:
                continue
            changed = self._said.get(stage.slug) != stage.state
            due = stage.state == StageState.RUNNING and time.monotonic() - self._at > SAY_EVERY_S
            if changed or due:
                self._said[stage.slug] = stage.state
                self._at = time.monotonic()
                self.out.write(line_of(stage))
                self.out.flush()


def line_of(stage: RunStage) -> str:
    """One stage in one line: "  3/8 sft       running    12 of 40 steps, about 2 min left"."""
    parts = []
    if stage.total:
        parts.append(f"{stage.done} of {stage.total} {stage.unit}")
    if stage.state == StageState.RUNNING and stage.eta_s is not None:
        parts.append(f"about {_duration(stage.eta_s)} left")
    if stage.state == StageState.SUCCEEDED and stage.started_at and stage.finished_at:
        parts.append(f"took {_duration((stage.finished_at - stage.started_at).total_seconds())}")
    if stage.reason:
        parts.append(stage.reason)
    return f"  {stage.position}/8 {stage.slug:<9} {stage.state:<10} {', '.join(parts)}".rstrip()


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


def _work(run_id: Any) -> None:
    try:
        runner.run_once(run_id)
    finally:
        connection.close()
