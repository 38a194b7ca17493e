"""Read side: the graph of versions of a constitution, of what it was forked from, and of what was forked from it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from django.db.models import Q, QuerySet

from constitutions_app.core import ancestry
from constitutions_app.core import principles as core
from constitutions_app.models import MAIN, Constitution, Draft, Version


@dataclass(frozen=True)
class Sides:
    """What a three-way merge into a draft starts from. `ancestor` is None where the two have no version in common."""

    ancestor: Version | None
    base: core.Constitution
    ours: core.Constitution
    theirs: core.Constitution
    already_merged: bool


def sides_of(draft: Draft, version: Version) -> Sides:
    """The draft, the version, and where the two last agreed. The constitution's name is its own and not merged."""
    graph = graph_of(draft.constitution_id, version.constitution_id)
    tips = tips_of(draft)
    ancestor_id = ancestry.common_ancestor(graph, tips, [version.pk])
    ancestor = Version.objects.select_related("constitution").get(pk=ancestor_id) if ancestor_id else None
    ours = draft.to_core()
    return Sides(
        ancestor=ancestor,
        base=replace(ancestor.to_core(), name=ours.name) if ancestor else core.Constitution(ours.name),
        ours=ours,
        theirs=replace(version.to_core(), name=ours.name),
        already_merged=version.pk in ancestry.ancestors(graph, tips),
    )


def tips_of(draft: Draft) -> list[int]:
    """Primary keys of the versions that a draft goes on from: its base, what it is merging, or what was forked."""
    first = draft.base_id or draft.constitution.forked_from_id
    return [pk for pk in (first, draft.merging_id) if pk]


def graph_of(*constitutions: int) -> ancestry.Graph:
    """Parents of every version of these constitutions and of those they were forked from, by primary key.

    Two queries per generation of forks.
    """
    graph: dict[int, tuple[int, ...]] = {}
    waiting, seen = set(constitutions), set[int]()
    while waiting:
        seen |= waiting
        origins = dict(Constitution.objects.filter(pk__in=waiting).values_list("pk", "forked_from_id"))
        rows = Version.objects.filter(constitution_id__in=waiting)
        for pk, constitution, parent, second in rows.values_list(
            "pk", "constitution_id", "parent_id", "second_parent_id"
        ):
            graph[pk] = tuple(one for one in (parent or origins[constitution], second) if one)
        elsewhere = {parent for parents in graph.values() for parent in parents} - set(graph)
        elsewhere |= {pk for pk in origins.values() if pk and pk not in graph}
        waiting = set(Version.objects.filter(pk__in=elsewhere).values_list("constitution_id", flat=True)) - seen
    return graph


def mergeable_versions(draft: Draft) -> QuerySet[Version]:
    """Versions that may be merged into the draft: of its constitution, of its origin and of its forks, newest first.

    Those that are part of its history already are left out. Words are not fetched.
    """
    graph = graph_of(draft.constitution_id)
    return (
        Version.objects.filter(family_of(draft.constitution))
        .exclude(pk__in=ancestry.ancestors(graph, tips_of(draft)))
        .select_related("constitution", "author")
        .defer("canonical")
        .order_by("-created_at", "-pk")
    )


def family_of(constitution: Constitution) -> Q:
    """The versions of a constitution, of what it was forked from and of its forks, as a condition on Version."""
    mine = Q(constitution=constitution) | Q(constitution__forked_from__constitution=constitution)
    origin = constitution.forked_from
    return mine | Q(constitution_id=origin.constitution_id) if origin else mine


def latest_of(constitution: Constitution) -> Version | None:
    """What the alias "latest" means: the newest version of the main branch. One query."""
    return constitution.versions.filter(branch=MAIN).defer("canonical").order_by("-number").first()
