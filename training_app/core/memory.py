"""How much memory there is and how much a piece of work took: measured, on the processor and on the GPU."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_STATUS = Path("/proc/self/status")
_RESET = Path("/proc/self/clear_refs")
_LIMITS = (  # of a container: what it may take, what it has taken
    (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")),
    (Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"), Path("/sys/fs/cgroup/memory/memory.usage_in_bytes")),
)


@dataclass
class Taken:
    """Bytes at the peak of a piece of work above what was in use before it; 0 where nobody can tell."""

    bytes: int = 0


def free_bytes(device: Any) -> int:
    """Bytes that can still be had: on the GPU, or in this machine or container."""
    import psutil
    import torch

    if device.type == "cuda":
        cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(torch.cuda.mem_get_info(device)[0]) + int(cached)
    free = [int(psutil.virtual_memory().available)]
    for limit, used in _LIMITS:
        with contextlib.suppress(OSError, ValueError):  # no container, or one without a limit ("max")
            free.append(int(limit.read_text()) - int(used.read_text()))
    return max(0, min(free))


def limit_bytes() -> int:
    """What this container may take in all; 0 where there is none, or one without a limit."""
    for limit, _ in _LIMITS:
        with contextlib.suppress(OSError, ValueError):
            return int(limit.read_text())
    return 0


@contextlib.contextmanager
def measured(device: Any) -> Iterator[Taken]:
    """Fills in what the block inside took at its peak."""
    import torch

    taken = Taken()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        yield taken
        taken.bytes = int(torch.cuda.max_memory_allocated(device)) - int(before)
        return
    with contextlib.suppress(OSError):
        _RESET.write_text("5", encoding="ascii")  # Linux: the peak of this process starts anew
    before = _resident("VmRSS")
    yield taken
    taken.bytes = max(0, _resident("VmHWM") - before)


def _resident(field: str) -> int:
    with contextlib.suppress(OSError):
        for line in _STATUS.read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith(f"{field}:"):
                return int(line.split()[1]) * 1024
    return 0
