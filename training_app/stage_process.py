"""A stage as a process of its own: how it is started, asked to stop, and ended for certain.

It gets a process group of its own, so that everything it starts ends with it; a pipe as standard input whose other end
only this worker holds, so that it stops by itself when the worker is killed (`--lifeline`); and an environment without
the app's secrets. No shell is involved anywhere.
"""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from django.conf import settings

LOCK = ".lock"
"""The file in a stage's folder that the running stage program holds locked (core/stage.py)."""

SECRETS = frozenset({"DATABASE_URL", "CELERY_BROKER_URL", "SECRET_KEY", "DJANGO_SETTINGS_MODULE"})
OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "PYTHONUNBUFFERED": "1"}
MULTI_PROCESS_STAGES = frozenset({"sft", "reward", "rl"})
GPUS_PER_STAGE = "GPUS_PER_STAGE"
"""Environment variable of a GPU worker: how many of its CUDA devices one training stage uses (default: one)."""


def stage_command(stage: str, job: Path, *, processes: int = 1) -> list[str]:
    """The argument list that runs a job: one Python process, or `accelerate launch` where training has several GPUs."""
    program = ["-m", "training_app.core.stage", str(job), "--lifeline"]
    if processes <= 1 or stage not in MULTI_PROCESS_STAGES:
        return [sys.executable, *program]
    launcher = ["-m", "accelerate.commands.launch", "--multi_gpu", "--num_machines", "1", "--num_processes"]
    fixed = ["--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0"]
    return [sys.executable, *launcher, str(processes), *fixed, *program]


def processes_for(stage: str, environment: Mapping[str, str]) -> int:
    """How many processes a stage is to be trained with: one, unless the worker was told to use more GPUs together."""
    wanted = environment.get(GPUS_PER_STAGE, "").strip()
    return int(wanted) if stage in MULTI_PROCESS_STAGES and wanted.isdigit() and int(wanted) > 1 else 1


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
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                list(command),
                cwd=folder,
                env=stage_environment(os.environ),
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
        """SIGTERM to the whole group: finish the batch under way, save, exit with code 3."""
        self._signal(signal.SIGTERM)

    def end(self) -> None:
        """SIGKILL to whatever is left of the group, and wait. Safe to call again."""
        if self._process.returncode is None:
            self._signal(signal.SIGKILL)
            self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()

    def _signal(self, number: signal.Signals) -> None:
        try:
            os.killpg(self._process.pid, number)
        except ProcessLookupError:
            return


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
