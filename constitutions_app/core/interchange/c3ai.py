"""C3AI's principles: a table with `id, source, item, statement, principle, name` and two columns that tag the framing.

`statement` ("The assistant should ..") is the rule, `principle` ("Choose the response that ..") its comparison
question, `item` the wording it was made from. Rows that lack some of them are still read.
"""

from __future__ import annotations

from constitutions_app.core.interchange.documents import Document
from constitutions_app.core.interchange.imported import Found, Provenance
from constitutions_app.core.interchange.naming import MAX_DOCUMENT, MAX_TAG, MAX_TITLE, Ids, short, title_from
from constitutions_app.core.interchange.tables import Row, header, rows
from constitutions_app.core.principles import Principle, Source, normalise

_FRAMINGS = {
    "positive-vs-negative-framing": "framing",
    "trait-vs-behavior-framing": "framing",
}
_KNOWN = {"id", "source", "item", "statement", "principle", "name", *_FRAMINGS}


def looks_like(document: Document) -> bool:
    """Whether the first line names this format's columns."""
    columns = set(header(document))
    return bool(columns & {"statement", "principle"}) and len(columns & _KNOWN) >= 2


def read(document: Document) -> Found:
    """What the document says; the rest stands in its remarks."""
    columns = header(document)
    if not {"statement", "principle", "item"} & set(columns):
        document.remarks.add(1, ", ".join(columns), "There is no column named statement, principle or item.")
        return Found()
    for name in columns:
        if name not in _KNOWN:
            reason = f"The C3AI format has no column {name!r}; it was left out."
            document.remarks.add(1, name, reason if name else "A column without a name was left out.")
    ids = Ids()
    principles: list[Principle] = []
    provenance: dict[str, Provenance] = {}
    for row in rows(document):
        principle = _principle(row, ids)
        if principle is None:
            document.remarks.add(row.line, row.text, "This row has no statement, no principle and no item.")
            continue
        principles.append(principle)
        provenance[principle.id] = {
            row.spelled[name]: text
            for name in ("id", "source", "item", *_FRAMINGS)
            if (text := normalise(row.cell(name)))
        }
    return Found(principles=tuple(principles), provenance=provenance)


def _principle(row: Row, ids: Ids) -> Principle | None:
    statement, question, item = (normalise(row.cell(name)) for name in ("statement", "principle", "item"))
    text = statement or item or question
    if not text:
        return None
    tags = (f"{tag}:{row.cell(column).lower()}" for column, tag in _FRAMINGS.items() if row.cell(column))
    return Principle(
        id=ids.keep(row.cell("id"), f"row-{row.line}"),
        title=short(normalise(row.cell("name")), MAX_TITLE) or title_from(text),
        text=text,
        rationale=f"Made from: {item}" if item and item != text else "",
        source=Source(document=short(normalise(row.cell("source")), MAX_DOCUMENT)),
        tags=tuple(dict.fromkeys(short(normalise(tag), MAX_TAG) for tag in tags)),
        comparison_question=question,
    )
