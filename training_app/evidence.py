"""The evidence pack of a checkpoint: one zip that shows which words made it and who answered for them.

It holds the constitution's versions and what changed between them, approvals, label and audit statistics, evaluations,
the manifests of the checkpoint and of everything it was made from, sign-offs, and the ledger's entries about all of
these; no prompts and no answers. `verify.py` in it (core/verify_evidence.py) checks it without the app. Whoever has
yet to judge items blind gets it without the figures that these are in: of one label, the mean p(A) is that label's own.
"""

from __future__ import annotations

import difflib
import json
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.db.models import Avg, Count, Q, QuerySet
from django.utils import timezone

from constitutions_app.approvals import approvals_of
from constitutions_app.core import interchange
from constitutions_app.core.diff import diff_constitutions
from constitutions_app.core.principles import digest_of_text
from constitutions_app.ledger import name_of
from constitutions_app.models import LedgerEntry, Version
from training_app import lineage
from training_app.access import Person
from training_app.core import verify_evidence
from training_app.core.manifest import manifest_text
from training_app.core.statistics import Estimate, wilson
from training_app.explorer.blindness import kept_from
from training_app.explorer.tokens import FINALS, STATES, Fact, token
from training_app.model_card import card_of
from training_app.models import (
    AILabel,
    Audit,
    Checkpoint,
    CheckpointSignature,
    DatasetBuild,
    DatasetItem,
    HubCopy,
    LabelFacts,
)
from training_app.releases import release_of
from training_app.signatures import signing_of

SCHEMA = 1
WITHHELD = "withheld: whoever has yet to judge some of these labels blind is told no figure that they are in"
VERBS_ABOUT_WORDS = (
    "version.publish",
    "review.request",
    "review.verdict",
    "review.withdraw",
    "alias.move",
    "constitution.change_rules",
    "constitution.change_release_rules",
)
"""What the excerpt holds of a constitution's own entries: who published and approved, not every keystroke saved."""

README = """# Evidence pack

The checkpoint `{digest}` ({stage} of run {run}), made under {constitution} v{number}. Written {at}.

- `constitution/`: every version that led to those words, as canonical JSON (its sha256 is the version's digest) and as
  Markdown; `diffs/`: what each changed.
- `approvals.json`, `sign_offs.json`: who approved the words, who signed off the checkpoint.
- `statistics.json`: labels and people's verdicts by principle, and what they come to (`final`),
  with 95 % intervals; `evaluations.json`: what was
  measured.
- `manifests/`: this checkpoint, its parents and its reward model, byte for byte; `builds.json`: what they learnt from.
- `signature/`: the checkpoint's signature (OpenSSF model signing) and its public key, where it has one.
- `ledger.jsonl`: the entries of the ledger about all of these.
- `model_card.md`: the same facts to read.

No prompt, answer or critique is in it. Verify it with Python alone, no network:

    python verify.py
    python verify.py --weights FOLDER_OF_THE_CHECKPOINT

Whether the signature holds for its key takes more than Python's own library: `pip install model-signing`, then

    model_signing verify key FOLDER_OF_THE_CHECKPOINT --signature signature/model.sig --public_key signature/key.pub
"""


def file_name(checkpoint: Checkpoint) -> str:
    """What the zip is called."""
    return f"evidence-run-{checkpoint.run.number}-{checkpoint.stage}-{checkpoint.digest[:12]}.zip"


def write_evidence(checkpoint: Checkpoint, target: Path, *, reader: Person | None = None) -> str:
    """Write the pack to `target`; returns the sha256 of its index, by which the pack is known.

    `reader` is who takes it away: what would tell them of items they have yet to judge is withheld, and said to be.
    The number of queries does not grow with labels or audits. Raises OSError where the file cannot be written.
    """
    listed: dict[str, str] = {}
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in _files(checkpoint, reader):
            archive.writestr(name, text)
            listed[name] = digest_of_text(text)
        index = _json({"schema": SCHEMA, "checkpoint": checkpoint.digest, "files": listed})
        archive.writestr(verify_evidence.INDEX, index)
    return digest_of_text(index)


