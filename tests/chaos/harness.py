"""kill -9 at random moments: what is killed, how long it takes until work goes on, and whether everything is whole.

The stages are scripted (a made-up model), everything else is real: PostgreSQL, Redis, Celery workers, the sweeper, the
supervisor that starts again what dies. A kill hits one stage program, one worker with its pool, Redis, PostgreSQL, or
all of it at once. *Restart* is the time from a kill until the runs it touched have moved on in the database (for Redis:
until it answers again). At the end every run must have succeeded, resumed by hand where it says truthfully that it
failed, and `check` looks at every event, record, manifest and ledger entry.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import psutil
from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection
from django.db.models import QuerySet, Sum
from django.db.models.functions import Coalesce

from cai_web.supervisor import FIRST_PAUSE_S, Child, Supervisor
from constitutions_app.ledger import verify as verify_ledger
from constitutions_app.models import Version
from tests.training_app import scripted
from tests.training_app.factories import published_version
from tests.training_app.scenes import comparisons, engineer, helpful, launched, red_team
from training_app.actions import resume_run
from training_app.core.events import read_events
from training_app.core.manifest import verify
from training_app.models import (
    AILabel,
    Checkpoint,
    Comparison,
    EvaluationAnswer,
    PromptSet,
    Run,
    RunEvent,
    RunStage,
    Trace,
    TraceStep,
)
from training_app.models.run import ENDED_STATES, RunState

STAGE_PROGRAM = "tests.training_app.scripted"
KINDS = ("stage", "worker", "redis", "postgres", "everything")
PATIENCE_S = 150.0
"""The longest a run may take to move on after a kill; anything beyond is a failure of the harness."""


@dataclass(frozen=True)
class Kill:
    """One kill: what, after how many seconds of the story, and how long until work went on."""

    kind: str
    at_s: float
    restart_s: float


@dataclass
class Story:
    """What happened, and what `check` found wrong."""

    kills: list[Kill] = field(default_factory=list)
    runs: int = 0
    resumed: int = 0
    records: int = 0
    problems: list[str] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)
    """Why runs ended early, in the app's own words."""

    def restart(self, share: float) -> float:
        """The restart time that this share of the kills stays within, in seconds."""
        times = sorted(kill.restart_s for kill in self.kills)
        return times[min(int(share * len(times)), len(times) - 1)] if times else 0.0

    def as_data(self) -> dict[str, Any]:
        """For the JSON file."""
        kinds = Counter(kill.kind for kill in self.kills)
        return {
            "kills": len(self.kills), "by_kind": dict(kinds), "runs": self.runs, "resumed_by_hand": self.resumed,
            "records": self.records, "problems": self.problems, "reasons": dict(self.reasons),
            "restart_s": {"median": round(self.restart(0.5), 2), "p99": round(self.restart(0.99), 2)},
            "restart_by_kind": {
                kind: round(max(kill.restart_s for kill in self.kills if kill.kind == kind), 2) for kind in kinds
            },
        }  # fmt: skip


