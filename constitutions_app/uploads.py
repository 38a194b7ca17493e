"""Read side of imports: an upload read anew, its two lists for linking, and the records of what was imported."""

from __future__ import annotations

import base64
from collections.abc import Sequence

from constitutions_app.core.interchange import Choice, Imported, paper_lists, read_bytes
from constitutions_app.core.principles import Principle
from constitutions_app.models import Constitution, Import, Upload


def imported(upload: Upload) -> Imported:
    """What is understood of an upload, with its second file, its examples and the links a person chose."""
    beside = {path: base64.b64decode(text) for path, text in upload.beside.items()}
    choices = None if upload.choices is None else {key: Choice(**said) for key, said in upload.choices.items()}
    return read_bytes(bytes(upload.data), upload.file_name, upload.format or None, _link(upload), beside, choices)


def lists_to_link(upload: Upload) -> tuple[list[Principle], list[Principle]] | None:
    """The paper's pairs and questions; None where the upload does not hold one file of each."""
    link = _link(upload)
    return None if link is None else paper_lists(bytes(upload.data), upload.file_name, link)


def links_chosen(upload: Upload, pair_ids: Sequence[str], questions: int) -> dict[str, object]:
    """The values of the linking form: what was chosen before, else position, confirmed by nobody."""
    values: dict[str, object] = {}
    for number, pair_id in enumerate(pair_ids):
        by_position: dict[str, object] = {"question": number if number < questions else None}
        choice = by_position if upload.choices is None else upload.choices.get(pair_id, {})
        question = choice.get("question")
        values[f"question-{number}"] = "" if question is None else str(question)
        values[f"confirmed-{number}"] = bool(choice.get("confirmed"))
    return values


def imports_of(constitution: Constitution) -> list[tuple[int, Import]]:
    """A constitution's imports with the numbers of their pages, newest first. One query."""
    rows = constitution.imports.select_related("imported_by").defer("provenance", "not_understood").order_by("pk")
    return list(enumerate(rows, start=1))[::-1]


def provenance_of(constitution: Constitution, key: str) -> list[tuple[int, Import, dict[str, object]]]:
    """What imported files say of one principle beyond its words, newest first, with the number of each import."""
    rows = list(constitution.imports.order_by("pk").values_list("pk", flat=True))
    found = constitution.imports.filter(provenance__has_key=key).order_by("-pk")
    return [(rows.index(one.pk) + 1, one, one.provenance[key]) for one in found]


def _link(upload: Upload) -> tuple[bytes, str] | None:
    return None if upload.link_data is None else (bytes(upload.link_data), upload.link_name)
