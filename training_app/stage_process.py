"""A stage as a process of its own: how it is started, asked to stop, and ended for certain.

It gets a process group of its own, so that everything it starts ends with it; a pipe as standard input whose other end
only this worker holds, so that it stops by itself when the worker is killed (`--lifeline`); and an environment without
the app's secrets. No shell is involved anywhere. Where it can be, it is forked from a process that has imported torch
and the trainers already (`warm_stages.py`); whoever watches it sees no difference.
"""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil
from django.conf import settings

from training_app import warm_stages
from training_app.core.spread import LAUNCH

LOCK = ".lock"
"""The file in a stage's folder that the running stage program holds locked (core/stage.py)."""

OUT_OF_MEMORY_COUNTERS = (Path("/sys/fs/cgroup/memory.events"), Path("/proc/vmstat"))
SECRETS = frozenset(
    {
        "DATABASE_URL", "CELERY_BROKER_URL", "SECRET_KEY", "DJANGO_SETTINGS_MODULE", "EMAIL_URL", "ARTIFACT_STORAGE",
        "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
    }
)  # fmt: skip
OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "PYTHONUNBUFFERED": "1"}
MULTI_PROCESS_STAGES = frozenset({"sft", "reward", "rl", "dpo"})
LAUNCHER = "accelerate.commands.launch"
GPUS_PER_STAGE = "GPUS_PER_STAGE"
"""Environment variable of a GPU worker: how many of its CUDA devices one training stage uses (default: one)."""


def stage_command(stage: str, job: Path) -> list[str]:
    """The argument list that runs a job: one Python process, or `accelerate launch` where its file lies beside it."""
    program = ["-m", "training_app.core.stage", str(job), "--lifeline"]
    launch = job.parent / LAUNCH
    if stage not in MULTI_PROCESS_STAGES or not launch.is_file():
        return [sys.executable, *program]
    return [sys.executable, "-m", LAUNCHER, "--config_file", str(launch), *program]


def processes_for(stage: str, environment: Mapping[str, str], *, wanted: int | None = None) -> int:
    """How many processes train a stage together: as the run says, else as the worker was told, else one."""
    told = environment.get(GPUS_PER_STAGE, "").strip()
    default = int(told) if told.isdigit() else 1
    return max(wanted or default, 1) if stage in MULTI_PROCESS_STAGES else 1


def stage_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """What the stage gets to know: the worker's environment without its secrets, offline, with its share of threads."""
    kept = {name: value for name, value in environment.items() if name not in SECRETS}
    kept.setdefault("OMP_NUM_THREADS", str(len(os.sched_getaffinity(0))))
    return kept | OFFLINE | {"PYTHONPATH": _python_path(environment)}


def _python_path(environment: Mapping[str, str]) -> str:
    return os.pathsep.join(part for part in (str(settings.BASE_DIR), environment.get("PYTHONPATH", "")) if part)


class StageProcess:
    """One running stage program."""

    def __init__(self, command: Sequence[str], *, folder: Path, log: Path) -> None:
        environment = stage_environment(os.environ)
        with log.open("ab") as output:
            forked = None
            if warm_stages.can_be_forked(command, environment):
                forked = warm_stages.fork_stage(
                    Path(command[3]), folder=folder, output=output.fileno(), environment=environment
                )
            self._process = forked or subprocess.Popen(
                list(command),
                cwd=folder,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def poll(self) -> int | None:
        """The exit code, negative for the signal that killed it; None while it runs.

        The process is looked at but not yet waited for: as long as it is not, no other process group can get its id.
        """
        if self._process.returncode is not None:
            return self._process.returncode
        info = os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if info is None:
            return None
        return info.si_status if info.si_code == os.CLD_EXITED else -info.si_status

    def ask_to_stop(self) -> None:
        """SIGTERM: finish the batch under way, save, exit with code 3.

        The processes of a training in several have sessions of their own (torch's launcher sees to that). They are
        asked one by one, and not the launcher, which would give them half a minute and no more.
        """
        if several := self._outside():
            for process in several:
                _send(process, signal.SIGTERM)
        else:
            self._signal(signal.SIGTERM)

    def end(self) -> None:
        """SIGKILL to whatever is left of the group, and wait. Safe to call again."""
        if self._process.returncode is None:
            several = self._outside()
            self._signal(signal.SIGKILL)
            for process in several:
                _send(process, signal.SIGKILL)
            self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()

    def _outside(self) -> list[psutil.Process]:
        """What it has started that does not belong to its process group."""
        try:
            family = psutil.Process(self._process.pid).children(recursive=True)
        except psutil.Error:
            return []
        return [process for process in family if _group_of(process.pid) not in (self._process.pid, None)]

    def _signal(self, number: signal.Signals) -> None:
        try:
            os.killpg(self._process.pid, number)
        except ProcessLookupError:
            return


def _group_of(pid: int) -> int | None:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return None


def _send(process: psutil.Process, number: signal.Signals) -> None:
    try:
        process.send_signal(number)  # psutil compares the start time first, so a reused id is left alone
    except psutil.Error:
        return


def out_of_memory_kills(*, files: Sequence[Path] = OUT_OF_MEMORY_COUNTERS) -> int:
    """How many processes the kernel has ended for lack of memory, here (control group) and on the machine."""
    total = 0
    for file in files:
        with suppress(OSError):
            for line in file.read_text(encoding="ascii", errors="replace").splitlines():
                name, _, count = line.partition(" ")
                total += int(count) if name == "oom_kill" and count.strip().isdigit() else 0
    return total


def wait_until_free(folder: Path, patience_s: float) -> bool:
    """Wait for the program of an earlier claim to let go of `folder`; False when it still holds it afterwards."""
    deadline = time.monotonic() + patience_s
    while not _is_free(folder / LOCK):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def _is_free(lock: Path) -> bool:
    try:
        handle = os.open(lock, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(handle)
    return True
