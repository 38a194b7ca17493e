"""What every benchmark shares: fair rounds, the ceilings of the machine, one table and one JSON file.

Candidates are timed in turn, round after round, so that whatever disturbs the machine disturbs all of them; a figure is
the median of at least five rounds with its smallest and largest. The machine's own ceilings (matrix products, memory
copy) are measured in the same run, so that a figure becomes a share of the possible. The JSON holds ::

    {"benchmark", "at", "machine": {"processor", "cores", "ceilings", …}, "versions",
     "results": {name: {"median", "min", "max", "unit"}}, "ratios": {name: candidate over baseline, greater is better},
     "notes": [...]}

The file's name begins with an underscore, so `make bench` does not run it.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
ROUNDS = 5
COPY_BYTES = 256 * 2**20


@dataclass(frozen=True)
class Figure:
    """One measured quantity over several rounds."""

    median: float
    min: float
    max: float
    unit: str

    @classmethod
    def of(cls, values: Sequence[float], unit: str) -> Figure:
        """The figure of some rounds' values."""
        return cls(statistics.median(values), min(values), max(values), unit)

    def per(self, amount: float, unit: str) -> Figure:
        """`amount` done in each of these times, as a rate (tokens over seconds → tokens/s)."""
        return Figure(amount / self.median, amount / self.max, amount / self.min, unit)


def timed(work: Callable[[], object]) -> float:
    """Seconds of wall time one call takes, work queued on a GPU included."""
    _finish_queued()
    start = time.perf_counter()
    work()
    _finish_queued()
    return time.perf_counter() - start


def interleaved(
    candidates: Mapping[str, Callable[[], object]], *, rounds: int = ROUNDS, warm_up: bool = True
) -> dict[str, Figure]:
    """Seconds of each candidate, one call each per round, beginning with another one every round."""
    names = list(candidates)
    for name in names if warm_up else ():
        candidates[name]()
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(rounds):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            seconds[name].append(timed(candidates[name]))
    return {name: Figure.of(values, "s") for name, values in seconds.items()}


# -- the machine -------------------------------------------------------------------------------------------------------


def machine(*, rounds: int = ROUNDS) -> dict[str, Any]:
    """Processor, cores, memory, GPU and measured ceilings of this machine."""
    import psutil
    import torch

    from training_app.core.device import choose_device, processor_flags, processor_name

    return {
        "processor": processor_name(),
        "cores": len(os.sched_getaffinity(0)),
        "threads": torch.get_num_threads(),
        "bfloat16": sorted(processor_flags() & {"avx512_bf16", "amx_bf16"}),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "device": choose_device().label,
        "load_before": round(os.getloadavg()[0], 2),
        "ceilings": ceilings(rounds=rounds),
    }


def ceilings(*, rounds: int = ROUNDS) -> dict[str, float]:
    """Best of `rounds`: matrix products in GFLOP/s (bfloat16, float32) and memory copy in GB/s."""
    import torch

    from training_app.core.device import choose_device

    device = choose_device().torch_name
    size = 8192 if device != "cpu" else 2048
    found = {}
    for dtype in (torch.bfloat16, torch.float32):
        left, right = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
        with torch.inference_mode():
            best = fastest(partial(torch.matmul, left, right), rounds)
        found[f"matmul_{str(dtype).removeprefix('torch.')}_gflops"] = round(2 * size**3 / best / 1e9, 1)
    source = torch.ones(COPY_BYTES, dtype=torch.uint8, device=device)
    target = torch.zeros_like(source)
    found["memory_copy_gb_per_s"] = round(2 * COPY_BYTES / fastest(partial(target.copy_, source), rounds) / 1e9, 1)
    return found


AT_PEAK = "import resource as r, subprocess as s, sys; code = s.call(sys.argv[2:]); \
open(sys.argv[1], 'w').write(str(r.getrusage(r.RUSAGE_CHILDREN).ru_maxrss)); sys.exit(code)"


def peak_of(command: Sequence[str]) -> float:
    """Megabytes a program takes at its peak; raises CalledProcessError if it fails.

    A process's peak begins with the memory of whoever started it, so it is started by a small one and not by this.
    """
    with tempfile.NamedTemporaryFile("r") as told:
        subprocess.run([sys.executable, "-c", AT_PEAK, told.name, *command], cwd=ROOT, check=True)
        return int(told.read()) * 1024 / 1e6


def fastest(work: Callable[[], object], rounds: int) -> float:
    """Seconds of the fastest of `rounds` calls after one to warm up: a ceiling, not a typical time."""
    work()
    return min(timed(work) for _ in range(rounds))


def versions(extra: Iterable[str] = ()) -> dict[str, str]:
    """Versions of Python and of what computes; `extra` names further packages (left out where not installed)."""
    import importlib.metadata

    from training_app.core.events import package_versions

    found = package_versions()
    for package in extra:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _finish_queued() -> None:
    import torch

    if torch.cuda.is_available():
        torch.cuda.synchronize()


# -- the report --------------------------------------------------------------------------------------------------------


@dataclass
class Report:
    """What one benchmark found. `results` and `ratios` by name; `notes` are sentences that belong to the figures."""

    benchmark: str
    machine: dict[str, Any]
    versions: dict[str, str]
    results: dict[str, Figure] = field(default_factory=dict)
    ratios: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def ratio(self, name: str, *, baseline: Figure, candidate: Figure) -> None:
        """Keep how many times faster the candidate is; both are times."""
        self.ratios[name] = round(baseline.median / candidate.median, 3)

    def print(self) -> None:
        """The table for people."""
        print(f"\n{self.benchmark} on {self.machine['device']}, {self.machine['cores']} cores")
        print("  ceilings: " + ", ".join(f"{name} {value:g}" for name, value in self.machine["ceilings"].items()))
        width = max(map(len, [*self.results, *self.ratios]), default=0)
        for name, figure in self.results.items():
            print(f"  {name:{width}} {figure.median:12.4g} {figure.unit:10} ({figure.min:.4g} to {figure.max:.4g})")
        for name, ratio in self.ratios.items():
            print(f"  {name:{width}} {ratio:12.2f} x")
        for note in self.notes:
            print(f"  {note}")

    def write(self, path: Path) -> None:
        """The JSON file; its folder is made."""
        path.parent.mkdir(parents=True, exist_ok=True)
        body = {**asdict(self), "at": datetime.now(UTC).isoformat(timespec="seconds")}
        path.write_text(json.dumps(body, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def options(benchmark: str, about: str) -> argparse.ArgumentParser:
    """The options every benchmark has; `about` is the first paragraph of its help."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument(
        "--json", type=Path, default=ROOT / "var" / "benchmarks" / f"{benchmark}.json", help="where the JSON goes"
    )
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="rounds per figure; at least 5 for one to quote")
    parser.add_argument("--model", type=Path, default=None, help="model folder (default: the bundled model)")
    return parser


def bundled_model() -> Path:
    """The folder of the bundled model under MODELS_ROOT (default var/models), unpacked on first use."""
    from training_app.core.base_model import BUNDLED_NAME, unpack_bundled_model

    root = Path(os.environ.get("MODELS_ROOT") or ROOT / "var" / "models")
    return unpack_bundled_model(root / BUNDLED_NAME, lambda line: print(line, flush=True))
