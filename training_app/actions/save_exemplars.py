"""Keep worked examples for a constitution version and a model family; runs of that family show them from then on."""

from __future__ import annotations

from collections.abc import Sequence

from django.contrib.auth.models import User
from django.db import transaction

from constitutions_app.core.principles import Exemplar
from constitutions_app.ledger import record
from constitutions_app.models import Version
from training_app.core.exemplars import exemplar_rows, exemplars_digest
from training_app.models import ExemplarSet


def save_exemplars(
    *, user: User, version: Version, family: str, exemplars: Sequence[Exemplar], note: str = ""
) -> ExemplarSet:
    """The frozen set; the same examples saved again are the set already there. Check them first: `read_exemplars`."""
    digest = exemplars_digest(exemplars)
    with transaction.atomic():
        kept, created = ExemplarSet.objects.get_or_create(
            version=version, family=family.strip()[:60], digest=digest,
            defaults={"exemplars": exemplar_rows(exemplars), "note": note.strip()[:500], "created_by": user},
        )  # fmt: skip
        if created:
            data = {"version": version.pk, "family": kept.family, "digest": digest, "examples": len(exemplars)}
            record(actor=user, verb="exemplars.save", obj=kept, data=data)
    return kept
