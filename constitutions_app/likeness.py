"""Read side: which texts of a draft mean nearly the same, as far as PostgreSQL holds their vectors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django.db import connection

from constitutions_app import vectors
from constitutions_app.core.likeness import ALIKE_IN_MEANING, BY_LETTERS, Likeness
from constitutions_app.core.principles import digest_of_text

# Vectors have length one, so the (negative) inner product is the cosine distance, at a third of the work.
_PAIRS = """
    WITH known AS MATERIALIZED (
        SELECT digest, vector FROM constitutions_app_textvector WHERE model = %(model)s AND digest = ANY(%(digests)s))
    SELECT a.digest, b.digest, -(a.vector <#> b.vector)
    FROM known a JOIN known b ON a.digest < b.digest AND a.vector <#> b.vector <= %(most)s
    UNION ALL SELECT digest, '', 0 FROM known
"""
_NEAR = """
    WITH known AS MATERIALIZED (
        SELECT digest, vector FROM constitutions_app_textvector WHERE model = %(model)s AND digest = ANY(%(digests)s))
    SELECT a.digest, b.digest, -(a.vector <#> b.vector)
    FROM known a JOIN known b ON a.digest <> b.digest AND a.vector <#> b.vector <= %(most)s WHERE a.digest = %(text)s
    UNION ALL SELECT digest, '', 0 FROM known
"""


def of_all(texts: Iterable[str]) -> Likeness:
    """All pairs among the texts. Two queries at most, however many texts."""
    return _asked(_PAIRS, {digest_of_text(text): text for text in texts if text})


def of_one(text: str, others: Iterable[str]) -> Likeness:
    """The pairs of one text with others. Two queries at most, however many others."""
    return _asked(_NEAR, {digest_of_text(one): one for one in (*others, text) if one}, digest_of_text(text))


def _asked(query: str, texts: Mapping[str, str], text: str = "") -> Likeness:
    model = vectors.installed_model()
    if model is None:
        return BY_LETTERS
    if not vectors.can_be_held():
        return Likeness(how="by letters, without a language model: this database has no vector type")
    asked: dict[str, Any] = {"model": model.digest, "digests": list(texts), "most": -ALIKE_IN_MEANING, "text": text}
    with connection.cursor() as cursor:
        cursor.execute(query, asked)
        rows = cursor.fetchall()
    known = frozenset(texts[left] for left, right, _ in rows if not right)
    pairs = {(texts[left], texts[right]): share for left, right, share in rows if right}
    rest = "" if len(known) == len(texts) else "; by letters where a text is too new to have been read by it"
    return Likeness(known, pairs, f"by meaning, with the language model {vectors.NAME}{rest}")
