"""Register a judge: a model with its template and rules, so that labels can cite exactly who judged."""

from __future__ import annotations

from django.contrib.auth.models import User

from training_app import judges
from training_app.models import Judge


def register_judge(*, user: User | None, judge: judges.JudgeSpec) -> Judge:
    """The judge with exactly these parts; made, with a ledger entry, the first time it is named."""
    return judges.register(judge, actor=user)