@dataclass
class Chaos:
    """The app under fire. `servers` gives the process ids of PostgreSQL and Redis; `revive` starts those that died."""

    folder: Path
    environment: Mapping[str, str]
    servers: Callable[[], dict[str, int]]
    revive: Callable[[], object]
    workers: int = 2
    pause: float = 0.05
    """Seconds a scripted stage takes for one record, so that a kill finds it at work."""
    seed: int = 0
    story: Story = field(default_factory=Story)
    _began: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self.draw = random.Random(self.seed)  # moments to kill at
        self.supervisor = Supervisor(self.folder / "log", dict(self.environment), self._say)
        self._version: Version | None = None
        self._sets: Sequence[PromptSet] = ()

    # -- the app ---------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Two workers (each with a device of its own, as on two machines) and the sweeper."""
        for number in range(1, self.workers + 1):
            options = ["--queues", "gpu", "--concurrency", "1", "--pool", "prefork", "--hostname", f"gpu{number}@%h"]
            quick = ["--without-mingle", "--without-gossip", "--without-heartbeat", "--loglevel", "INFO"]
            program = [sys.executable, "-m", "celery", "--app", "tests.flows.scripted_worker", "worker"]
            self.supervisor.environment = {**self.environment, "DEVICES": f"chaos-{os.getpid()}-{number}"}
            self.supervisor.start(Child(f"gpu{number}", [*program, *options, *quick]))
        self.supervisor.start(Child("sweeper", [sys.executable, "manage.py", "sweep", "--every", "0.5"]))

    def stop(self) -> None:
        """Ends every child and whatever it started."""
        self.supervisor.stop()

    def launch(self) -> Run:
        """One more queued run."""
        if self._version is None:
            self._version = published_version(engineer())
            self._sets = (red_team(), helpful(), comparisons())
        script = {slug: {"pause": self.pause} for slug in scripted._RECORDS}
        self.story.runs += 1
        return launched(self._version, prompt_sets=list(self._sets), script=script, seed=self.story.runs)

    # -- the kills -------------------------------------------------------------------------------------------------

    def kill(self, kind: str) -> None:
        """Kill, and wait until what was touched has moved on. Raises AssertionError after PATIENCE_S."""
        working = {} if kind == "redis" else self._until(self._working, "a stage at work")
        under_way = _runs_of([stage for stages in working.values() for stage in stages])
        touched = self._strike(kind, working)
        began = time.monotonic()
        before = _on_disk(under_way if touched is None else touched)
        if kind == "redis":
            self._until(lambda: "Redis" in self.servers(), "Redis to answer")
        else:
            self._until(lambda: self._moved(before), f"runs to move on after killing {kind}")
        self.story.kills.append(Kill(kind, round(began - self._began, 1), round(time.monotonic() - began, 2)))

    def _strike(self, kind: str, working: Mapping[str, Sequence[psutil.Process]]) -> set[UUID] | None:
        """SIGKILL; returns the runs it touched, None for all that were under way."""
        for child in self.supervisor.children:
            child.pause = (
                FIRST_PAUSE_S  # as for a worker that dies once in a while; the supervisor waits longer for crash loops
            )
        if kind in ("stage", "worker"):
            name = self.draw.choice(sorted(working))
            touched = _runs_of(working[name])
            worker = next(child for child in self.supervisor.children if child.name == name)
            _kill(working[name] if kind == "stage" else _family(worker))
            return touched
        victims = self.servers()
        if kind == "everything":
            everyone = [child for child in self.supervisor.children if child.process is not None]
            at_work = [stage for stages in working.values() for stage in stages]
            _kill([*(one for child in everyone for one in _family(child)), *at_work])
            _kill_pids(victims.values())
            return None
        _kill_pids([victims["Redis" if kind == "redis" else "PostgreSQL"]])
        return None

    def _working(self) -> dict[str, list[psutil.Process]]:
        """Worker → the stages it runs, for those that run one whose words can still be read."""
        found = {child.name: [one for one in _stages_under(child) if _runs_of([one])] for child in self._workers()}
        return {name: stages for name, stages in found.items() if stages}

    def _moved(self, before: Mapping[UUID, int]) -> bool:
        """Whether each of these runs has ended, or more of its events are in the database than were on disk then."""
        runs = Run.objects.filter(pk__in=list(before)).annotate(at=Coalesce(Sum("stages__last_seq"), 0))
        return all(run.state in ENDED_STATES or run.at > before[run.pk] for run in runs)

    # -- to the end ------------------------------------------------------------------------------------------------

    def finish(self) -> None:
        """Wait for every run to end; resume by hand, once and again, those that say they failed or were lost."""
        for _ in range(5):
            self._until(
                lambda: not Run.objects.exclude(state__in=ENDED_STATES).exists(), "all runs to end", seconds=600.0
            )
            unfinished = list(Run.objects.exclude(state=RunState.SUCCEEDED))
            if not unfinished:
                return
            for run in unfinished:
                self.story.reasons[run.reason] += 1
                self.story.resumed += 1
                resume_run(user=engineer(), run=run)

    def check(self) -> Story:
        """Every record once, none missing, finished stages not redone, every manifest sound, the ledger whole."""
        for run in Run.objects.all():
            if run.state != RunState.SUCCEEDED:
                self.story.problems.append(f"{run} is {run.state}: {run.reason}")
            for stage in RunStage.objects.filter(run=run):
                stage.run = run
                self.story.problems += [f"{run}, {stage.slug}: {problem}" for problem in self._problems(run, stage)]
            for checkpoint in Checkpoint.objects.filter(run=run):
                if not verify(checkpoint.folder).ok:
                    self.story.problems.append(f"{run}: the checkpoint of {checkpoint.stage} does not verify")
        if not (ledger := verify_ledger()).ok:
            self.story.problems.append(f"the ledger: {ledger.problems[0].sentence}")
        return self.story

    def _problems(self, run: Run, stage: RunStage) -> list[str]:
        events = read_events(stage.folder / "events.jsonl")
        records = [event for event in events if event["kind"] == "record"]
        self.story.records += len(records)
        found = []
        if [event["seq"] for event in events] != list(range(1, len(events) + 1)) or stage.last_seq != len(events):
            found.append("events are missing")
        if [event["kind"] for event in events].count("finished") != 1:
            found.append("it was not finished exactly once")
        if len({(event["record"], event["key"]) for event in records}) != len(records):
            found.append("a record was written twice")
        for kind, count in Counter(event["record"] for event in records).items():
            if (rows := kept(run, kind)) != count:
                found.append(f"{count} records of {kind}, {rows} rows")
        return found

    # -- waiting ---------------------------------------------------------------------------------------------------

    def _until(self, question: Callable[[], Any], what: str, *, seconds: float = PATIENCE_S) -> Any:
        """Ask until the answer is yes, and return it; start again what died meanwhile, as `manage.py up` does."""
        deadline = time.monotonic() + seconds
        while True:
            self.supervisor.look()
            try:
                self.revive()
                if answer := question():
                    return answer
            except (DatabaseError, InterfaceError):
                connection.close()
            if time.monotonic() > deadline:
                raise AssertionError(f"Waited {seconds:.0f} s for {what} in vain.")
            time.sleep(0.05)

    def rest(self, most_s: float) -> None:
        """Let a random time pass, in which work goes on."""
        end = time.monotonic() + self.draw.uniform(0.0, most_s)
        self._until(lambda: time.monotonic() > end, "time to pass")

    def keep_busy(self, runs: int) -> None:
        """See to it that so many runs are under way or wait."""
        self._until(lambda: Run.objects.count() >= 0, "the database to answer")
        for _ in range(runs - Run.objects.exclude(state__in=ENDED_STATES).count()):
            self.launch()

    def _workers(self) -> list[Child]:
        return [child for child in self.supervisor.children if child.name.startswith("gpu") and child.process]

    def _say(self, sentence: str) -> None:
        with (self.folder / "story.txt").open("a", encoding="utf-8") as file:
            file.write(f"{time.monotonic() - self._began:7.1f} {sentence}\n")


