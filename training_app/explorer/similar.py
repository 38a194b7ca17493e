"""Items that read like one: those that share its rarest words, by how many runs of letters they have in common.

Candidates come from the index of words: the item's rarest words, joined by "or", among the newest matches; where few
items have one of those, its next rarer words. They are ordered by the Jaccard similarity of their character 4-grams
(core/near_duplicates.py). No vectors are stored, so that writing an item costs nothing for it. Left out: meaning;
other words for the same thing are not found.
"""

from __future__ import annotations

from collections.abc import Sequence

from django.db import connection

from training_app.core.near_duplicates import grams_of
from training_app.explorer.conditions import TABLES, Conditions
from training_app.explorer.walk import KEYS, walk
from training_app.models import AILabel

CANDIDATES = 60
RARE_WORDS = 8
ROUNDS = 4
"""So often the next RARE_WORDS words are asked for while there are too few candidates."""
LONGEST = 1200
"""Characters of a text that are compared."""

_TEXTS = {
    "comparison": "SELECT id, concat_ws(' ', prompt_text, response_a, response_b) FROM training_app_comparison "
    "WHERE id = ANY(%s)",
    "step": "SELECT step.id, concat_ws(' ', prompt.text, step.critique, step.revision) "
    "FROM training_app_tracestep AS step JOIN training_app_trace AS trace ON trace.id = step.trace_id "
    "JOIN training_app_prompt AS prompt ON prompt.id = trace.prompt_id WHERE step.id = ANY(%s)",
}


def like(kind: str, pk: int) -> list[int]:
    """Primary keys of up to CANDIDATES items of the kind, most alike first, the item itself left out.

    A label reads like its comparison. Audits have no likeness. Four queries, and three more a round.
    """
    if kind == "label":
        comparison = AILabel.objects.filter(pk=pk).values_list("comparison_id", flat=True).first()
        near = like("comparison", comparison) if comparison else []
        return _labels_of([comparison, *near], pk) if comparison else []
    if kind not in _TEXTS:
        return []
    found = _candidates(kind, pk)
    if not found:
        return []
    texts = _texts(kind, [pk, *found])
    own = grams_of(texts.get(pk, ""))
    return sorted(found, key=lambda key: (-_jaccard(own, grams_of(texts.get(key, ""))), -key))


def _candidates(kind: str, pk: int) -> list[int]:
    """The newest items that share one of the rarest words, else of the next rarer ones; CANDIDATES at most."""
    words, found = _rare_words(kind, pk), dict[int, None]()
    for first in range(0, len(words), RARE_WORDS):
        question = " or ".join(f'"{word}"' for word in words[first : first + RARE_WORDS])
        near = walk(kind, Conditions(), "newest", size=CANDIDATES + 1, words=question)
        found |= dict.fromkeys(one.key for one in near if one.key != pk)
        if len(found) >= CANDIDATES:
            break
    return list(found)[:CANDIDATES]


def _rare_words(kind: str, pk: int) -> list[str]:
    """The words of an item that fewest others have, as far as the database's statistics know; longer ones first."""
    table, key = TABLES[kind]._meta.db_table, KEYS[kind]
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT word FROM unnest(tsvector_to_array((SELECT words FROM {table} WHERE {key} = %s))) AS word "  # noqa: S608  # our own names
            "LEFT JOIN (SELECT unnest(most_common_elems::text::text[]) AS common, "
            "unnest(most_common_elem_freqs) AS share FROM pg_stats "
            "WHERE tablename = %s AND attname = 'words') AS known ON known.common = word "
            "WHERE word ~ '^[[:alpha:]]{3,}$' "
            "ORDER BY coalesce(share, 0), length(word) DESC, word LIMIT %s",
            [pk, table, ROUNDS * RARE_WORDS],
        )
        return [row[0] for row in cursor.fetchall()]


def _texts(kind: str, keys: Sequence[int]) -> dict[int, str]:
    with connection.cursor() as cursor:
        cursor.execute(_TEXTS[kind], [list(keys)])
        return {key: text[:LONGEST] for key, text in cursor.fetchall()}


def _labels_of(comparisons: Sequence[int], but: int) -> list[int]:
    """The labels of comparisons, in the order these are given."""
    place_of = {key: place for place, key in enumerate(comparisons)}
    rows = AILabel.objects.filter(comparison__in=comparisons).exclude(pk=but).values_list("comparison_id", "pk")
    return [pk for _, pk in sorted(rows, key=lambda row: (place_of[row[0]], row[1]))][:CANDIDATES]


def _jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    shared = len(one & other)
    return shared / (len(one) + len(other) - shared) if shared else 0.0
