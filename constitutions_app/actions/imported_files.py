"""What an import keeps beside the words: the file's digest and facts, and its scenarios."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from uuid import UUID

from django.contrib.auth.models import User

from constitutions_app.actions.drafting import Refused
from constitutions_app.actions.scenarios import scenario_rows
from constitutions_app.core import scenarios
from constitutions_app.core.interchange import Imported
from constitutions_app.models import Constitution, Import, Scenario, Upload

MAX_LICENCE = 200


@dataclass(frozen=True)
class ImportedFile:
    """A file and what was understood of it. `licence` is in the words of whoever imports it; empty: not said.

    `linked_by` names who confirmed links between two lists, by principle key. `upload` is the waiting upload that the
    file came in: writing the file forgets it, so that it is written once.
    """

    found: Imported
    name: str
    data: bytes = field(repr=False)
    licence: str = ""
    linked_by: Mapping[str, str] = field(default_factory=dict)
    upload: UUID | None = None

    @property
    def digest(self) -> str:
        """sha256 of the file's bytes."""
        return hashlib.sha256(self.data).hexdigest()

    def told(self) -> dict[str, object]:
        """What the ledger says of it."""
        return {
            "file": self.name,
            "file_digest": self.digest,
            "format": self.found.format,
            "licence": self.licence,
            "scenarios": len(self.found.scenarios),
            "not_understood": len(self.found.not_understood),
        }


class AlreadyWritten(Refused):
    """The upload was written, or forgotten, by somebody else's press of the button, most often one's own second."""

    def __init__(self) -> None:
        super().__init__("This file was written or forgotten a moment ago. It was not written a second time.")


def use_up(file: ImportedFile) -> None:
    """First in the verb that writes a file: forget its upload, in the same transaction. Raises AlreadyWritten.

    Of two that delete one row the second waits for the first, and then finds nothing to delete.
    """
    if file.upload is not None and not Upload.objects.filter(pk=file.upload).delete()[0]:
        raise AlreadyWritten


def keep_file(user: User, constitution: Constitution, file: ImportedFile) -> Import:
    """Store the file's provenance and its scenarios; those that the constitution has word for word are left out."""
    kept = Import.objects.create(
        constitution=constitution,
        format=file.found.format,
        file_name=file.name[:200],
        file_digest=file.digest,
        licence=file.licence[:MAX_LICENCE],
        provenance=_provenance(file),
        not_understood=[asdict(item) for item in file.found.not_understood],
        imported_by=user,
    )
    origin = {"kind": "import", "import": kept.pk, "file": file.name[:200], "format": file.found.format}
    keep_scenarios(user, constitution, file.found.scenarios, origin)
    return kept


def keep_scenarios(
    user: User, constitution: Constitution, values: Iterable[scenarios.Scenario], origin: Mapping[str, object]
) -> list[Scenario]:
    """Store scenarios within another verb's transaction. Raises Refused naming one that does not fit."""
    known = {scenarios.digest(row.to_core()) for row in Scenario.objects.filter(constitution=constitution)}
    fresh = [value for value in values if scenarios.digest(value) not in known]
    return Scenario.objects.bulk_create(scenario_rows(user, constitution, fresh, origin))


def _provenance(file: ImportedFile) -> dict[str, dict[str, object]]:
    facts: dict[str, dict[str, object]] = {key: dict(said) for key, said in file.found.provenance.items()}
    for key, name in file.linked_by.items():
        facts.setdefault(key, {})["linked by"] = name
    return facts
