"""What a run's judge and its critic said, as files other tools read: rows for TRL's trainers, and annotated pairs.

Rows are read from the database as they are written, so a million need no more memory than one. How a worker writes
the same files, and goes on with them, is in export_writing.py.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from django.db.models import QuerySet

from training_app import verdicts
from training_app.core.annotated_pairs import Annotator, Pair, write_pairs
from training_app.export_annotators import Annotators
from training_app.export_pairs import Pairs
from training_app.models import AILabel, Comparison, PairImport, PromptSet, Run, TraceStep
from training_app.preference_rows import CHUNK, NOTHING, Finals, LeftOut, Row, Span, label_rows, span_of, step_rows

Look = Callable[[int], None]
"""Is told now and then how many rows are written; what it raises ends the writing."""
LABELS, TRACES = "labels", "traces"
FORMATS: Mapping[str, tuple[str, ...]] = {LABELS: ("jsonl", "parquet", "icai"), TRACES: ("jsonl", "parquet")}
ENDINGS = {"jsonl": "jsonl", "parquet": "parquet", "icai": "json"}
SMALL = 5_000
"""Labels, or steps, that a request writes while somebody waits for it; larger runs are written by a worker."""
STRETCH = 2_000
"""Keys that are read at once where most of them are of the run."""


@dataclass(frozen=True)
class RunRows:
    """The preference rows of a run, to be written as JSON lines."""

    run: Run
    what: str
    left_out: LeftOut = NOTHING

    head = b""

    def rows(self, span: Span) -> Iterator[Row]:
        """Those of a span of keys."""
        rows = label_rows if self.what == LABELS else step_rows
        return rows(self.run, self.left_out, span, self._overridden)

    def between(self, low: int, high: int, done: int) -> Iterator[bytes]:
        """The lines of a stretch."""
        return (json.dumps(row, ensure_ascii=False, sort_keys=True).encode() + b"\n" for row in self.rows((low, high)))

    def rest(self, done: int) -> Iterator[bytes]:
        """Nothing stands behind them."""
        return iter(())

    def close(self) -> bytes:
        """The same."""
        return b""

    def columns(self) -> Row:
        """Nothing needs to be known by whoever goes on."""
        return {}

    @cached_property
    def _overridden(self) -> Finals:
        by_people = verdicts.overridden_labels if self.what == LABELS else verdicts.overridden_steps
        return by_people(self.run)


def rows_of_run(run: Run, what: str) -> QuerySet[Any]:
    """The labels of a run, or the steps of its traces."""
    return AILabel.objects.filter(run=run) if what == LABELS else TraceStep.objects.filter(trace__run=run)


def run_span(run: Run, what: str) -> Span:
    """The keys between which they lie. One query."""
    return span_of(rows_of_run(run, what))


def run_pairs(run: Run, left_out: LeftOut, span: Span, annotators: Annotators) -> Pairs:
    """A run's labels and the human comparisons it trains on as annotated pairs: every principle is an annotator."""
    human = Comparison.objects.filter(prompt_set__runs=run, source=Comparison.Source.HUMAN)
    alone = human.exclude(pk__in=left_out.comparisons).exclude(labels__run=run)
    about = {
        "description": f"AI labels of {run}",
        "dataset_name": run.name or str(run),
        "constitution_digest": run.version.digest,
        "prompt_sets": {one.slug: one.digest for one in PromptSet.objects.filter(runs=run)},
    }
    labels = AILabel.objects.filter(run=run).exclude(pk__in=left_out.labels)
    return Pairs("label", labels, *span, about, left_out, by_key=True, annotators=annotators, people=alone)


def is_small(run: Run, what: str) -> bool:
    """Whether a run has at most SMALL labels (or steps). One query, which reads so many keys and one more."""
    return len(rows_of_run(run, what).order_by().values_list("pk", flat=True)[: SMALL + 1]) <= SMALL


def write_export(run: Run, what: str, form: str, path: Path, left_out: LeftOut = NOTHING) -> int:
    """Write `what` ("labels", "traces") of a run as `form` to `path` at once; returns how many rows or comparisons.

    Raises KeyError for a form that `FORMATS` does not offer.
    """
    if form not in FORMATS[what]:
        raise KeyError(form)
    span = run_span(run, what)
    if form == "parquet":
        return write_parquet(RunRows(run, what, left_out).rows(span), path)
    source = RunRows(run, what, left_out) if form == "jsonl" else run_pairs(run, left_out, span, Annotators())
    return _write(source, span, path)


def _write(source: RunRows | Pairs, span: Span, path: Path) -> int:
    low, last = span
    count, size = 0, STRETCH
    with path.open("wb") as file:
        file.write(source.head)
        while low <= last:
            before, high = count, min(low + size - 1, last)
            for line in source.between(low, high, count):
                file.write(line)
                count += 1
            size = size * 2 if count - before < size // 4 else STRETCH  # a run may lie scattered among others
            low = high + 1
        for line in source.rest(count):
            file.write(line)
            count += 1
        file.write(source.close())
    return count


def imported_pairs(imported: PairImport) -> Iterator[str]:
    """A file of annotated pairs as it came: the same annotators, comparisons and annotations."""
    rows = imported.pairs.select_related("comparison").order_by("position").iterator(chunk_size=CHUNK)
    return write_pairs(
        [Annotator(**one) for one in imported.annotators],
        (
            Pair(
                one.comparison.key,
                one.prompt,
                one.comparison.response_a,
                one.comparison.response_b,
                one.annotations,
                (one.responders[0], one.responders[1]),
                one.metadata,
            )
            for one in rows
        ),
        default=imported.default_annotator,
        metadata=imported.metadata,
    )


def write_parquet(rows: Iterator[Row], path: Path, look: Look = lambda count: None) -> int:
    """A row group for every CHUNK rows; a file without rows has no columns but the three that trainers read."""
    import pyarrow as pa
    from pyarrow import parquet

    turns = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))
    columns = [(name, turns) for name in ("prompt", "chosen", "rejected")]
    first = list(itertools.islice(rows, 1))
    schema = pa.schema(columns)
    if first:
        rest = {name: value for name, value in first[0].items() if name not in dict(columns)}
        schema = pa.schema([*columns, *((name, pa.scalar(value).type) for name, value in rest.items())])
    count, ahead = 0, itertools.chain(first, rows)
    with parquet.ParquetWriter(path, schema) as writer:
        while batch := list(itertools.islice(ahead, CHUNK)):
            writer.write_table(pa.Table.from_pylist(batch, schema=schema))
            count += len(batch)
            look(count)
    return count
