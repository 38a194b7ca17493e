"""How the API of training says that a verb was refused."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rest_framework.exceptions import ValidationError

from constitutions_app.api.asking import Conflict
from training_app.refusals import Refused


@contextmanager
def refusals_told() -> Iterator[None]:
    """Answer with the verb's own sentence: 400 where it is about a field that was sent, else 409.

    Raises ValidationError or Conflict.
    """
    try:
        yield
    except Refused as refusal:
        if field := getattr(refusal, "field", ""):
            raise ValidationError({field: [refusal.sentence]}) from refusal
        raise Conflict(refusal.sentence) from refusal
