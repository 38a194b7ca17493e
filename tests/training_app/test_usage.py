"""What a stage uses: measured from outside, rarer the longer it runs, with GPUs where there are some."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from tests.base import wait_for
from tests.training_app.scenes import QUICK, launched
from training_app import usage
from training_app.models import MetricPoint
from training_app.runner import run_once
from training_app.usage import GIB, Usage, gpu_use


def test_it_counts_what_a_process_and_its_children_use() -> None:
    burn = "import time\nend = time.process_time() + 0.3\nwhile time.process_time() < end: pass\nprint(1, flush=True)\n"
    child = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {burn!r}]); {burn}input()"
    now = 0.0
    with subprocess.Popen([sys.executable, "-c", child], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        watch = Usage(process.pid, clock=lambda: now, gpus=dict)
        assert process.stdout is not None
        for _ in range(2):
            process.stdout.readline()
        now = 1.0
        found = watch.sample()
        process.communicate(b"\n")
    assert set(found) == {"use_cpu", "use_memory"}
    assert 25 <= found["use_cpu"] <= 500 and 0 < found["use_memory"] < 1
    now = 2.0
    assert watch.sample() == {}


def test_points_become_rarer() -> None:
    now, points = 0.0, 0
    watch = Usage(2**22 + 7, clock=lambda: now, gpus=dict)  # nobody's: looking is quick
    while now < 24 * 3600:
        now += 5.0
        if watch.due():
            watch.sample()
            points += 1
    assert 300 < points < 1200


class NVMLError(Exception):
    """As in NVIDIA's library."""


def library(count: int, *, broken: str = "") -> Any:
    def init() -> None:
        if broken == "init":
            raise NVMLError

    def rates(handle: int) -> Any:
        if broken == "rates":
            raise NVMLError
        return SimpleNamespace(gpu=40 + 20 * handle)

    return SimpleNamespace(
        NVMLError=NVMLError, nvmlInit=init, nvmlShutdown=lambda: None, nvmlDeviceGetCount=lambda: count,
        nvmlDeviceGetHandleByIndex=lambda index: index, nvmlDeviceGetUtilizationRates=rates,
        nvmlDeviceGetMemoryInfo=lambda handle: SimpleNamespace(used=3 * GIB),
    )  # fmt: skip


def test_gpus_are_asked_where_there_are_some() -> None:
    assert gpu_use(library(2)) == {"use_gpu": 50.0, "use_gpu_memory": 6.0}
    assert gpu_use(library(0)) == gpu_use(library(1, broken="init")) == gpu_use(library(1, broken="rates")) == {}
    import pynvml

    assert all(hasattr(pynvml, name) for name in vars(library(1)))  # the names are the library's own


@pytest.mark.django_db(transaction=True)
def test_a_run_keeps_points_of_what_its_stages_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage, "EVERY_S", 0.05)
    run = launched(script={"generate": {"pause": 0.1}, "revise": {"fail": "bad_input"}})
    run_once(run.pk, conduct=QUICK)
    wait_for(lambda: MetricPoint.objects.filter(stage__run=run, name="use_memory", value__gt=0).exists())
    assert set(MetricPoint.objects.values_list("name", flat=True)) == {"use_cpu", "use_memory"}