def kept(run: Run, record: str) -> int:
    """How many rows of one kind of record the run has."""
    rows: dict[str, QuerySet[Any]] = {
        "response": Trace.objects.filter(run=run),
        "step": TraceStep.objects.filter(trace__run=run),
        "comparison": Comparison.objects.filter(run=run),
        "label": AILabel.objects.filter(run=run),
        "answer": EvaluationAnswer.objects.filter(run=run),
        "evaluation": run.evaluations.all(),
        **{
            one: RunEvent.objects.filter(stage__run=run, kind="record", data__record=one)
            for one in ("rollout", "first_batch")
        },
    }
    return rows[record].count()


def _family(child: Child) -> list[psutil.Process]:
    """The worker and its pool; its stages live in process groups of their own and are left to notice."""
    if child.process is None or child.process.poll() is not None:
        return []
    worker = psutil.Process(child.process.pid)
    pool = [one for one in worker.children(recursive=True) if STAGE_PROGRAM not in _words(one)]
    return [worker, *pool]


def _stages_under(child: Child) -> list[psutil.Process]:
    if child.process is None or child.process.poll() is not None:
        return []
    with suppress(psutil.Error):
        return [
            one for one in psutil.Process(child.process.pid).children(recursive=True) if STAGE_PROGRAM in _words(one)
        ]
    return []


def _runs_of(stages: Sequence[psutil.Process]) -> set[UUID]:
    """The runs whose folders these stage programs work in."""
    found: set[UUID] = set()
    for stage in stages:
        for word in _words(stage).split():
            with suppress(ValueError):
                found.add(UUID(Path(word).parent.parent.name))
    return found


def _on_disk(runs: Iterable[UUID]) -> dict[UUID, int]:
    """Run → how many events its stages have written."""
    root = Path(settings.ARTIFACT_ROOT) / "runs"
    return {run: sum(len(read_events(log)) for log in (root / str(run)).glob("*/events.jsonl")) for run in runs}


def _words(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def _kill(processes: Sequence[psutil.Process]) -> None:
    for process in processes:
        with suppress(psutil.Error):
            process.send_signal(signal.SIGKILL)


def _kill_pids(pids: Any) -> None:
    for pid in pids:
        with suppress(psutil.Error):
            _kill([psutil.Process(pid)])


def write(story: Story, path: Path) -> None:
    """The story as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(story.as_data(), indent=2) + "\n", encoding="utf-8")
