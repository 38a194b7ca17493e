"""Which words made which weights, and back: the read side, in a fixed number of queries however large the run.

Two records must agree: the rows asked here, and `manifest.json` beside the weights (`database_agrees`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from django.contrib.auth.models import User
from django.db.models import Q, QuerySet, Sum
from django.db.models.functions import Coalesce

from constitutions_app.composed import Composed, Later
from constitutions_app.models import PrincipleVersion, Version
from training_app import artifacts, taught
from training_app.build_items import Seen, items_of
from training_app.core.digests import digest_file
from training_app.core.manifest import MANIFEST, dataset_digests
from training_app.counting import MOST, Citing, UpTo, citing
from training_app.models import (
    AILabel,
    Audit,
    Checkpoint,
    DatasetBuild,
    Evaluation,
    Judge,
    PromptSet,
    Run,
    RunTally,
    TraceImport,
    TraceStep,
)

Follow = Callable[[Checkpoint], Iterable[int]]


@dataclass(frozen=True)
class Learnt:
    """What a checkpoint learnt from, counted over the builds that it and its ancestors were trained on.

    Counted as far as `build_items` looks; people are those who judged what was looked at.
    """

    traces: UpTo
    steps: UpTo
    labels: UpTo
    human_comparisons: UpTo
    audits: UpTo
    """Verdicts given on those steps and labels, whenever they were given."""
    overrides: UpTo
    """Verdicts that changed rows of the builds, and rows that were dropped (as the builds' rules count them)."""
    people: tuple[User, ...]
    """Who gave those verdicts."""


@dataclass(frozen=True)
class CheckpointLineage:
    """Everything that made one checkpoint. `ancestors` goes from the oldest to the checkpoint's own parent."""

    checkpoint: Checkpoint
    run: Run
    version: Version
    ancestors: tuple[Checkpoint, ...]
    reward_model: Checkpoint | None
    builds: tuple[DatasetBuild, ...]
    prompt_sets: tuple[PromptSet, ...]
    """Those the run was launched with."""
    judges: tuple[Judge, ...]
    """Who gave the labels that were looked at."""
    seen: Seen
    learnt: Learnt
    evaluations: tuple[Evaluation, ...]
    descendants: tuple[Checkpoint, ...]


@dataclass(frozen=True)
class VersionLineage:
    """What a version did: its runs and their checkpoints, newest first."""

    version: Version
    runs: tuple[Run, ...]
    checkpoints: tuple[Checkpoint, ...]
    steps: int
    labels: int
    """Also those of all principles at once."""


@dataclass(frozen=True)
class PrincipleLineage:
    """What one principle at one version did, and every checkpoint that was taught by it."""

    principle: PrincipleVersion
    citing: Citing
    checkpoints: tuple[Checkpoint, ...]


@dataclass(frozen=True)
class Agreement:
    """Whether the folder's manifest is the one the database knows; `sentence` says so for people."""

    ok: bool
    sentence: str


def of_checkpoint(checkpoint: Checkpoint) -> CheckpointLineage:
    """Run, parents, builds, judges, counts, people and version of a checkpoint, and what was made from it."""
    run = Run.objects.select_related("version__constitution", "version__author", "created_by").get(pk=checkpoint.run_id)
    kin = Q(run=run) | Q(run__source=run) | (Q(run=run.source_id) if run.source_id else Q())
    family = {one.pk: one for one in Checkpoint.objects.filter(kin).select_related("version__constitution")}
    made_by = _closure(checkpoint.pk, _sources, family)
    made_from_it = _closure(
        checkpoint.pk, lambda one: [other.pk for other in family.values() if one.pk in _sources(other)], family
    )
    builds = _builds_of([family[pk] for pk in (*made_by, checkpoint.pk)])
    seen = items_of(builds)
    ancestors: list[Checkpoint] = []
    parent_id = checkpoint.parent_id
    while parent_id is not None:
        ancestors.insert(0, family[parent_id])
        parent_id = family[parent_id].parent_id
    return CheckpointLineage(
        checkpoint=family[checkpoint.pk],
        run=run,
        version=run.version,
        ancestors=tuple(ancestors),
        reward_model=family.get(checkpoint.reward_model_id) if checkpoint.reward_model_id else None,
        builds=builds,
        prompt_sets=tuple(run.prompt_sets.all()),
        judges=tuple(Judge.objects.filter(pk__in=seen.judges)),
        seen=seen,
        learnt=_learnt(builds, seen),
        evaluations=tuple(Evaluation.objects.filter(run=run)),
        descendants=tuple(family[pk] for pk in made_from_it),
    )


def of_version(version: Version) -> VersionLineage:
    """Runs and checkpoints of a version, with how often its principles were cited, as counted when that was written."""
    made = RunTally.objects.filter(run__version=version).aggregate(
        steps=Coalesce(Sum("steps"), 0), labels=Coalesce(Sum("labels"), 0)
    )
    imported = TraceImport.objects.filter(version=version).aggregate(steps=Sum("steps"))
    return VersionLineage(
        version=version,
        runs=tuple(Run.objects.filter(version=version).select_related("created_by")),
        checkpoints=tuple(Checkpoint.objects.filter(version=version).select_related("run")),
        steps=made["steps"] + (imported["steps"] or 0),
        labels=made["labels"],
    )


def of_principle(principle: PrincipleVersion) -> PrincipleLineage:
    """Steps and labels that cite the principle, the verdicts on them, and every checkpoint they taught."""
    found = citing([principle.pk]).get(principle.pk, Citing())
    return PrincipleLineage(principle, found, _shown(taught.by_principle(principle)))


def of_label(label: AILabel) -> tuple[Checkpoint, ...]:
    """The checkpoints a label taught, directly or through a reward model, oldest first."""
    return tuple(_OF_LABEL.all(label=label.pk))


def of_step(step: TraceStep) -> tuple[Checkpoint, ...]:
    """The checkpoints a revision taught, directly or through what was made from them, oldest first."""
    return tuple(_OF_STEP.all(step=step.pk))


def of_build(build: DatasetBuild) -> tuple[Checkpoint, ...]:
    """The checkpoints a dataset build taught, directly or through what was made from them, oldest first."""
    return _shown(taught.by_builds([build.pk]))


def database_agrees(checkpoint: Checkpoint) -> Agreement:
    """Hold the folder's manifest against the database. Reads one small file, from the storage where it is not here.

    The weights are `manifest.verify`'s.
    """
    manifest = checkpoint.folder / MANIFEST
    try:
        artifacts.fetch_checkpoint(checkpoint, MANIFEST)
    except artifacts.StorageFailed as error:
        return Agreement(False, str(error))
    if not manifest.is_file():
        return Agreement(False, f"manifest.json is missing from {checkpoint.folder}.")
    if digest_file(manifest) != checkpoint.digest:
        return Agreement(False, "manifest.json is not the one the database knows: its digest differs.")
    if checkpoint.constitution_digest != checkpoint.version.digest:
        return Agreement(False, "The checkpoint's row names another constitution digest than its version.")
    return Agreement(True, "The manifest is the one the database knows.")


def _sources(checkpoint: Checkpoint) -> list[int]:
    return [pk for pk in (checkpoint.parent_id, checkpoint.reward_model_id) if pk is not None]


def _closure(start: int, following: Follow, family: dict[int, Checkpoint]) -> list[int]:
    """Primary keys reached from `start` (itself left out), oldest first."""
    seen: set[int] = set()
    waiting = [start]
    while waiting:
        for pk in following(family[waiting.pop()]):
            if pk not in seen and pk in family:
                seen.add(pk)
                waiting.append(pk)
    return sorted(seen - {start})


def _builds_of(checkpoints: Sequence[Checkpoint]) -> tuple[DatasetBuild, ...]:
    """The builds whose digests stand in the manifests of these checkpoints: what was trained on, not what might be."""
    trained_on = {(one.run_id, digest) for one in checkpoints for digest in dataset_digests(one.manifest)}
    builds = DatasetBuild.objects.filter(run_id__in={run for run, _ in trained_on}).select_related("run").order_by("pk")
    return tuple(build for build in builds if (build.run_id, build.digest) in trained_on)


def _shown(taught: QuerySet[Checkpoint]) -> tuple[Checkpoint, ...]:
    """The checkpoints with what pages say of them. One query."""
    return tuple(_with_run_and_version(taught))


def _with_run_and_version(taught: QuerySet[Checkpoint]) -> QuerySet[Checkpoint]:
    return taught.select_related("run", "version__constitution").defer("manifest", "version__canonical", "run__config")


def _taught_by(**item: Later) -> QuerySet[Checkpoint]:
    return _with_run_and_version(taught.by_builds(DatasetBuild.objects.filter(**item)))


_OF_LABEL = Composed(lambda: _taught_by(items__label=Later("label")))
_OF_STEP = Composed(lambda: _taught_by(items__step=Later("step")))


def _learnt(builds: Sequence[DatasetBuild], seen: Seen) -> Learnt:
    """What was learnt from, of the items that were looked at. Two queries."""
    dropped = sum(int(build.rules.get("overridden", {}).get("dropped", 0)) for build in builds)
    audits = Audit.objects.filter(Q(step__in=seen.steps) | Q(label__in=seen.labels)).order_by()
    said = audits[: MOST + 1].count()
    return Learnt(
        traces=UpTo(len(seen.traces), seen.is_more),
        steps=UpTo(len(seen.steps), seen.is_more),
        labels=UpTo(len(seen.labels), seen.is_more),
        human_comparisons=UpTo(len(seen.human), seen.is_more),
        audits=UpTo(min(said, MOST), seen.is_more or said > MOST),
        overrides=UpTo(seen.changed + dropped, seen.is_more),
        people=tuple(User.objects.filter(pk__in=audits.values("auditor")).order_by("username")),
    )
