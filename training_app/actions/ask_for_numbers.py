"""Ask for newer figures: a worker computes them; asking twice computes once. Nothing is judged, so no ledger entry."""

from __future__ import annotations

from django.db import transaction

from training_app.models import NumbersReport
from training_app.numbers import keeping
from training_app.numbers.scope import Scope
from training_app.tasks import ring_numbers


def ask_for_numbers(*, scope: Scope) -> NumbersReport:
    """Note the wish and wake a worker. The row is the truth: a lost wake-up is repeated by the sweeper."""
    with transaction.atomic():
        row = keeping.ask(scope)
        ring_numbers()
    return row
