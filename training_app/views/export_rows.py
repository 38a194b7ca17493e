"""A person's exports as their page shows them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from training_app.explorer.filters import PLURALS
from training_app.export_blindness import asked_in
from training_app.exports import ENDINGS
from training_app.models import Export
from training_app.templatetags.plainly import duration
from training_app.views.explorer_form import in_words

TEXTS = {"veiled": "without the texts that are veiled for you", "all": "with all texts"}


@dataclass(frozen=True)
class ExportRow:
    """One export: what is in it in words, and how far it is."""

    export: Export
    name: str
    asked: str
    """The question in words; empty where nothing is filtered."""
    query: str
    """The explorer's address of the question."""

    @property
    def texts(self) -> str:
        """Which texts stand in it, in words; empty where none or all of a run."""
        return TEXTS.get(self.export.texts, "")

    @property
    def left(self) -> str:
        """How long it will take from here, in words; empty where that is not known."""
        return f"{duration(self.export.eta_s)} left" if self.export.eta_s is not None else ""


def rows_of(exports: Iterable[Export]) -> list[ExportRow]:
    """The exports with their names. No query where their runs have been fetched."""
    return [_row(one) for one in exports]


def file_name(export: Export) -> str:
    """What the file is called when it is downloaded; nothing that anybody typed is in it."""
    what = export.what if export.run else PLURALS[asked_in(export).kind].replace(" ", "-")
    run = f"run-{export.run.number}-" if export.run else ""
    return f"{run}{what}-{export.pk.hex[:8]}.{ENDINGS[export.form]}".lower()


def _row(export: Export) -> ExportRow:
    if export.run:
        return ExportRow(export, f"{export.what.capitalize()} of run {export.run.number}", "", "")
    asked = asked_in(export)
    words = "; ".join(f"{name}: {value}" for name, value, _ in in_words(asked))
    return ExportRow(export, PLURALS[asked.kind], words, export.question)
