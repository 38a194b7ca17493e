"""Judges: model + prompt template + aggregation + order policy + dtype, digested as one unit.

The dtype belongs to it: in bfloat16 the same model and the same words give p(A) that differ by up to 0.03 with the
shape of the batch.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from django.contrib.auth.models import User
from django.db import transaction

from constitutions_app.core.principles import digest_of_text
from constitutions_app.ledger import record
from training_app.models import Judge


@dataclass(frozen=True)
class JudgeSpec:
    """Everything that decides what a judge answers."""

    model_name: str
    model_digest: str
    template: str
    dtype: str
    aggregation: str = "mean of both orders"
    order_policy: str = "both orders"

    @property
    def digest(self) -> str:
        """sha256 over the parts as canonical JSON; the model's name is left out, its digest counts."""
        parts = {name: value for name, value in asdict(self).items() if name != "model_name"}
        return digest_of_text(json.dumps(parts, sort_keys=True, separators=(",", ":")))

    @property
    def name(self) -> str:
        """How people read it: "SmolLM2-135M-Instruct, paper template, bfloat16"."""
        return f"{self.model_name}, {self.template} template, {self.dtype}"[:200]


def register(judge: JudgeSpec, *, actor: User | None) -> Judge:
    """The row of exactly this judge; inserted with a ledger entry the first time. Safe to call from two workers."""
    if (known := Judge.objects.filter(digest=judge.digest).first()) is not None:
        return known
    with transaction.atomic():
        row, created = Judge.objects.get_or_create(digest=judge.digest, defaults={"name": judge.name, **asdict(judge)})
        if created:
            record(actor=actor, verb="judge.register", obj=row, data={"digest": judge.digest, **asdict(judge)})
    return row
