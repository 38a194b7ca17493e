"""How much of the processor, of memory and of the GPUs a stage uses, as points of its curves.

The worker looks at the stage's processes from outside, so a stage that hangs is seen too. Points are named
`use_cpu` (percent of one core, over all processes), `use_memory` (GiB resident), and where there are GPUs `use_gpu`
(percent, their mean) and `use_gpu_memory` (GiB, their sum); their step is the second since the stage was first started.
The longer a stage runs the rarer they become, so a day costs a few hundred points and not seventeen thousand.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import psutil

EVERY_S = 5.0
SHARE = 1 / 200
"""The pause between two points grows to this share of the time the stage has run."""

GIB = 2**30
NAMES = ("use_cpu", "use_memory", "use_gpu", "use_gpu_memory")

Values = dict[str, float]


class Usage:
    """Looks at one process and all it has started. `gpus` gives the GPU figures, empty where there are none."""

    def __init__(
        self, pid: int, *, clock: Callable[[], float] = time.monotonic, gpus: Callable[[], Values] | None = None
    ) -> None:
        self._pid = pid
        self._clock = clock
        self._gpus = gpus or gpu_use
        self._began = self._last = clock()
        self._seconds = self._cpu_seconds()

    def due(self) -> bool:
        """Whether it is time for another point."""
        now = self._clock()
        return now - self._last >= max(EVERY_S, SHARE * (now - self._began))

    def sample(self) -> Values:
        """The figures since the last call (processor) and at this moment (memory, GPUs); empty when it has ended."""
        now, before = self._clock(), self._seconds
        elapsed, self._last = now - self._last, now
        family = _family(self._pid)
        self._seconds = self._cpu_seconds()
        if not family or elapsed <= 0:
            return {}
        used = sum(seconds - before.get(key, 0.0) for key, seconds in self._seconds.items())
        memory = 0
        for process in family:
            with suppress(psutil.Error):
                memory += process.memory_info().rss
        return {"use_cpu": round(100 * used / elapsed, 1), "use_memory": round(memory / GIB, 3), **self._gpus()}

    def _cpu_seconds(self) -> dict[tuple[int, float], float]:
        """Seconds of processor time by process, named so that a reused id is another one."""
        found = {}
        for process in _family(self._pid):
            with suppress(psutil.Error):
                times = process.cpu_times()
                found[process.pid, process.create_time()] = times.user + times.system
        return found


def _family(pid: int) -> list[psutil.Process]:
    try:
        parent = psutil.Process(pid)
        return [parent, *parent.children(recursive=True)]
    except psutil.Error:
        return []


def gpu_total(library: Any = None) -> list[int]:
    """Bytes of memory of each GPU that NVIDIA's library sees; empty where it sees none."""
    try:
        nvml = library or __import__("pynvml")
    except ImportError:
        return []
    try:
        nvml.nvmlInit()
    except nvml.NVMLError:
        return []
    try:
        handles = [nvml.nvmlDeviceGetHandleByIndex(index) for index in range(nvml.nvmlDeviceGetCount())]
        return [int(nvml.nvmlDeviceGetMemoryInfo(handle).total) for handle in handles]
    except nvml.NVMLError:
        return []
    finally:
        nvml.nvmlShutdown()


def gpu_use(library: Any = None) -> Values:
    """Percent busy (mean) and GiB used (sum) of the GPUs NVIDIA's library sees; empty where it sees none."""
    try:
        nvml = library or __import__("pynvml")
    except ImportError:
        return {}
    try:
        nvml.nvmlInit()
    except nvml.NVMLError:
        return {}
    try:
        handles = [nvml.nvmlDeviceGetHandleByIndex(index) for index in range(nvml.nvmlDeviceGetCount())]
        if not handles:
            return {}
        busy = sum(nvml.nvmlDeviceGetUtilizationRates(handle).gpu for handle in handles) / len(handles)
        memory = sum(nvml.nvmlDeviceGetMemoryInfo(handle).used for handle in handles)
        return {"use_gpu": float(busy), "use_gpu_memory": round(memory / GIB, 3)}
    except nvml.NVMLError:
        return {}
    finally:
        nvml.nvmlShutdown()
