"""Whether a checkpoint's files still are what they were: every digest recomputed, manifest and signature looked up."""

from __future__ import annotations

from dataclasses import dataclass

from training_app import lineage, signatures
from training_app.artifacts import StorageFailed, fetch_checkpoint
from training_app.core.manifest import Problem, verify
from training_app.models import Checkpoint


@dataclass(frozen=True)
class Verified:
    """What recomputing every digest found: the sentences of what holds, and what does not."""

    checked: tuple[str, ...]
    problems: tuple[Problem, ...]

    @property
    def ok(self) -> bool:
        return not self.problems


def verification_of(read: Checkpoint) -> Verified:
    """Recompute every digest of the folder; hold manifest and signature against the database. Reads all of its files.

    Where workers exchange their files through a storage, what is not here is fetched first. Whether the signature holds
    for its key is `verify_checkpoint`'s: that is no work for the web process.
    """
    try:
        fetch_checkpoint(read)
    except StorageFailed as error:
        return Verified((), (Problem(read.path, str(error)),))
    found = verify(read.folder)
    agreement = lineage.database_agrees(read)
    held, problems = signatures.lies_beside(read)
    if agreement.ok:
        return Verified((*found.checked, agreement.sentence, *held), (*found.problems, *problems))
    known = any(problem.file == "manifest.json" for problem in found.problems)
    extra = () if known else (Problem("manifest.json", agreement.sentence),)
    return Verified((*found.checked, *held), (*found.problems, *extra, *problems))
