"""Judges as rows: the same parts (core/judge_spec.py) are the same row, made with a ledger entry the first time."""

from __future__ import annotations

from dataclasses import asdict

from django.contrib.auth.models import User
from django.db import transaction

from constitutions_app.ledger import record
from training_app.core.judge_spec import JudgeSpec
from training_app.models import Judge

__all__ = ["JudgeSpec", "register"]


def register(judge: JudgeSpec, *, actor: User | None) -> Judge:
    """The row of exactly this judge; inserted with a ledger entry the first time. Safe to call from two workers."""
    if (known := Judge.objects.filter(digest=judge.digest).first()) is not None:
        return known
    with transaction.atomic():
        row, created = Judge.objects.get_or_create(digest=judge.digest, defaults={"name": judge.name, **asdict(judge)})
        if created:
            record(actor=actor, verb="judge.register", obj=row, data={"digest": judge.digest, **asdict(judge)})
    return row
