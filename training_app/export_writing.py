"""The file of an export, written stretch by stretch of the keys of its items, so that a kill costs a stretch.

A stretch is so many keys, not so many rows: however few of them fit, it is read by the index of keys and costs the
same, and how far the writing is can be told without counting. Where few fit, stretches grow. After each one the file
is on the disk and the row says how many bytes of it count, so that whoever goes on cuts off the rest. A Parquet file
has its index at its end, so one that broke off is begun anew.
"""

from __future__ import annotations

import io
import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from training_app.explorer.exported_texts import whole_lines
from training_app.export_blindness import asked_in, left_out_of
from training_app.export_sources import Columns, Source, source_of
from training_app.exports import RunRows, write_parquet
from training_app.models import Export

if TYPE_CHECKING:
    import pyarrow as pa

STRETCH = 20_000
"""Keys that are read at once where most of them fit."""
GROWN = 8
"""How many times as many where few do."""
HEAVY = 10
"""A stretch of items with texts has so many times fewer keys."""
ROW_GROUP = 2**24
"""Bytes of lines, about, that become one row group of Parquet: so much is in memory at once."""

REVISED = ("before", "critique", "revision")
CITED = ("principle_title", "principle_text")
HELD_EVERY = 500
"""Rows without a place among the keys, after which the row of the export is held on to."""

Keep = Callable[[Columns], None]
"""Writes columns of the row; raises once the row is somebody else's."""
Take = Callable[[int, int, int], tuple[int, Columns]]
"""Writes what lies between two keys, behind so many rows; returns how many it is, and where the file is by then."""


def write_file(export: Export, keep: Keep) -> int:
    """Write the unfinished file of an export; returns how many rows. Goes on where lines or pairs broke off."""
    if export.form != Export.Form.PARQUET:
        return _lines(export, source_of(export), keep)
    if export.run is not None:
        return _parquet_of_run(export, RunRows(export.run, export.what, left_out_of(export)), keep)
    return _parquet(export, source_of(export), keep)


def _lines(export: Export, source: Source, keep: Keep) -> int:
    goes_on = export.written > 0 and export.partial.is_file() and export.partial.stat().st_size >= export.written
    with export.partial.open("r+b" if goes_on else "wb") as file:
        file.truncate(export.written if goes_on else 0)
        file.seek(0, os.SEEK_END)
        if not goes_on:
            file.write(source.head)

        def put(blocks: Iterable[bytes]) -> int:
            rows = 0
            for block in blocks:
                file.write(block)
                rows += block.count(b"\n")  # a line break inside a value is written as two letters
            return rows

        def take(low: int, high: int, done: int) -> tuple[int, Columns]:
            rows = put(source.between(low, high, done))
            file.flush()
            os.fsync(file.fileno())
            return rows, {"written": file.tell(), **source.columns()}

        done = _walk(export, take, keep, *((export.place, export.done) if goes_on else (export.first - 1, 0)))
        done += put(_kept_alive(source.rest(done), keep))
        file.write(source.close())
        return done


def _kept_alive(blocks: Iterator[bytes], keep: Keep) -> Iterator[bytes]:
    """Blocks that have no stretches; every now and then the row is held on to."""
    for number, block in enumerate(blocks, start=1):
        yield block
        if number % HELD_EVERY == 0:
            keep({})


def _parquet(export: Export, source: Source, keep: Keep) -> int:
    import pyarrow as pa
    from pyarrow import json, parquet

    schema = _schema(asked_in(export).kind, with_texts=bool(export.texts))
    as_text = pa.schema([(one.name, pa.string() if pa.types.is_timestamp(one.type) else one.type) for one in schema])
    unexpected = "ignore" if export.texts else "error"  # turns of a conversation may say more than who said what
    options = json.ParseOptions(explicit_schema=as_text, unexpected_field_behavior=unexpected)
    with parquet.ParquetWriter(export.partial, schema) as writer:

        def take(low: int, high: int, done: int) -> tuple[int, Columns]:
            rows = 0
            for text in _gathered(source.between(low, high, done)):
                at_once = json.ReadOptions(block_size=len(text) + 1)  # a line may be longer than a usual block
                table = json.read_json(io.BytesIO(text), at_once, options).select(schema.names)
                writer.write_table(table.cast(schema))
                rows += table.num_rows
            return rows, {}

        return _walk(export, take, keep, export.first - 1, 0)


def _parquet_of_run(export: Export, source: RunRows, keep: Keep) -> int:
    begun = time.monotonic()

    def look(count: int) -> None:
        left = max(export.total - count, 0)
        keep({"done": count, "eta_s": (time.monotonic() - begun) * left / count if count else None})

    return write_parquet(source.rows((export.first, export.last)), export.partial, look)


def _gathered(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Whole lines, about ROW_GROUP bytes of them at a time."""
    kept = bytearray()
    for line in whole_lines(blocks):
        kept += line
        if len(kept) >= ROW_GROUP:
            yield bytes(kept)
            kept.clear()
    if kept:
        yield bytes(kept)


def _walk(export: Export, take: Take, keep: Keep, place: int, done: int) -> int:
    """Take every stretch behind a place, and keep how far that is; returns how many rows there are in all."""
    is_heavy = export.run is not None or bool(export.texts)
    usual = size = max(STRETCH // HEAVY, 1) if is_heavy else STRETCH
    pace = _Pace(export.first, export.last, place, time.monotonic())
    while place < export.last:
        high = min(place + size, export.last)
        rows, columns = take(place + 1, high, done)
        place, done = high, done + rows
        size = min(size * 2, GROWN * usual) if rows < usual // 4 else usual
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


def _schema(kind: str, *, with_texts: bool) -> pa.Schema:
    """The columns of a kind's lines (explorer/exporting.py, exported_texts.py), in their order."""
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
    return pa.schema([*columns[kind], ("created_at", time_of), *(_texts(kind) if with_texts else ())])


def _texts(kind: str) -> list[tuple[str, Any]]:
    """The further columns where texts are asked for (explorer/exported_texts.py)."""
    import pyarrow as pa

    text, number = pa.string(), pa.int64()
    asked = [("prompt", text), ("messages", pa.list_(pa.struct([("role", text), ("content", text)])))]
    pair, revised = [("response_a", text), ("response_b", text)], [(name, text) for name in REVISED]
    cited, version = [(name, text) for name in CITED], [("constitution", text), ("version_number", number)]
    columns: dict[str, list[tuple[str, Any]]] = {
        "label": [*asked, *pair, ("question", text), ("thoughts", pa.list_(text)), *cited, *version],
        "step": [*asked, *revised, *cited, *version],
        "comparison": [*asked, *pair, *version],
        "audit": [*asked, *pair, *revised, *cited, *version],
    }
    return [*columns[kind], ("severity", number), ("veiled", pa.bool_())]
