"""Following `events.jsonl` while a stage writes it: whole lines only, each once, from where the database left off."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

MOST_EVENTS = 500
"""Events taken in one go, so that one transaction stays short."""


class DamagedEvents(Exception):
    """A whole line of the log is not an event; the message names the line's place."""


@dataclass(frozen=True)
class Event:
    """One line of the log. `body` is everything it says."""

    seq: int
    kind: str
    at: str
    body: dict[str, Any]


@dataclass(frozen=True)
class Batch:
    """Events read together, and where in the file the line behind them begins."""

    events: tuple[Event, ...]
    end: int


class EventTail:
    """Reads on where it stopped. `after` is the last event that is in the database already; those are passed over."""

    def __init__(self, path: Path, *, after: int) -> None:
        self.path = path
        self.after = after
        self._offset = 0

    def take(self, most: int = MOST_EVENTS) -> Batch:
        """Up to `most` new events; a line that is not written to its end yet is left for the next time.

        Taking is not having: only `done` moves on, so what a failed transaction lost is read again.
        Raises DamagedEvents for a whole line that is no event.
        """
        try:
            with self.path.open("rb") as file:
                file.seek(self._offset)
                return self._read(file, most)
        except FileNotFoundError:
            return Batch((), self._offset)

    def done(self, batch: Batch) -> None:
        """Say that these events are in the database."""
        self._offset = batch.end
        if batch.events:
            self.after = batch.events[-1].seq

    def newest(self) -> int:
        """The number of the newest event in the file, 0 where there is none. What is damaged is passed over."""
        newest = 0
        with suppress(FileNotFoundError), self.path.open("rb") as file:
            for line in file:
                with suppress(DamagedEvents):
                    newest = _parse(line, 0).seq
        return newest

    def _read(self, file: BinaryIO, most: int) -> Batch:
        events: list[Event] = []
        end = self._offset
        for line in file:
            if not line.endswith(b"\n") or len(events) == most:
                break
            event = _parse(line, end)
            end += len(line)
            if event.seq > self.after:
                events.append(event)
        return Batch(tuple(events), end)


def _parse(line: bytes, offset: int) -> Event:
    try:
        body = json.loads(line)
        return Event(int(body["seq"]), str(body["kind"]), str(body["at"]), storable(body))
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise DamagedEvents(f"the event log is damaged at byte {offset}") from error


def storable(value: Any) -> Any:
    """`value` as PostgreSQL can hold it: text has no NUL there, though a model may well write one."""
    if isinstance(value, str):
        return value.replace("\x00", "")
    if isinstance(value, dict):
        return {storable(key): storable(part) for key, part in value.items()}
    if isinstance(value, list):
        return [storable(part) for part in value]
    return value
