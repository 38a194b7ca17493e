"""What full-text search looks through: one expression per table, the same in its index and in the question.

Expressions and not generated columns: whoever reads a row for another reason does not read its words twice. Only the
first part of very long texts is indexed: PostgreSQL refuses vectors above a megabyte, and would refuse the save.
"""

from __future__ import annotations

from django.contrib.postgres.search import SearchVector
from django.db.models import F, JSONField
from django.db.models.expressions import Combinable
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast, Left

CONFIG = "english"
LONG, SHORT = 50_000, 20_000
"""Characters that are indexed of the main text, and of what stands beside it."""


def weighed(main: Combinable | str, *beside: Combinable | str) -> Combinable:
    """A vector in which words of `main` weigh more than those of the columns `beside`."""
    heavy = SearchVector(Left(_column(main), LONG), config=CONFIG, weight="A")
    light = SearchVector(*(Left(_column(part), SHORT) for part in beside), config=CONFIG, weight="B")
    return heavy + light


def _column(part: Combinable | str) -> Combinable:
    return F(part) if isinstance(part, str) else part


def draft_words() -> Combinable:
    """A draft's principle: text, then title and rationale."""
    return weighed("text", "title", "rationale")


def version_words() -> Combinable:
    """A published principle: text, then title and rationale."""
    return weighed("text", "title", KeyTextTransform("rationale", "body"))


def preamble_words() -> SearchVector:
    """A draft's preamble."""
    return SearchVector(Left(F("preamble"), LONG), config=CONFIG, weight="A")


def published_preamble(canonical: str = "canonical") -> KeyTextTransform:
    """The preamble in the canonical text of a version, which stands in the named column."""
    return KeyTextTransform("preamble", Cast(canonical, JSONField()))


def published_preamble_words() -> SearchVector:
    """A version's preamble."""
    return SearchVector(Left(published_preamble(), LONG), config=CONFIG, weight="A")


def note_words() -> SearchVector:
    """A version's change note."""
    return SearchVector(Left(F("note"), LONG), config=CONFIG, weight="A")


def comment_words() -> SearchVector:
    """What was said in a thread."""
    return SearchVector(Left(F("body"), LONG), config=CONFIG, weight="A")


def scenario_words() -> Combinable:
    """A scenario: prompt, then title, responses and note."""
    return weighed("prompt", "title", "response_a", "response_b", "note")
