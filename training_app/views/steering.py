"""What a button that steers work under way says: that it is done, or why it was refused."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.contrib import messages
from django.http import HttpRequest

from training_app.refusals import SteeringRefused


@contextmanager
def refusal_said(request: HttpRequest, done: str) -> Iterator[None]:
    """Says `done` once the verb inside has come to its end, or the sentence with which it was refused."""
    try:
        yield
    except SteeringRefused as refusal:
        messages.error(request, str(refusal))
    else:
        messages.success(request, done)
