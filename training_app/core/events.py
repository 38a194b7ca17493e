"""`events.jsonl`: what a stage tells the world, one JSON object a line, numbered without gaps, safe against kills.

Lines are written whole and flushed one by one; `sync` (called by `progress`, once a batch) puts them on the disk. A
line torn by a kill is cut off when the log is opened again and numbering goes on from there. Records carry stable keys:
a record already written is never written again, so a restarted stage may simply offer everything it makes.
A small reserve file is given up when the disk is full, so that even that can still be reported.
"""

from __future__ import annotations

import errno
import importlib.metadata
import json
import math
import os
import platform
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from training_app.core.digests import digest_file
from training_app.core.engine import Engine, Engines
from training_app.core.errors import LOWER_RATE, BadInput, NotFinite, StageError

FILE = "events.jsonl"
RESERVE = ".reserve"
RESERVE_BYTES = 64 * 1024
PACKAGES = ("torch", "transformers", "trl", "accelerate", "datasets", "safetensors")
LAST_KINDS = frozenset({"finished", "failed", "stopped"})


@dataclass(frozen=True)
class Output:
    """A JSONL file a stage leaves behind: its path relative to `out`, sha256 and number of rows."""

    path: str
    digest: str
    rows: int


class EventLog:
    """The event log of one `out` folder. Open it with `EventLog(out)`; opening repairs a torn end."""

    def __init__(self, out: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._begin(out, clock)
        self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        os.ftruncate(self._file, self._end)
        _keep_reserve(out / RESERVE)

    def _begin(self, out: Path, clock: Callable[[], float]) -> None:
        """Take in what is there already; writes nothing."""
        self.out = out
        self.path = out / FILE
        self.seq = 0
        self.done = 0
        self.total = 0
        self.unit = ""
        self.last_kind = ""
        self.identity: str | None = None
        self.engines: dict[str, dict[str, Engine]] = {}
        """Role of a model → what it is used for → the engine the stage was begun with."""
        self._clock = clock
        self._keys: dict[str, set[str]] = {}
        self._started_at = clock()
        self._resumed_at = 0
        self._end = self._read_existing()

    # -- what is already there -----------------------------------------------------------------------------------

    def known(self, record: str) -> frozenset[str]:
        """The keys of the records of this kind written so far, in this process or before it was killed."""
        return frozenset(self._keys.get(record, ()))

    def has(self, record: str, key: str) -> bool:
        """Whether this record is already written."""
        return key in self._keys.get(record, ())

    def records(self, record: str) -> dict[str, dict[str, Any]]:
        """Key → data of the records of one kind, read back from the file in the order they were written."""
        return dict(self.iter_records(record))

    def iter_records(self, record: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """Key and data of each record of one kind, read back one by one: for those who need a little of each."""
        for event, _ in _good_lines(self.path):
            if event.get("record") == record:
                yield event["key"], event["data"]

    @property
    def is_finished(self) -> bool:
        """Whether the stage's work is already complete; a start then has nothing to do."""
        return self.last_kind == "finished"

    # -- telling -------------------------------------------------------------------------------------------------

    def started(
        self,
        *,
        device: str,
        dtype: str,
        total: int,
        unit: str,
        resumed_at: int = 0,
        notes: Sequence[str] = (),
        **extra: Any,
    ) -> None:
        """Say what is about to be done. Rates and estimates count from here and leave `resumed_at` out."""
        self.total, self.unit, self.done, self._resumed_at = total, unit, resumed_at, resumed_at
        self._started_at = self._clock()
        self._append(
            "started",
            device=device,
            dtype=dtype,
            total=total,
            unit=unit,
            resumed_at=resumed_at,
            versions=package_versions(),
            note=list(notes),
            identity=self.identity,
            **extra,
        )
        self.sync()

    def engine(self, role: str, engines: Engines) -> None:
        """Say, once, which engines compute for one of the stage's models; a resumed stage keeps to them."""
        self.engines[role] = dict(engines)
        self._append("engine", of=role, engines={use: asdict(engine) for use, engine in engines.items()})
        self.sync()

    def batch(self, record: str, keys: Sequence[str], together: Sequence[int]) -> None:
        """Say which items were computed as one batch, and the sizes of what was really computed together.

        `together` is one number for each time the batch was answered; more where memory made halves of it. In bfloat16
        a text depends on what it was computed with, so doing one item again means doing this batch again.
        """
        self._append("batch", of=record, keys=list(keys), together=list(together))

    def progress(
        self, done: int, *, tokens: int | None = None, prompt_tokens: Mapping[str, object] | None = None
    ) -> None:
        """Say how far the work is, with units per second and seconds left; puts everything so far on the disk.

        `tokens` are those written, `prompt_tokens` those of the prompts, "computed" and "reused".
        """
        self.done = done
        elapsed = self._clock() - self._started_at
        fresh = done - self._resumed_at
        rate = fresh / elapsed if fresh > 0 and elapsed > 0 else None
        eta = (self.total - done) / rate if rate else None
        self._append(
            "progress",
            done=done,
            total=self.total,
            unit=self.unit,
            eta_s=None if eta is None else round(max(eta, 0.0), 1),
            rate=None if rate is None else round(rate, 4),
            tokens=tokens,
            **({"prompt_tokens": dict(prompt_tokens)} if prompt_tokens else {}),
        )
        self.sync()

    def metric(self, step: int, values: Mapping[str, float]) -> None:
        """Write one point of the curves. Raises NotFinite, naming the value, instead of writing NaN or infinity."""
        for name, value in values.items():
            if not math.isfinite(value):
                raise NotFinite(
                    f"{name} became {value} at step {step}.",
                    f"Look at the newest rows of the dataset build. {LOWER_RATE}",
                )
        self._append("metric", step=step, values={name: float(value) for name, value in values.items()})

    def record(self, record: str, key: str, data: Mapping[str, Any]) -> bool:
        """Write one record unless its key is already there; returns whether it was written."""
        keys = self._keys.setdefault(record, set())
        if key in keys:
            return False
        self._append("record", record=record, key=key, data=dict(data))
        keys.add(key)
        return True

    def log(self, message: str, *, level: str = "info") -> None:
        """A sentence for the log tail of the run page; `level` is "info" or "warning"."""
        self._append("log", level=level, message=message)

    def checkpoint(
        self, *, path: str, digest: str, constitution_digest: str | None, files: int, weights_moved: Mapping[str, Any]
    ) -> None:
        """A finished checkpoint folder: `digest` is the sha256 of its manifest.json."""
        self._append(
            "checkpoint",
            path=path,
            digest=digest,
            constitution_digest=constitution_digest,
            files=files,
            weights_moved=dict(weights_moved),
        )
        self.sync()

    def finished(
        self, *, outputs: Mapping[str, Output] | None = None, summary: Mapping[str, Any] | None = None
    ) -> None:
        """The work is complete."""
        self._append(
            "finished",
            outputs={name: asdict(output) for name, output in (outputs or {}).items()},
            summary=dict(summary or {}),
        )
        self.sync()

    def failed(self, error: StageError) -> None:
        """The stage ends early; gives up the reserve first, so that a full disk can still be reported."""
        (self.out / RESERVE).unlink(missing_ok=True)
        self._append("failed", error=error.kind, message=error.message, advice=error.advice)
        self.sync()

    def stopped(self) -> None:
        """The stage was asked to stop and did so at a safe place."""
        self._append("stopped", done=self.done, total=self.total)
        self.sync()

    # -- files ---------------------------------------------------------------------------------------------------

    def write_output(self, record: str, name: str) -> Output:
        """Write every record's data of one kind to `name`.jsonl, sorted by key: the same file after any kill.

        Only keys and places in the log are held in memory, not the records.
        """
        return write_rows(self.out / f"{name}.jsonl", self._data_by_key(record))

    def sync(self) -> None:
        """Put what was told so far on the disk."""
        os.fsync(self._file)

    def close(self) -> None:
        """Close the file; the log can be opened again."""
        (self.out / RESERVE).unlink(missing_ok=True)
        os.close(self._file)

    def __enter__(self) -> EventLog:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- inside --------------------------------------------------------------------------------------------------

    def _data_by_key(self, record: str) -> Iterator[dict[str, Any]]:
        places: dict[str, int] = {}
        start = 0
        for event, size in _good_lines(self.path):
            if event.get("record") == record:
                places[event["key"]] = start
            start += size
        with self.path.open("rb") as file:
            for _, place in sorted(places.items()):
                file.seek(place)
                yield json.loads(file.readline())["data"]

    def _append(self, kind: str, **body: Any) -> None:
        line = encode({"seq": self.seq + 1, "at": _now(), "kind": kind, **body})
        try:
            _write_all(self._file, line, self._end)
        except OSError:
            os.ftruncate(self._file, self._end)  # never leave half a line for the next one to grow on
            raise
        self._end += len(line)
        self.seq += 1
        self.last_kind = kind

    def _read_existing(self) -> int:
        """Take in what an earlier process wrote; returns the length in bytes of the whole, good lines."""
        end = 0
        for event, size in _good_lines(self.path):
            end += size
            self.seq, self.last_kind = event["seq"], event["kind"]
            if event["kind"] == "record":
                self._keys.setdefault(event["record"], set()).add(event["key"])
            elif event["kind"] == "started":
                self.identity = event.get("identity")
            elif event["kind"] == "engine":
                self.engines[event["of"]] = _engines(event)
        return end


class SilentLog(EventLog):
    """The same log for the other processes of one stage: they read what is there, and what they tell is not written."""

    def __init__(self, out: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._begin(out, clock)

    def write_output(self, record: str, name: str) -> Output:
        return Output(f"{name}.jsonl", "", len(self._keys.get(record, ())))

    def sync(self) -> None:
        """Nothing was written."""

    def close(self) -> None:
        """Nothing was opened."""

    def failed(self, error: StageError) -> None:
        self.last_kind = "failed"

    def _append(self, kind: str, **body: Any) -> None:
        self.seq += 1
        self.last_kind = kind


def engines_in(path: Path) -> dict[str, Engines]:
    """Role of a model → the engines that a stage's log says it was begun with."""
    return {event["of"]: _engines(event) for event in read_events(path) if event["kind"] == "engine"}


def read_events(path: Path) -> list[dict[str, Any]]:
    """Every whole event of a log, in order; a torn last line is left out."""
    return [event for event, _ in _good_lines(path)]


def encode(event: Mapping[str, Any]) -> bytes:
    """One line of JSON. Lone surrogates, which UTF-8 cannot hold, become U+FFFD; NaN is refused (ValueError)."""
    text = json.dumps(event, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.encode("utf-8", errors="replace") + b"\n"


def write_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> Output:
    """Write rows as JSONL (sorted keys) aside, sync, rename: the file is whole or not there."""
    partial = path.with_name(path.name + ".partial")
    count = 0
    with partial.open("wb") as file:
        for row in rows:
            count += 1
            text = json.dumps(row, ensure_ascii=False, sort_keys=True, allow_nan=False)
            file.write(text.encode("utf-8", errors="replace") + b"\n")
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    return Output(path.name, digest_file(path), count)


def package_versions() -> dict[str, str]:
    """Version of Python and of each package that decides what comes out, as far as it is installed."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _good_lines(path: Path) -> Iterator[tuple[dict[str, Any], int]]:
    """Whole events with their length in bytes. A bad end is left out; a bad line with good ones after it is refused."""
    if not path.exists():
        return
    expected, bad_line = 1, 0
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            event = _event(line)
            if event is not None and not bad_line and event["seq"] == expected:
                expected += 1
                yield event, len(line)
            elif event is not None:
                raise BadInput(
                    f"{path.name} is damaged at line {bad_line or number}, before its end.",
                    "Move the stage's folder aside and run the stage again.",
                )
            else:
                bad_line = bad_line or number


def _engines(event: Mapping[str, Any]) -> dict[str, Engine]:
    return {use: Engine(**engine) for use, engine in event["engines"].items()}


def _event(line: bytes) -> dict[str, Any] | None:
    if not line.endswith(b"\n"):
        return None
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) and "seq" in event and "kind" in event else None


def _write_all(file: int, line: bytes, offset: int) -> None:
    written = 0
    while written < len(line):
        count = os.pwrite(file, line[written:], offset + written)
        if count == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written += count


def _keep_reserve(path: Path) -> None:
    if not path.exists():
        path.write_bytes(b"\0" * RESERVE_BYTES)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
