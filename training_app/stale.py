"""Read side: what was made under words that have another meaning now, and should be looked at or made again.

A label or step cites a principle at a version. It is stale under a later version (or draft) that does not have that
principle any more, or gives it a meaning that began in another version (`PrincipleVersion.since`); minor edits make
nothing stale. A checkpoint is stale when any principle of its version is, or when one was added since. Versions that
the later one does not descend from are another line and say nothing about it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from django.db.models import Exists, OuterRef, QuerySet

from constitutions_app.core.ancestry import ancestors
from constitutions_app.lineages import graph_of, tips_of
from constitutions_app.meanings import meanings_of
from constitutions_app.models import MAIN, Draft, PrincipleVersion, Version
from training_app.counting import NONE, Citing, UpTo, citing
from training_app.models import Checkpoint


@dataclass(frozen=True)
class StalePrinciple:
    """One principle at one version that means something else now, with what cites it."""

    key: str
    title: str
    number: int
    """The version that was cited."""
    gone: bool
    """Whether the later state does not have the principle at all."""
    citing: Citing


@dataclass(frozen=True)
class StaleKey:
    """One principle through all versions that were cited: what was made under another meaning of it."""

    key: str
    labels: UpTo
    steps: UpTo
    audits: UpTo
    checkpoints: int

    @property
    def summary(self) -> str:
        """ "1,000+ labels, 2 checkpoints"."""
        return _listed(self.labels, self.steps, self.audits, UpTo(self.checkpoints))


@dataclass(frozen=True)
class Stale:
    """Everything that is stale under one version or draft. Principles that nothing cites are left out."""

    state: Version | Draft
    principles: tuple[StalePrinciple, ...]
    checkpoints: tuple[Checkpoint, ...]
    learnt_otherwise: Mapping[str, frozenset[int]]
    """By principle, the versions that give it another meaning, or that do not have it."""

    def of(self, keys: Iterable[str]) -> tuple[StaleKey, ...]:
        """What is stale of each of these principles, in their order; those of which nothing is are left out."""
        found = (self._of(key) for key in dict.fromkeys(keys))
        return tuple(one for one in found if one.summary)

    def _of(self, key: str) -> StaleKey:
        mine = [one for one in self.principles if one.key == key]
        otherwise = self.learnt_otherwise.get(key, frozenset())
        return StaleKey(
            key,
            *_summed(mine),
            sum(one.version_id in otherwise for one in self.checkpoints),
        )

    @property
    def summary(self) -> str:
        """ "204 labels, 2 checkpoints", or "" when nothing is stale."""
        return _listed(*_summed(self.principles), UpTo(len(self.checkpoints)))


@dataclass(frozen=True)
class _Cited:
    """A principle at an earlier version."""

    pk: int
    key: str
    since: int
    version_id: int
    number: int
    title: str


def newest_versions() -> QuerySet[Version]:
    """Of every constitution the newest version of its main branch: the words that hold where nobody names a version."""
    newest = Version.objects.filter(branch=MAIN).order_by("constitution_id", "-number").distinct("constitution_id")
    return Version.objects.filter(pk__in=newest.values("pk"))


def under(state: Version | Draft) -> Stale:
    """What is stale under a version or draft. A constant number of queries; of each principle a thousand rows count."""
    now = meanings_of(state)
    graph = graph_of(state.constitution_id)
    tips = [state.pk] if isinstance(state, Version) else tips_of(state)
    earlier = ancestors(graph, tips) - ({state.pk} if isinstance(state, Version) else set())
    rows = PrincipleVersion.objects.filter(version_id__in=earlier, version__constitution_id=state.constitution_id)
    cited = [
        _Cited(*values)
        for values in rows.order_by("version__number", "position").values_list(
            "pk", "key", "since", "version_id", "version__number", "title"
        )
    ]
    changed = [one for one in cited if now.get(one.key) != one.since]
    return Stale(state, tuple(_principles(changed, now)), _checkpoints(cited, now), _otherwise(cited, now))


def _otherwise(cited: Iterable[_Cited], now: Mapping[str, int]) -> dict[str, frozenset[int]]:
    """By principle, now or then, the cited versions under which it means something else or is not there."""
    meant = _meant(cited)
    keys = {key for then in meant.values() for key in then} | now.keys()
    return {key: frozenset(version for version, then in meant.items() if then.get(key) != now.get(key)) for key in keys}


def _principles(changed: Iterable[_Cited], now: Mapping[str, int]) -> Iterable[StalePrinciple]:
    """Those that something cites, most labels and steps first."""
    told = citing(one.pk for one in changed)
    found = [
        StalePrinciple(one.key, one.title or one.key, one.number, one.key not in now, told[one.pk])
        for one in changed
        if one.pk in told
    ]
    return sorted(found, key=lambda one: -(one.citing.labels + one.citing.steps).number)


def _summed(principles: Iterable[StalePrinciple]) -> tuple[UpTo, UpTo, UpTo]:
    """Labels, steps and audits of all of them."""
    each = [one.citing for one in principles]
    labels, steps, audits = ([getattr(one, name) for one in each] for name in ("labels", "steps", "audits"))
    return sum(labels, NONE), sum(steps, NONE), sum(audits, NONE)


def _checkpoints(cited: Iterable[_Cited], now: Mapping[str, int]) -> tuple[Checkpoint, ...]:
    """Checkpoints of versions that do not mean, in every principle, what is meant now; newest first."""
    versions = [version for version, keys in _meant(cited).items() if keys != now]
    found = Checkpoint.objects.filter(version_id__in=versions).select_related("run", "version__constitution")
    return tuple(found.defer("manifest", "version__canonical"))


def _meant(cited: Iterable[_Cited]) -> dict[int, dict[str, int]]:
    """By version, where the meaning of each of its principles began."""
    meant: dict[int, dict[str, int]] = {}
    for one in cited:
        meant.setdefault(one.version_id, {})[one.key] = one.since
    return meant


def _listed(labels: UpTo, steps: UpTo, audits: UpTo, checkpoints: UpTo) -> str:
    counts = ((labels, "label"), (steps, "critique"), (audits, "audit"), (checkpoints, "checkpoint"))
    return ", ".join(f"{number} {word}{'' if str(number) == '1' else 's'}" for number, word in counts if number)


def changed_principles() -> list[int]:
    """Primary keys of the principles that are stale under the newest version of their constitution's main branch.

    Some four queries; they grow with what was published and not with what was judged.
    """
    newest = dict(newest_versions().values_list("constitution_id", "pk"))
    graph = graph_of(*newest)
    owners = dict(Version.objects.values_list("pk", "constitution_id"))
    earlier = [one for owner, pk in newest.items() for one in ancestors(graph, [pk]) if owners.get(one) == owner]
    meant = PrincipleVersion.objects.filter(
        version__in=list(newest.values()),
        version__constitution=OuterRef("version__constitution"),
        key=OuterRef("key"),
        since=OuterRef("since"),
    )
    cited = PrincipleVersion.objects.filter(version__in=earlier)
    return list(cited.exclude(Exists(meant)).values_list("pk", flat=True))
