"""Our own format as JSON: indented for people and for line-based version control; the same bytes every time."""

from __future__ import annotations

import json

from constitutions_app.core.interchange.documents import Document
from constitutions_app.core.interchange.imported import Found
from constitutions_app.core.interchange.located_json import parse
from constitutions_app.core.interchange.own import as_data, read_data
from constitutions_app.core.principles import Constitution


def write(constitution: Constitution) -> str:
    """The constitution as JSON with a final line end."""
    return json.dumps(as_data(constitution), ensure_ascii=False, indent=2, allow_nan=False) + "\n"


def read(document: Document) -> Found:
    """What the document says; the rest stands in its remarks."""
    located = parse(document)
    return Found() if located is None else read_data(located.value, located.line, document.remarks)
