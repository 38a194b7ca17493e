"""What a file of prompts would become, before anything is written: its columns, its first rows, every bad line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice

from training_app.core.dataset_files import rows_of
from training_app.prompt_files import Item, PromptFile
from training_app.refusals import PromptFileRefused

LOOKED_AT = 20
"""Rows whose fields are listed as columns; a file whose first ones lack a field hardly has it."""
SHOWN = 5
LONGEST_EXAMPLE = 120


@dataclass(frozen=True)
class Preview:
    """`columns`: name → the beginning of the first value seen; `shown`: the first items as they would be loaded."""

    columns: Mapping[str, str]
    shown: tuple[Item, ...]
    rows: int
    repeated: int
    problems: tuple[str, ...]


def preview(file: PromptFile) -> Preview:
    """Read the whole file without keeping it."""
    columns = _columns(file)
    shown: tuple[Item, ...] = ()
    try:
        shown = tuple(islice(file.each(), SHOWN))
        found = file.read()
    except PromptFileRefused as refusal:
        return Preview(columns, shown, 0, 0, refusal.problems)
    return Preview(columns, shown, found.rows, found.repeated, ())


def _columns(file: PromptFile) -> dict[str, str]:
    file.file.seek(0)
    columns: dict[str, str] = {}
    for _, row in islice(rows_of(file.file, file.name.lower(), most_unpacked=file.most_unpacked), LOOKED_AT):
        if not isinstance(row, str):
            for name, value in row.items():
                columns.setdefault(str(name), str(value)[:LONGEST_EXAMPLE])
    return columns
