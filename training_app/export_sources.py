"""What a file of an export is made of, stretch by stretch: lines of JSON, preference rows of a run, annotated pairs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

from django.db.models import Q, QuerySet

from training_app.explorer.exporting import lines_between
from training_app.explorer.filters import PLURALS, Filters
from training_app.explorer.items import fitting
from training_app.export_annotators import Annotators
from training_app.export_blindness import asked_in, left_out_of
from training_app.export_pairs import Pairs
from training_app.export_veil import Veil, veil_of
from training_app.exports import RunRows, run_pairs
from training_app.models import Export
from training_app.preference_rows import LeftOut

Columns = dict[str, Any]


class Source(Protocol):
    """Blocks of bytes in which every row has one line break, which `head` and `close` have not to be counted by."""

    @property
    def head(self) -> bytes:
        """What stands before the rows."""

    def between(self, low: int, high: int, done: int) -> Iterator[bytes]:
        """The rows whose keys lie between two, both included; `done` rows stand in the file before them."""

    def rest(self, done: int) -> Iterator[bytes]:
        """Rows that have no place among the keys. Whoever goes on writes all of them anew."""

    def close(self) -> bytes:
        """What stands behind the rows."""

    def columns(self) -> Columns:
        """Columns of the export that whoever goes on behind a stretch needs."""


@dataclass(frozen=True)
class ItemLines:
    """Items of the explorer as lines of JSON, with their texts where there is a veil for them."""

    export: Export
    veil: Veil | None

    head = b""

    def between(self, low: int, high: int, done: int) -> Iterator[bytes]:
        """The lines of a stretch."""
        texts = self.veil.of if self.veil else None
        return lines_between(self._kind, self._fits, low, high, texts=texts)

    def rest(self, done: int) -> Iterator[bytes]:
        """Nothing stands behind them."""
        return iter(())

    def close(self) -> bytes:
        """The same."""
        return b""

    def columns(self) -> Columns:
        """Nothing needs to be known by whoever goes on."""
        return {}

    @cached_property
    def _kind(self) -> str:
        return asked_in(self.export).kind

    @cached_property
    def _fits(self) -> QuerySet[Any]:
        return _told(asked_in(self.export), left_out_of(self.export))


def source_of(export: Export) -> Source:
    """What the lines of an export's file are made of. A few queries."""
    icai, left_out = export.form == Export.Form.ICAI, left_out_of(export)
    if export.run is not None and icai:
        return run_pairs(export.run, left_out, (export.first, export.last), Annotators(export.noted))
    if export.run is not None:
        return RunRows(export.run, export.what, left_out)
    veil = veil_of(export.created_by, export.texts) if export.texts else None
    if not icai:
        return ItemLines(export, veil)
    asked = asked_in(export)
    about = {"description": f"{PLURALS[asked.kind]} of the explorer".capitalize(), "question": export.question,
             "dataset_name": str(export.pk), "texts": export.texts}  # fmt: skip
    return Pairs(asked.kind, _told(asked, left_out), export.first, export.last, about, left_out, veil,
                 annotators=Annotators(export.noted))  # fmt: skip


def _told(asked: Filters, left_out: LeftOut) -> QuerySet[Any]:
    """What fits, without what was hidden when the writing began. For audits that goes by what they are about."""
    rows = fitting(asked)
    if asked.kind == "audit":
        about_label = Q(label__isnull=False, label__in=left_out.labels)
        return rows.exclude(about_label).exclude(step__isnull=False, step__in=left_out.steps)
    of_kind = {"label": left_out.labels, "step": left_out.steps, "comparison": left_out.comparisons}
    return rows.exclude(pk__in=of_kind[asked.kind])