def _files(checkpoint: Checkpoint, reader: Person | None) -> Iterator[tuple[str, str]]:
    line = lineage.of_checkpoint(checkpoint)
    family = _family(line)
    versions = _history(line.version)
    yield "README.md", README.format(
        digest=checkpoint.digest, stage=checkpoint.stage, run=line.run.number, number=line.version.number,
        constitution=line.version.constitution.name, at=timezone.now().isoformat(timespec="seconds"),
    )  # fmt: skip
    yield "verify.py", Path(verify_evidence.__file__).read_text(encoding="utf-8")
    for version in versions:
        stem = f"constitution/{version.constitution.slug}-v{version.number}"
        yield f"{stem}.json", version.canonical
        yield f"{stem}.md", interchange.write(version.to_core(), "markdown")
    yield from _changes(versions)
    yield "approvals.json", _json(_approvals(versions))
    yield "sign_offs.json", _json(_sign_offs(checkpoint))
    yield "builds.json", _json([_build(one) for one in line.builds])
    yield "statistics.json", _json(_statistics(line.builds, reader))
    yield "evaluations.json", _json([{"model": one.model, "metrics": one.metrics} for one in line.evaluations])
    for one in family:
        yield f"manifests/{one.stage}-{one.digest[:12]}.json", manifest_text(one.manifest)
    signed = signing_of(checkpoint).made
    if signed is not None:
        yield "signature/model.sig", signed.bundle
        yield "signature/key.pub", signed.public_key
    yield "model_card.md", card_of(line)
    yield "ledger.jsonl", "".join(_lines(_excerpt(line, family, versions)))


def _family(line: lineage.CheckpointLineage) -> list[Checkpoint]:
    """The checkpoint and everything it was made from: its parents, its reward model, and that one's parents."""
    found: dict[int, Checkpoint] = {}
    waiting = [line.checkpoint.pk]
    rows = {one.pk: one for one in Checkpoint.objects.filter(run__in=[line.run.pk, line.run.records.pk])}
    while waiting:
        one = rows[waiting.pop()]
        found[one.pk] = one
        sources = (one.parent_id, one.reward_model_id)
        waiting += [pk for pk in sources if pk is not None and pk not in found]
    return [found[pk] for pk in sorted(found)]


def _history(version: Version) -> list[Version]:
    """The version and all that led to it, oldest first. One query per step back."""
    found: dict[int, Version] = {}
    waiting: set[int] = {version.pk}
    while waiting:
        rows = list(Version.objects.filter(pk__in=waiting).select_related("constitution", "author"))
        found.update({row.pk: row for row in rows})
        parents = {pk for row in rows for pk in (row.parent_id, row.second_parent_id) if pk is not None}
        waiting = parents - set(found)
    return [found[pk] for pk in sorted(found)]


def _changes(versions: Sequence[Version]) -> Iterator[tuple[str, str]]:
    """What each version changed against its parents: a sentence, and the lines of the Markdown that differ."""
    known = {version.pk: version for version in versions}
    for version in versions:
        for pk in (version.parent_id, version.second_parent_id):
            if pk is not None:
                yield _change(known[pk], version)


def _change(old: Version, new: Version) -> tuple[str, str]:
    before, after = old.to_core(), new.to_core()
    left, right = (f"{one.constitution.slug}-v{one.number}" for one in (old, new))
    was, now = (interchange.write(one, "markdown").splitlines() for one in (before, after))
    lines = "\n".join(difflib.unified_diff(was, now, left, right, lineterm=""))
    summary = diff_constitutions(before, after).summary
    return f"diffs/{left}..{right}.diff", f"# {summary}\n# {new.note.splitlines()[0]}\n{lines}\n"


def _approvals(versions: Sequence[Version]) -> list[dict[str, Any]]:
    given = approvals_of(versions)
    return [
        {
            "constitution": version.constitution.slug,
            "version": version.number,
            "digest": version.digest,
            "published_by": name_of(version.author),
            "published_at": version.created_at.isoformat(),
            "note": version.note,
            "approved_by": [
                {"person": name_of(one.person), "at": one.created_at.isoformat()} for one in given.get(version.pk, ())
            ],
        }
        for version in versions
    ]


def _sign_offs(checkpoint: Checkpoint) -> dict[str, Any]:
    release = release_of(checkpoint)
    return {
        "required_roles": [role.value for role in release.required],
        "missing_for_production": list(release.missing),
        "aliases": [
            {"name": one.name, "by": name_of(one.moved_by), "at": one.moved_at.isoformat()} for one in release.aliases
        ],
        "sign_offs": [
            {
                "role": one.role,
                "word": one.word,
                "note": one.note,
                "person": name_of(one.person),
                "at": one.created_at.isoformat(),
            }
            for one in release.all_sign_offs
        ],
    }


def _build(build: DatasetBuild) -> dict[str, Any]:
    return {
        "name": build.name,
        "stage": build.stage,
        "digest": build.digest,
        "rows": build.rows,
        "rules": build.rules,
        "made_at": build.created_at.isoformat(),
    }


