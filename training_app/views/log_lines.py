"""The newest lines of a stage, as its page shows them: what it told (events) and what its program printed (log.txt).

A stage that goes well prints little and tells much; one that breaks prints its traceback. Both are shown in the order
of their times; the whole of log.txt can be downloaded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from training_app import artifacts, logs
from training_app.models import RunEvent, RunStage
from training_app.plots import number
from training_app.templatetags.plainly import duration

LINES = 60
SHOWN_CURVES = ("loss", "reward", "kl")

LEVELS = {"WARNING": "warning", "ERROR": "error", "CRITICAL": "error", "warning": "warning", "error": "error"}
_PRINTED = re.compile(
    r"^(\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d)[.,]?(\d*)\S* (DEBUG|INFO|WARNING|ERROR|CRITICAL) (.*)$", re.DOTALL
)
_BEGINNING = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class LogLine:
    """One line: when it was written (None for the further lines of a traceback), its level, and its text."""

    at: datetime | None
    level: str
    text: str


def newest_lines(stage: RunStage, most: int = LINES) -> list[LogLine]:
    """The newest lines, oldest of them first. One query, and one look at the end of the log file."""
    told = RunEvent.objects.filter(stage=stage).exclude(kind="record").order_by("-pk")[:most]
    printed = list(_printed(stage, most))
    lines = [(line.at or _BEGINNING, 0, line) for line in map(told_line, told)][::-1]
    since = lines[0][0] if lines else _BEGINNING
    for line in printed:
        since = line.at or since
        lines.append((since, 1, line))
    lines.sort(key=lambda entry: entry[:2])
    return [line for _, _, line in lines[-most:]]


def told_line(event: RunEvent) -> LogLine:
    """An event as a line for people."""
    data: Mapping[str, Any] = event.data
    level = LEVELS.get(str(data.get("level")), "error" if event.kind == "failed" else "info")
    return LogLine(event.at, level, _WORDS.get(event.kind, _other)(data) or event.kind)


def printed_line(line: str) -> LogLine:
    """A line of log.txt; its times are UTC, as everywhere in the app."""
    found = _PRINTED.match(line)
    if not found:
        return LogLine(None, "info", line)
    when, fraction, level, text = found.groups()
    at = datetime.fromisoformat(when).replace(tzinfo=UTC, microsecond=int(fraction[:6].ljust(6, "0") or 0))
    return LogLine(at, LEVELS.get(level, "info"), text)


def _printed(stage: RunStage, most: int) -> Iterator[LogLine]:
    if (file := artifacts.open_log(stage)) is None:
        return iter(())
    with file:
        return iter([printed_line(line) for line in logs.tail_of(file, most) if line.strip()])


def _started(data: Mapping[str, Any]) -> str:
    behind = f", going on behind {data['resumed_at']}" if data.get("resumed_at") else ""
    work = f"{data.get('total') or ''} {data.get('unit') or ''}".strip()
    return ", ".join(filter(None, (f"started on {data.get('device', '')}", work))) + behind


def _engine(data: Mapping[str, Any]) -> str:
    engines: Mapping[str, Mapping[str, str]] = data.get("engines") or {}
    parts = [f"{use}s with {one['package']} {one['version']} in {one['dtype']}" for use, one in engines.items()]
    return f"{data.get('of', 'model')} {' and '.join(parts)}"


def _progress(data: Mapping[str, Any]) -> str:
    rate = f", {number(data['rate'])} a second" if isinstance(data.get("rate"), int | float) else ""
    left = f", {duration(data['eta_s'])} left" if isinstance(data.get("eta_s"), int | float) else ""
    return f"{data.get('done')} of {data.get('total')} {data.get('unit', '')}{rate}{left}"


def _batch(data: Mapping[str, Any]) -> str:
    together: list[int] = data.get("together") or []
    parts = f", computed as {' + '.join(map(str, together))}" if len(together) > 1 else ""
    return f"batch of {len(data.get('keys') or ())}{parts}"


def _metric(data: Mapping[str, Any]) -> str:
    values: Mapping[str, Any] = data.get("values") or {}
    shown = [f"{name} {number(values[name])}" for name in SHOWN_CURVES if isinstance(values.get(name), int | float)]
    return f"step {data.get('step')}: {', '.join(shown)}"


def _checkpoint(data: Mapping[str, Any]) -> str:
    return f"checkpoint {str(data.get('digest', ''))[:12]}, {data.get('files')} files"


def _failed(data: Mapping[str, Any]) -> str:
    return " ".join(str(data[part]) for part in ("message", "advice") if data.get(part))


def _other(data: Mapping[str, Any]) -> str:
    return str(data.get("message", ""))


_WORDS = {
    "started": _started,
    "engine": _engine,
    "progress": _progress,
    "batch": _batch,
    "metric": _metric,
    "checkpoint": _checkpoint,
    "failed": _failed,
}
