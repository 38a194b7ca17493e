"""Which labels of a run the verdicts of a file are about, or why none. Reads the run's comparisons, writes nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256

from training_app.core.audit_files import AuditFile, ReadAudit, read_audits
from training_app.models import AILabel, Audit, Run

LARGEST_FILE = 64 * 2**20


@dataclass(frozen=True)
class Meant:
    """One verdict of the file with a label it is about; a pair judged under several principles has several."""

    read: ReadAudit
    label: AILabel


@dataclass(frozen=True)
class MatchedFile:
    """A file read for one run. With anything in `problems`, nothing of it may be imported."""

    digest: str
    format: str
    meant: Sequence[Meant]
    problems: Sequence[str]
    passed_over: int

    @property
    def people(self) -> dict[str, int]:
        """How many verdicts each person of the file gives."""
        return dict(sorted(Counter(one.read.auditor for one in self.meant).items()))

    @property
    def overrides(self) -> int:
        return sum(verdict_on(one.label, one.read.choice) == Audit.Verdict.OVERRIDE for one in self.meant)


def match_file(content: bytes, run: Run) -> MatchedFile:
    """Read a file and find its labels in a run. One query."""
    digest = sha256(content).hexdigest()
    if len(content) > LARGEST_FILE:
        return MatchedFile(digest, "", (), (f"The file is larger than {LARGEST_FILE // 2**20} MiB; split it.",), 0)
    found = read_audits(content, tuple(Audit.Reason.values))
    meant, problems = _matched(found, run)
    problems = [*found.problems, *problems]
    if not meant and not problems:
        problems = ["The file holds no verdict of a person."]
    return MatchedFile(digest, found.format, tuple(meant), tuple(problems), found.passed_over)


def verdict_on(label: AILabel, choice: str) -> str:
    """What a choice means towards the AI's."""
    return Audit.Verdict.AGREE if choice == (label.ai_choice or Audit.Choice.NEITHER) else Audit.Verdict.OVERRIDE


def _matched(found: AuditFile, run: Run) -> tuple[list[Meant], list[str]]:
    by_key: dict[str, list[AILabel]] = {}
    keys = {one.comparison for one in found.audits}
    labels = AILabel.objects.filter(run=run, comparison__key__in=keys).select_related("comparison", "principle")
    for label in labels.defer("sent_ab", "sent_ba").order_by("pk"):
        by_key.setdefault(label.comparison.key, []).append(label)
    meant: list[Meant] = []
    problems: list[str] = []
    seen: set[tuple[int, str]] = set()
    what = "Pair" if found.format == "icai" else "Line"
    for one in found.audits:
        labels_of = by_key.get(one.comparison, [])
        if problem := _problem(one, labels_of, run):
            problems.append(f"{what} {one.place}: {problem}")
            continue
        for label in _cited(one, labels_of):
            if (label.pk, one.auditor) in seen:
                problems.append(f"{what} {one.place}: {one.auditor} judges this label twice in the file.")
            seen.add((label.pk, one.auditor))
            meant.append(Meant(one, label))
    return meant, problems


def _problem(one: ReadAudit, labels: Sequence[AILabel], run: Run) -> str:
    if not labels:
        return f"{run} has no labelled comparison {one.comparison[:80]!r}."
    if not _cited(one, labels):
        return f"the comparison was not judged under the principle {one.principle[:80]!r}."
    comparison = labels[0].comparison
    if one.texts is not None and one.texts != (comparison.response_a, comparison.response_b):
        return "its responses read otherwise than those of the comparison here."
    return ""


def _cited(one: ReadAudit, labels: Iterable[AILabel]) -> list[AILabel]:
    """The labels of the comparison under the principle that is named; all of them where none is."""
    return [
        label for label in labels if not one.principle or (label.principle and label.principle.key == one.principle)
    ]
