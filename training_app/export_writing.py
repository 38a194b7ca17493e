"""The items that fit a question, written into a file stretch by stretch of their keys, so that a kill costs a stretch.

A stretch is so many keys, not so many rows: however few of them fit, it is read by the index of keys and costs the
same, and how far the writing is can be told without counting. Where few fit, stretches grow. After each one the file
is on the disk and the row says how many bytes of it count, so that whoever goes on cuts off the rest.
"""

from __future__ import annotations

import io
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db.models import Q, QuerySet

from training_app.explorer.exporting import lines_between
from training_app.explorer.items import fitting
from training_app.export_blindness import asked_in, left_out_of
from training_app.models import Export

if TYPE_CHECKING:
    import pyarrow as pa

STRETCH = 20_000
"""Keys that are read at once where most of them fit."""
LONGEST = 8 * STRETCH
"""The same where few do. All of one stretch is in memory while Parquet is written."""

Columns = dict[str, Any]
Keep = Callable[[Columns], None]
"""Writes columns of the row; raises once the row is somebody else's."""
Take = Callable[[Iterator[bytes]], tuple[int, Columns]]
"""Writes the lines of a stretch; returns how many they were, and the columns that say where the file is."""


def write_items(export: Export, keep: Keep) -> int:
    """Write a question's items to the unfinished file; returns how many rows. Goes on where JSON lines broke off."""
    return _parquet(export, keep) if export.form == Export.Form.PARQUET else _lines(export, keep)


def _lines(export: Export, keep: Keep) -> int:
    goes_on = export.written > 0 and export.partial.is_file() and export.partial.stat().st_size >= export.written
    with export.partial.open("r+b" if goes_on else "wb") as file:
        file.truncate(export.written if goes_on else 0)
        file.seek(0, os.SEEK_END)

        def take(blocks: Iterator[bytes]) -> tuple[int, Columns]:
            rows = 0
            for block in blocks:
                file.write(block)
                rows += block.count(b"\n")  # a line break inside a value is written as two letters
            file.flush()
            os.fsync(file.fileno())
            return rows, {"written": file.tell()}

        return _walk(export, take, keep, *((export.place, export.done) if goes_on else (export.first - 1, 0)))


def _parquet(export: Export, keep: Keep) -> int:
    """A row group a stretch. A Parquet file has its index at its end, so one that broke off is begun anew."""
    import pyarrow as pa
    from pyarrow import json, parquet

    schema = _schema(asked_in(export).kind)
    as_text = pa.schema([(one.name, pa.string() if pa.types.is_timestamp(one.type) else one.type) for one in schema])
    options = json.ParseOptions(explicit_schema=as_text, unexpected_field_behavior="error")
    with parquet.ParquetWriter(export.partial, schema) as writer:

        def take(blocks: Iterator[bytes]) -> tuple[int, Columns]:
            if not (text := b"".join(blocks)):
                return 0, {}
            at_once = json.ReadOptions(block_size=len(text) + 1)  # a line may be longer than a usual block
            table = json.read_json(io.BytesIO(text), at_once, options).select(schema.names)
            writer.write_table(table.cast(schema))
            return table.num_rows, {}

        return _walk(export, take, keep, export.first - 1, 0)


def _walk(export: Export, take: Take, keep: Keep, place: int, done: int) -> int:
    """Hand every stretch behind a place on, and keep how far that is; returns how many rows there are in all."""
    kind, fits, size = asked_in(export).kind, _fitting(export), STRETCH
    pace = _Pace(export.first, export.last, place, time.monotonic())
    while place < export.last:
        high = min(place + size, export.last)
        rows, columns = take(lines_between(kind, fits, place + 1, high))
        place, done = high, done + rows
        size = min(size * 2, LONGEST) if rows < STRETCH // 4 else STRETCH
        keep({"place": place, **columns, **pace.told(place, done)})
    return done


@dataclass(frozen=True)
class _Pace:
    """How far a walk through keys is, and how long the rest will take."""

    first: int
    last: int
    begun_from: int
    begun_at: float

    def told(self, place: int, done: int) -> Columns:
        """The columns that say so once all keys up to `place` are read and `done` rows are written."""
        here, left = place - self.first + 1, self.last - place
        took = time.monotonic() - self.begun_at
        total = round(done * (here + left) / here)
        return {"done": done, "total": total, "eta_s": took * left / (place - self.begun_from)}


def _fitting(export: Export) -> QuerySet[Any]:
    """What fits, without what was hidden when the writing began. For audits that goes by what they are about."""
    asked, left_out = asked_in(export), left_out_of(export)
    rows = fitting(asked)
    if asked.kind == "audit":
        about_label = Q(label__isnull=False, label__in=left_out.labels)
        return rows.exclude(about_label).exclude(step__isnull=False, step__in=left_out.steps)
    of_kind = {"label": left_out.labels, "step": left_out.steps, "comparison": left_out.comparisons}
    return rows.exclude(pk__in=of_kind[asked.kind])


def _schema(kind: str) -> pa.Schema:
    """The columns of a kind's lines (explorer/exporting.py), in their order."""
    import pyarrow as pa

    number, text, share, time_of = pa.int64(), pa.string(), pa.float64(), pa.timestamp("us", "UTC")
    judged = [("agrees", number), ("overrides", number), ("state", text), ("final", text), ("final_choice", text),
              ("audits", number), ("audited_at", time_of)]  # fmt: skip
    cited = [("run", number), ("version", number), ("principle", number), ("key", text)]
    columns: dict[str, list[tuple[str, Any]]] = {
        "label": [("label", number), ("comparison", number), *cited, ("judge", text), ("p_a", share),
                  ("p_ab", share), ("p_ba", share), ("p_a_clamped", share), ("same_position", pa.bool_()), *judged],
        "step": [("step", number), ("trace", number), ("round", number), *cited, ("flags", pa.list_(text)), *judged],
        "comparison": [("comparison", number), ("key", text), ("source", text), ("run", number),
                       ("prompt_set", number), ("identical", pa.bool_()), ("human_choice", text)],
        "audit": [("audit", text), ("label", number), ("step", number), ("auditor", text), ("verdict", text),
                  ("choice", text), ("critique_fair", pa.bool_()), ("revision_better", pa.bool_()),
                  ("blind", pa.bool_()), ("confidence", number), ("reason", text), ("comment", text)],
    }  # fmt: skip
    return pa.schema([*columns[kind], ("created_at", time_of)])
