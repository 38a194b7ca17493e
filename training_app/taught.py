"""Which checkpoints ever saw something: one query, however many runs, labels and checkpoints there are.

A checkpoint saw an item when a dataset build that holds the item stands in its manifest, or when it was made from a
checkpoint that did (its parent, its reward model, and so on). What stands in a manifest is what was trained on; a build
that nobody trained on teaches nothing.
"""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import Q, QuerySet
from django.db.models.expressions import RawSQL

from constitutions_app.models import PrincipleVersion
from training_app.models import Checkpoint, DatasetBuild

_CLOSURE = """
    WITH RECURSIVE saw(id) AS (
        SELECT c.id
        FROM training_app_checkpoint c
        JOIN training_app_datasetbuild b
          ON b.run_id = c.run_id
         AND c.manifest -> 'datasets' @> jsonb_build_array(jsonb_build_object('digest', b.digest))
        WHERE b.id IN ({builds})
        UNION
        SELECT c.id FROM training_app_checkpoint c JOIN saw ON saw.id IN (c.parent_id, c.reward_model_id)
    )
    SELECT id FROM saw
"""


def by_builds(builds: QuerySet[DatasetBuild] | Iterable[int]) -> QuerySet[Checkpoint]:
    """Checkpoints that were trained on any of these builds, and all that were made from those, oldest first."""
    chosen = builds if isinstance(builds, QuerySet) else DatasetBuild.objects.filter(pk__in=list(builds))
    sql, params = chosen.order_by().values("pk").query.sql_with_params()
    return Checkpoint.objects.filter(pk__in=RawSQL(_CLOSURE.format(builds=sql), params)).order_by("pk")  # noqa: S611


def by_principle(principle: PrincipleVersion) -> QuerySet[Checkpoint]:
    """Checkpoints that ever saw the principle at this version: in a critique or label that cites it, or in a label that
    was asked under all principles of the version at once.
    """
    cites = Q(items__step__principle=principle) | Q(items__label__principle=principle)
    together = Q(items__label__isnull=False, items__label__principle=None, run__version=principle.version_id)
    return by_builds(DatasetBuild.objects.filter(cites | together))


def by_words(constitution: str, number: int, key: str) -> QuerySet[Checkpoint]:
    """The same by name: "which checkpoints ever saw principle `key` of version `number`?" None, where unknown."""
    principle = PrincipleVersion.objects.filter(
        version__constitution__slug=constitution, version__number=number, key=key
    )
    row = principle.only("pk", "version_id").first()
    return by_principle(row) if row else Checkpoint.objects.none()
