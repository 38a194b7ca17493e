"""The lineage of a checkpoint as a graph: words, prompts, data, stages, checkpoints, and how much went where."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from django.urls import reverse

from training_app.build_items import BuildCounts
from training_app.builds import HELDOUT
from training_app.core.manifest import dataset_digests
from training_app.counting import UpTo
from training_app.graph_drawing import Edge, Graph, Node
from training_app.lineage import CheckpointLineage
from training_app.models import Checkpoint, DatasetBuild, PromptSet
from training_app.options import STAGE_NAMES
from training_app.plan import Planned

MOST_BECAME = 6
"""Checkpoints made from this one that are drawn; the page says how many more there are."""

HELD_OUT = "measures it only"
BASE, VERSION = "base", "version"

Sets = Mapping[int, PromptSet]


def graph_of(line: CheckpointLineage) -> Graph:
    """Everything that made a checkpoint and the first few that were made from it. Asks for nothing."""
    counts = line.seen.of_build
    constitution, version = line.version.constitution, line.version
    words = reverse("constitutions:version", args=[constitution.slug, version.number])
    became = line.descendants[:MOST_BECAME]
    family = (*line.ancestors, *((line.reward_model,) if line.reward_model else ()), line.checkpoint, *became)
    nodes = [
        Node(BASE, "base model", str(line.run.base_model.get("name") or "unknown"), reverse("training:base_models")),
        Node(VERSION, "constitution", f"{constitution.name} v{version.number}", words, is_matter=True),
    ]
    edges: list[Edge] = []
    there = {one.pk for one in family}
    sets: Sets = {one.pk: one for one in line.prompt_sets}
    drawn: set[int] = set()
    drawn_sets: set[int] = set()

    def take_up(used: Iterable[int]) -> None:
        """Each set stands before the first thing that is made from it."""
        for pk in used:
            if pk in sets and pk not in drawn_sets:
                drawn_sets.add(pk)
                nodes.append(_prompt_set(sets[pk]))

    for one in sorted(set(family), key=lambda checkpoint: checkpoint.pk):
        for build in _trained_on(one, line.builds, family):
            if build.pk not in drawn:
                drawn.add(build.pk)
                of_build = counts.get(build.pk, BuildCounts())
                take_up(sorted(of_build.sets, key=lambda pk: of_build.sets[pk].is_worked_on))
                nodes += (*_items(build, of_build), _build(build))
                edges += _into_build(build, of_build, one.parent_id if one.parent_id in there else None)
                edges += _from_sets(build, of_build, sets)
            held_out = (HELD_OUT,) if build.name == HELDOUT else ()
            edges.append(Edge(f"b{build.pk}", f"c{one.pk}", (_counted(build.rows, "row"), *held_out)))
        if one.stage == "rl":
            practised = [pk for pk, found in sets.items() if found.kind != PromptSet.Kind.COMPARISONS]
            take_up(practised)
            edges += (Edge(f"s{pk}", f"c{one.pk}", ("prompts",)) for pk in practised)
        nodes.append(_checkpoint(one, line))
        edges += _made_from(one, there)
    return Graph(tuple(nodes), tuple(edges))


def stage_graph(stages: Iterable[Planned]) -> Graph:
    """The stages of a run before there is one; each leads to its options on the launch form."""
    planned = tuple(stages)
    there = {one.slug for one in planned}
    nodes = tuple(
        Node(one.slug, ", ".join(one.given) or "what was made before", STAGE_NAMES[one.slug], f"#options-{one.slug}")
        for one in planned
    )
    return Graph(nodes, tuple(Edge(source, one.slug) for one in planned for source in one.stages if source in there))


def _trained_on(
    checkpoint: Checkpoint, builds: Iterable[DatasetBuild], family: Iterable[Checkpoint]
) -> list[DatasetBuild]:
    """The builds in a checkpoint's manifest that are not those of what it was made from, which it lists as well."""
    from_it = (checkpoint.parent_id, checkpoint.reward_model_id)
    inherited = {digest for one in family if one.pk in from_it for digest in dataset_digests(one.manifest)}
    digests = set(dataset_digests(checkpoint.manifest)) - inherited
    return [build for build in builds if build.run_id == checkpoint.run_id and build.digest in digests]


