"""One stage done again from its recorded job file, beside what it left: does this machine make the same of it?

The job's paths are relative to its own folder, so a copy in a sibling folder (`03-sft.rerun-1`) reads the same inputs.
The rerun touches no row and no file of the run, and computes with the engines the stage was begun with. What is
compared are digests: of every output file, and of every file of the checkpoint but its manifest, which holds the moment
it was written. Where arithmetic is deterministic (a processor with the same number of threads, the same packages) they
agree.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from training_app import logs
from training_app.core.checkpoints import PUBLISHED
from training_app.core.digests import digest_file
from training_app.core.events import FILE as EVENTS
from training_app.core.events import EventLog, engines_in, read_events
from training_app.core.manifest import MANIFEST, read_manifest
from training_app.core.spread import LAUNCH
from training_app.jobs import JOB
from training_app.models import RunStage
from training_app.stage_process import stage_command, stage_environment

Command = Callable[[str, Path], list[str]]


class CannotRerun(Exception):
    """The recorded job is not there or not what it was, or the rerun failed; the message is one sentence."""


@dataclass(frozen=True)
class Compared:
    """One file of a stage: its digest as recorded and as made again; None where there is none."""

    name: str
    recorded: str | None
    again: str | None

    @property
    def same(self) -> bool:
        return self.recorded is not None and self.recorded == self.again


def rerun(stage: RunStage, environment: dict[str, str], *, command: Command = stage_command) -> Path:
    """Do a stage again in a folder of its own; returns that folder. Raises CannotRerun."""
    job = stage.folder / JOB
    if not job.is_file():
        raise CannotRerun(f"The stage {stage.slug} has no recorded job file; {job} is not there.")
    if digest_file(job) != stage.job_digest:
        raise CannotRerun(f"{job} is not the job the stage was done from: its digest differs from the recorded one.")
    folder = _free_folder(stage)
    folder.mkdir()
    for name in (JOB, LAUNCH):
        if (stage.folder / name).is_file():
            shutil.copyfile(stage.folder / name, folder / name)
    with EventLog(folder) as events:
        for role, engines in engines_in(stage.folder / EVENTS).items():
            events.engine(role, engines)
    words = [word for word in command(stage.slug, folder / JOB) if word != "--lifeline"]
    with (folder / logs.FILE).open("ab") as output:
        code = subprocess.run(
            words, cwd=folder, env=stage_environment(environment), stdin=subprocess.DEVNULL,
            stdout=output, stderr=subprocess.STDOUT, check=False,
        ).returncode  # fmt: skip
    if code != 0:
        raise CannotRerun(f"The rerun ended with exit code {code}: {logs.last_line(folder / logs.FILE)}")
    return folder


def compare(stage: RunStage, folder: Path) -> list[Compared]:
    """Every file the stage left against the one made again, by name."""
    recorded, again = _left(stage.folder), _left(folder)
    return [Compared(name, recorded.get(name), again.get(name)) for name in sorted(recorded.keys() | again.keys())]


def _left(folder: Path) -> dict[str, str]:
    """Name → digest as the finished event and the manifest say it: what was left then, not what lies there now."""
    found: dict[str, str] = {}
    for event in read_events(folder / EVENTS):
        if event["kind"] == "finished":
            found |= {output["path"]: output["digest"] for output in event["outputs"].values()}
    files = (read_manifest(folder / PUBLISHED) or {}).get("files") or {}
    return found | {f"{PUBLISHED}/{name}": file["sha256"] for name, file in files.items() if name != MANIFEST}


def _free_folder(stage: RunStage) -> Path:
    number = 1
    while (folder := stage.folder.with_name(f"{stage.folder.name}.rerun-{number}")).exists():
        number += 1
    return folder