def _statistics(builds: Sequence[DatasetBuild], reader: Person | None) -> list[dict[str, Any]]:
    """By principle: the labels these builds were made of, people's verdicts, and what these come to. Four queries.

    Of a principle with a label that the reader has yet to judge blind it is told how many there are, and no figure.
    """
    used = DatasetItem.objects.filter(build__in=builds, label__isnull=False).values("label")
    labels = AILabel.objects.filter(pk__in=used).values("principle__key", "principle__version__number")
    counted = labels.annotate(n=Count("pk"), mean=Avg("p_a"), same=Count("pk", filter=Q(same_position=True))).order_by(
        "principle__key", "principle__version__number"
    )
    audits = Audit.objects.filter(label__in=used).deciding()
    verdicts = {
        (row["label__principle__key"], row["label__principle__version__number"]): row
        for row in audits.values("label__principle__key", "label__principle__version__number").annotate(
            n=Count("pk"), overrides=Count("pk", filter=Q(verdict=Audit.Verdict.OVERRIDE))
        )
    }
    outcomes, kept = _outcomes(used), _kept_from(reader, labels)
    found = []
    for row in counted:
        key = (row["principle__key"], row["principle__version__number"])
        told = key not in kept
        said = verdicts.get(key, {"n": 0, "overrides": 0})
        found.append(
            {
                "principle": key[0] or "all principles at once",
                "version": key[1],
                "labels": row["n"],
                "mean_p_a": row["mean"] if told else WITHHELD,
                "same_position": _rate(wilson(row["same"], row["n"])) if told else WITHHELD,
                "verdicts": said["n"],
                "override_rate": _rate(wilson(said["overrides"], said["n"])) if told else WITHHELD,
                "final": _final(outcomes.get(key, {})) if told else WITHHELD,
            }
        )
    return found


def _kept_from(reader: Person | None, labels: QuerySet[AILabel, Any]) -> set[tuple[str | None, int | None]]:
    """Principles with a label that the reader has yet to judge blind; of nobody in particular none."""
    kept = None if reader is None else kept_from(reader, "label")
    if kept is None:
        return set()
    rows = labels.filter(pk__in=kept).order_by().values_list("principle__key", "principle__version__number")
    return set(rows.distinct())


def _outcomes(used: QuerySet[DatasetItem, Any]) -> dict[tuple[str | None, int | None], dict[str, int]]:
    """By principle and version, how many labels came to what, and how many by adjudication. One query."""
    facts = {one: token(Fact.STATE, place) for place, one in enumerate(STATES)}
    facts["adjudicated"] = token(Fact.FINAL, FINALS.index("adjudicated"))
    counts = {name: Count("pk", filter=Q(facets__contains=[fact])) for name, fact in facts.items()}
    names = ("label__principle__key", "label__principle__version__number")
    rows = LabelFacts.objects.filter(label__in=used, audited_at__isnull=False).values(*names).annotate(**counts)
    return {(row[names[0]], row[names[1]]): {name: row[name] for name in counts} for row in rows.order_by(*names)}


def _final(counts: Mapping[str, int]) -> dict[str, Any]:
    """What people's verdicts come to, by item: the last word where somebody had it; what is unresolved is no rate."""
    agreed, overridden = counts.get("agreed", 0), counts.get("overridden", 0)
    unresolved = counts.get("disputed", 0)
    return {
        "judged": agreed + overridden + unresolved,
        "adjudicated": counts.get("adjudicated", 0),
        "unresolved": unresolved,
        "overridden": _rate(wilson(overridden, agreed + overridden)),
    }


def _rate(estimate: Estimate) -> dict[str, Any]:
    return asdict(estimate)


def _excerpt(
    line: lineage.CheckpointLineage, family: Iterable[Checkpoint], versions: Iterable[Version]
) -> list[LedgerEntry]:
    """The ledger's entries about the words, the run, its data and its checkpoints, oldest first. Three queries."""
    constitutions = {str(version.constitution_id) for version in versions}
    about = Q(object_type="constitutions_app.constitution", object_id__in=constitutions, verb__in=VERBS_ABOUT_WORDS)
    about |= Q(object_type="training_app.run", object_id=str(line.run.pk))
    about |= Q(object_type="training_app.checkpoint", object_id__in=[str(one.pk) for one in family])
    signatures = CheckpointSignature.objects.filter(checkpoint=line.checkpoint).values_list("pk", flat=True)
    about |= Q(object_type="training_app.checkpointsignature", object_id__in=[str(pk) for pk in signatures])
    copies = HubCopy.objects.filter(checkpoint=line.checkpoint).values_list("pk", flat=True)
    about |= Q(object_type="training_app.hubcopy", object_id__in=[str(pk) for pk in copies])
    about |= Q(object_type="training_app.datasetbuild", object_id__in=[str(one.pk) for one in line.builds])
    return list(LedgerEntry.objects.filter(about).order_by("seq"))


def _lines(entries: Iterable[LedgerEntry]) -> Iterator[str]:
    for entry in entries:
        kept = {"previous_hash": entry.previous_hash, "hash": entry.hash, "body": entry.body}
        yield json.dumps(kept, ensure_ascii=False, sort_keys=True) + "\n"


def _json(data: object) -> str:
    return json.dumps(data, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"