def _build(build: DatasetBuild) -> Node:
    kind = f"dataset build, {_counted(build.rows, 'row')}"
    return Node(f"b{build.pk}", kind, build.name, reverse("training:build", args=[build.pk]))


def _items(build: DatasetBuild, counts: BuildCounts) -> Iterator[Node]:
    """What a build's rows came from: its first line leads to the stage, its name to the items themselves."""
    run = build.run.source_id or build.run_id
    for count, what, stage, items in (
        (counts.revisions, "revision", "revise", "training:traces"),
        (counts.labels, "AI label", "label", "training:labels"),
    ):
        if count:
            yield Node(
                f"{what} {build.pk}", f"stage {stage}", _counted(count, what), f"{reverse(items)}?run={run}",
                kind_url=reverse("training:stage", args=[run, stage]),
            )  # fmt: skip


def _into_build(build: DatasetBuild, counts: BuildCounts, parent: int | None) -> Iterator[Edge]:
    """From the words to revisions and labels and into the build; the labelled answers are those of `parent`."""
    end = f"b{build.pk}"
    if counts.revisions:
        yield Edge(VERSION, f"revision {build.pk}", ("critiques",))
        yield Edge(f"revision {build.pk}", end, (_counted(counts.revisions, "row"), *counts.changes))
    if counts.labels:
        yield Edge(VERSION, f"AI label {build.pk}", ("comparisons",))
        yield Edge(f"AI label {build.pk}", end, (_counted(counts.labels, "row"), *counts.changes))
        if parent is not None:
            yield Edge(f"c{parent}", f"AI label {build.pk}", ("answers",))


def _prompt_set(one: PromptSet) -> Node:
    label = PromptSet.Kind(one.kind).label
    kind = f"{one.rows:,} {label if one.rows != 1 else label.removesuffix('s')}"
    return Node(f"s{one.pk}", kind, one.name, reverse("training:prompt_set", args=[one.slug]))


def _from_sets(build: DatasetBuild, counts: BuildCounts, sets: Sets) -> Iterator[Edge]:
    """From each prompt set to what the build took of it: prompts through revisions and labels, rows as they came."""
    for pk, found in counts.sets.items():
        if pk in sets:
            for count, what, end in (
                (found.revised, "prompt", f"revision {build.pk}"),
                (found.judged, "prompt", f"AI label {build.pk}"),
                (found.rows, "row", f"b{build.pk}"),
            ):
                if count:
                    yield Edge(f"s{pk}", end, (_counted(count, what),))


def _checkpoint(one: Checkpoint, line: CheckpointLineage) -> Node:
    name = STAGE_NAMES.get(one.stage, one.stage)
    elsewhere = "" if one.run_id == line.run.pk else " of another run"
    return Node(
        f"c{one.pk}", f"stage {one.stage}", f"{name}{elsewhere}", reverse("training:checkpoint", args=[one.pk]),
        kind_url=reverse("training:stage", args=[one.run_id, one.stage]), is_current=one.pk == line.checkpoint.pk,
    )  # fmt: skip


def _made_from(one: Checkpoint, there: set[int]) -> Iterator[Edge]:
    if one.parent_id is None:
        yield Edge(BASE, f"c{one.pk}", ("weights",))
    if one.parent_id in there:
        yield Edge(f"c{one.parent_id}", f"c{one.pk}", ("weights",))
    if one.reward_model_id in there:
        yield Edge(f"c{one.reward_model_id}", f"c{one.pk}", ("rewards",))


def _counted(count: int | UpTo, what: str) -> str:
    """ "204 rows", or "1,000+ rows"; empty for none."""
    number = count if isinstance(count, UpTo) else UpTo(count)
    return f"{number} {what}{'' if str(number) == '1' else 's'}" if number else ""
