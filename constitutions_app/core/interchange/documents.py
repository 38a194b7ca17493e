"""From the bytes of an unknown file to text with line numbers. Files are hostile: nothing here raises for content.

Text is UTF-8 (or UTF-16 with its mark), line ends become ``\\n``. Bytes that are no text and NULs are taken out and
noted by line, so that the rest of the file can still be read.
"""

from __future__ import annotations

import codecs
import re
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from constitutions_app.core.interchange.imported import Remarks

MAX_BYTES = 5_000_000
"""Largest file that is read. The largest real constitution known to us has 270 thousand characters."""

_NO_TEXT = re.compile("[\x00-\x08\x0e-\x1f\x7f\ud800-\udfff]")

Beside = Callable[[str], bytes | None]
"""Gives the bytes of a file that lies beside the imported one, by its relative path, or None where there is none."""


def nothing_beside(_path: str) -> bytes | None:
    """For files that come alone."""
    return None


@dataclass(frozen=True)
class Document:
    """A file as text, with the place where its problems are noted."""

    name: str
    text: str
    remarks: Remarks = field(default_factory=Remarks)
    beside: Beside = nothing_beside

    @cached_property
    def lines(self) -> list[str]:
        """The lines, without their ends; only ``\\n`` ends a line."""
        return self.text.split("\n")

    @cached_property
    def _starts(self) -> list[int]:
        starts = [0]
        for line in self.lines:
            starts.append(starts[-1] + len(line) + 1)
        return starts

    def line_at(self, offset: int) -> int:
        """The number, from 1, of the line that holds the character at `offset`."""
        return min(bisect_right(self._starts, offset), len(self.lines))

    @property
    def title(self) -> str:
        """A name for a constitution whose file does not say one: the file's name without ending and underscores."""
        stem = self.name.rsplit("/", 1)[-1].rsplit("\\", 1)[-1]
        stem = stem.rsplit(".", 1)[0] if "." in stem[1:] else stem
        words = " ".join(stem.replace("_", " ").replace("-", " ").split())
        return (words[:1].upper() + words[1:])[:200] or "Imported constitution"


def document(data: bytes, name: str, beside: Beside = nothing_beside) -> Document:
    """Decode `data`. What had to be taken out stands in the document's remarks."""
    remarks = Remarks()
    if len(data) > MAX_BYTES:
        remarks.add(0, name, f"The file is larger than {MAX_BYTES // 1_000_000} MB, so it was not read.")
        return Document(name, "", remarks, beside)
    text = _decode(data).replace("\r\n", "\n").replace("\r", "\n")
    if "\x00" in text or _has_undecoded(text):
        if len(_NO_TEXT.findall(text)) > len(text) // 20:
            remarks.add(0, name, "This is not a text file.")
            return Document(name, "", remarks, beside)
        text = _cleaned(text, remarks)
    return Document(name, text, remarks, beside)


def read_document(path: Path) -> Document:
    """Read a file from disk; what cannot be read becomes an empty document with a remark."""
    data, problem = read_limited(path)
    if data is None:
        empty = Document(path.name, "")
        empty.remarks.add(0, path.name, problem)
        return empty
    folder = path.resolve().parent
    return document(data, path.name, lambda relative: _read_beside(folder, relative))


def read_limited(path: Path) -> tuple[bytes | None, str]:
    """The bytes of an ordinary file and "", or None and a sentence. Reads at most a little more than MAX_BYTES."""
    try:
        if not path.is_file():
            # Devices and pipes would never end; folders hold no text.
            return None, "There is no such file." if not path.exists() else "This is not an ordinary file."
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1), ""
    except (OSError, ValueError) as error:
        return None, f"The file cannot be read: {getattr(error, 'strerror', None) or error}."


def _read_beside(folder: Path, relative: str) -> bytes | None:
    """A file below `folder`; links that lead out of it count as absent."""
    try:
        path = (folder / relative).resolve()
    except (OSError, ValueError, RuntimeError):
        return None
    if not path.is_relative_to(folder):
        return None
    data, _ = read_limited(path)
    return data if data is not None and len(data) <= MAX_BYTES else None


def _decode(data: bytes) -> str:
    """UTF-8 or marked UTF-16; bytes that do not decode become lone surrogates, to be found by `_cleaned`."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", "replace")
    return data.removeprefix(codecs.BOM_UTF8).decode("utf-8", "surrogateescape")


def _has_undecoded(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return True
    return False


def _cleaned(text: str, remarks: Remarks) -> str:
    lines = text.split("\n")
    for index, line in enumerate(lines):
        clean = line.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        if clean != line:
            remarks.add(index + 1, clean, "Some bytes of this line are not UTF-8; � stands for each.")
        if "\x00" in clean:
            clean = clean.replace("\x00", "")
            remarks.add(index + 1, clean, "NUL characters were taken out of this line.")
        lines[index] = clean
    return "\n".join(lines)
