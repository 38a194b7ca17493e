"""Rows of a comma-separated file with their lines; a broken row costs only itself.

A quotation mark that is never closed would swallow the lines below it: reading goes on with the very next one. Empty
cells behind the last column, which spreadsheets like to write, are passed over.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from constitutions_app.core.interchange.documents import Document

_DELIMITERS = ",;\t"
_MAX_HEADER = 10_000
"""Characters of a header that are looked at; a longer one belongs to no table of principles."""


@dataclass(frozen=True)
class Row:
    """One row by column name, and the line in which it begins."""

    line: int
    cells: Mapping[str, str]
    spelled: Mapping[str, str]
    """Each column's name as the file spells it."""

    def cell(self, *names: str) -> str:
        """The first filled cell among the columns `names`, without white space around it."""
        return next((text for name in names if (text := self.cells.get(name, "").strip())), "")

    @property
    def text(self) -> str:
        """The row as one line, for a reason to quote."""
        return ", ".join(self.cells.values())


def column_name(cell: str) -> str:
    """A column's name as it is compared: small letters, with a hyphen for white space or an underscore."""
    return "-".join(cell.lower().replace("_", " ").split())


def header(document: Document) -> tuple[str, ...]:
    """The column names of the first line that is not blank."""
    return tuple(column_name(cell) for cell in _header_cells(document)[1])


def rows(document: Document) -> Iterator[Row]:
    """Every row that has as many cells as the header; the others go into the document's remarks."""
    skipped, cells = _header_cells(document)
    names = [column_name(cell) for cell in cells]
    spelled = dict(zip(names, cells, strict=True))
    for name in sorted(name for name, number in Counter(names).items() if number > 1):
        document.remarks.add(skipped + 1, name, f"The column {name!r} stands here more than once; the last one counts.")
    delimiter = _delimiter(document.lines[skipped])
    reader = csv.reader(_lines(document, skipped), delimiter=delimiter, strict=True)
    start, began, first, empty = skipped, skipped + 1, True, True
    while True:
        try:
            row = next(reader)
        except StopIteration:
            if empty:
                document.remarks.add(skipped + 1, document.lines[skipped], "There is no row below this header.")
            return
        except csv.Error as error:
            document.remarks.add(began, document.lines[began - 1], f"Not a row of comma-separated values: {error}.")
            row, empty = [], False
            if start + reader.line_num > began:
                start, first = began, False
                reader = csv.reader(_lines(document, start), delimiter=delimiter, strict=True)
        line, began = began, min(start + reader.line_num + 1, len(document.lines))
        if first:
            first = False
        elif row and any(cell.strip() for cell in row):
            empty = False
            while len(row) > len(names) and not row[-1].strip():
                row.pop()
            if len(row) == len(names):
                yield Row(line, dict(zip(names, row, strict=True)), spelled)
            else:
                reason = f"This row has {len(row)} cells, the header has {len(names)}."
                document.remarks.add(line, ", ".join(row), reason)


def _header_cells(document: Document) -> tuple[int, list[str]]:
    """How many blank lines come first, and the cells of the line after them."""
    skipped = next((index for index, line in enumerate(document.lines) if line.strip()), 0)
    line = document.lines[skipped]
    try:
        return skipped, next(csv.reader([line[:_MAX_HEADER]], delimiter=_delimiter(line)), [])
    except csv.Error:
        return skipped, []


def _delimiter(line: str) -> str:
    """Spreadsheets of some countries write semicolons; the header shows which sign is meant."""
    return max(_DELIMITERS, key=line.count)


def _lines(document: Document, skipped: int) -> io.StringIO:
    return io.StringIO("\n".join(document.lines[skipped:]), newline="")
