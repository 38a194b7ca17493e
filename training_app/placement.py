"""Which run a worker takes next, and that two workers of one machine never train on the same devices.

A message only says that there is something to do. The worker takes the run whose lease has ended, if that is the one
the message names, and else the first of the queue: by priority, then by place, then by age. Taking it is the claim's
conditional UPDATE (leases.py), so whatever two workers read here, each run goes to one of them.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from django.conf import settings
from django.db.models import QuerySet
from django.db.models.functions import Now

from training_app.models import Run, RunQueue
from training_app.models.run import ACTIVE_STATES, RunState

DEVICES = "DEVICES"
"""Environment variable of a GPU worker: names of the devices it trains on, by commas. Default: the GPUs it sees."""

NVIDIA = re.compile(r"nvidia\d+")
MOST = 50
"""Runs looked at for one message; when all of them have been taken meanwhile, others ring again."""


def queued() -> QuerySet[Run]:
    """The queued runs in the order in which they are begun."""
    return Run.objects.filter(state=RunState.QUEUED).order_by("-priority", "place", "number")


def is_paused() -> bool:
    """Whether queued runs wait because people paused the queue. One query."""
    return RunQueue.objects.filter(paused=True).exists()


def candidates(named: UUID) -> Iterator[UUID]:
    """The runs a worker may try to claim, best first: the one named if its lease has ended, then the queue."""
    yield from Run.objects.filter(pk=named, state__in=ACTIVE_STATES, lease_expires_at__lt=Now()).values_list(
        "pk", flat=True
    )
    if not is_paused():
        yield from list(queued().values_list("pk", flat=True)[:MOST])


def next_in_queue() -> UUID | None:
    """The run to begin next, None when none waits or the queue is paused."""
    return None if is_paused() else queued().values_list("pk", flat=True).first()


@dataclass(frozen=True)
class Queue:
    """The queue at one moment: `runs` in the order in which they are begun."""

    paused: bool
    reason: str
    runs: tuple[UUID, ...]


def as_it_is() -> Queue:
    """The queue now. Two queries."""
    paused = RunQueue.objects.filter(paused=True).first()
    return Queue(paused is not None, paused.reason if paused else "", tuple(queued().values_list("pk", flat=True)))


def devices_of(environment: Mapping[str, str], *, device_files: Path = Path("/dev")) -> tuple[str, ...]:
    """The names of the devices a worker trains on: DEVICES, CUDA_VISIBLE_DEVICES, all NVIDIA GPUs, or "cpu"."""
    named = environment.get(DEVICES) or environment.get("CUDA_VISIBLE_DEVICES") or ""
    if names := sorted({name.strip() for name in named.split(",") if name.strip()}):
        return tuple(names)
    return _gpus_here(device_files) or ("cpu",)


def gpus_of(environment: Mapping[str, str], *, device_files: Path = Path("/dev")) -> int:
    """How many GPUs a worker's stages see: 0 where they compute on the processor."""
    here = _gpus_here(device_files)
    visible = environment.get("CUDA_VISIBLE_DEVICES")
    return len(here) if visible is None else min(len([name for name in visible.split(",") if name.strip()]), len(here))


def _gpus_here(device_files: Path) -> tuple[str, ...]:
    found: list[str] = []
    with suppress(OSError):
        found = sorted(path.name for path in device_files.iterdir() if NVIDIA.fullmatch(path.name))
    return tuple(name.removeprefix("nvidia") for name in found)


@contextmanager
def devices_held(names: tuple[str, ...]) -> Iterator[bool]:
    """Hold these devices for this process; False, holding none, while another worker of this machine trains on one.

    The locks are files under VAR_DIR, which every machine has for itself; the kernel lets go of them with the process.
    """
    folder = Path(settings.VAR_DIR) / "devices"
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as held:
        for name in sorted(names):  # in one order, so that two workers never wait for each other
            lock = os.open(
                folder / f"{re.sub(r'[^A-Za-z0-9_.-]', '_', name)}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
            )
            held.callback(os.close, lock)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                held.close()
                yield False
                return
        yield True
