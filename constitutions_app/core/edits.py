"""Whether an edit changed what a principle means, as a proposal with its reason; people may say otherwise.

Semantic is what changes the texts a model is sent, or whether and where the principle is used; what was made under the
old words is then stale. Proposed as minor are only: spacing, case, punctuation, the spelling of one word, and the parts
no model reads (title, rationale, source, tags, examples) or that only say how often it is sampled (weight).
Potato's codebook makes the same distinction by hand; here the words decide first. Left out: synonyms, which only people
can judge.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, replace
from typing import Literal

from constitutions_app.core.principles import Principle
from constitutions_app.core.wordings import wordings_for
from constitutions_app.core.words import split_words

EditName = Literal["same", "added", "semantic", "minor"]
Declared = Literal["", "semantic", "minor"]

NEGATIONS = frozenset({"no", "not", "never", "none", "nor", "neither", "cannot", "without", "unless"})
SHORTEST_MISSPELT = 4
"""Fewest letters of a word that can count as misspelt: "can" and "car", "now" and "not" are different words."""

NOTHING_SENT = "no text that a model is sent changed"
SPELLING = "the spelling of one word changed"


@dataclass(frozen=True)
class Edit:
    """What happened to a principle's meaning. `proposed` is what the words say, `declared` what people said, or ""."""

    proposed: EditName
    reason: str
    declared: Declared = ""

    @property
    def kind(self) -> EditName:
        """What counts: people's word where there is one and there was an edit, else the proposal."""
        return self.declared or self.proposed if self.proposed in ("semantic", "minor") else self.proposed

    @property
    def overruled(self) -> bool:
        """Whether people said otherwise than the words."""
        return self.kind != self.proposed

    @property
    def contested(self) -> bool:
        """Whether words that a model is sent changed, and people declared it minor: reviewers should look."""
        return self.proposed == "semantic" and self.declared == "minor"


def classify(old: Principle | None, new: Principle, declared: Declared = "") -> Edit:
    """What the edit from `old` to `new` does to the meaning; `old` None is a principle that was not there."""
    if old is None:
        return Edit("added", "it is new")
    if old == new:
        return Edit("same", "nothing changed")
    proposed, reason = _proposal(old, new)
    return Edit(proposed, reason, declared)


def meaning(principle: Principle) -> tuple[object, ...]:
    """What a model is sent for it and how it is used: two principles with equal meanings make nothing stale."""
    return (*_sent(principle), principle.strict, principle.enabled, principle.weight > 0, frozenset(principle.stages))


def _proposal(old: Principle, new: Principle) -> tuple[EditName, str]:
    if reason := _used_otherwise(old, new):
        return "semantic", reason
    if _sent(old) == _sent(new):
        return "minor", "only its weight changed" if replace(old, weight=new.weight) == new else NOTHING_SENT
    reasons = [_slight(before, after) for before, after in zip(_sent(old), _sent(new), strict=True) if before != after]
    if all(reasons):
        return "minor", SPELLING if SPELLING in reasons else reasons[0]
    return "semantic", "words that a model is sent changed"


def _used_otherwise(old: Principle, new: Principle) -> str:
    if old.enabled != new.enabled or (old.weight > 0) != (new.weight > 0):
        return "it is used again" if new.enabled and new.weight > 0 else "it is no longer used"
    if set(old.stages) != set(new.stages):
        return "it serves other stages"
    return "it became strict or stopped being so" if old.strict != new.strict else ""


def _sent(principle: Principle) -> tuple[str, ...]:
    wordings = wordings_for(principle)
    return (
        principle.text,
        wordings.critique_request,
        wordings.revision_request,
        wordings.comparison_question,
    )


def _slight(old: str, new: str) -> str:
    """Why the difference of two texts is slight, or "" when it is not."""
    before, after = _bare_words(old), _bare_words(new)
    if before == after:
        return "only spacing, case or punctuation changed"
    differing = [pair for pair in zip(before, after, strict=False) if pair[0] != pair[1]]
    # The same word may be misspelt more than once.
    if len(before) == len(after) and len(set(differing)) == 1 and _misspelt(*differing[0]):
        return SPELLING
    return ""


def _bare_words(text: str) -> list[str]:
    """The words of a text in lower case, without punctuation; a minus before a number and symbols count as words."""
    words = split_words(text)
    return [
        word.text.casefold().replace("\u2019", "'")
        for word, after in zip(words, [*words[1:], None], strict=False)
        if not _is_punctuation(word.text)
        or (word.text in "-.\u2212" and after and after.start == word.end and after.text[0].isdigit())
    ]


def _is_punctuation(word: str) -> bool:
    return all(unicodedata.category(character).startswith("P") and character not in "%&@#*" for character in word)


def _misspelt(old: str, new: str) -> bool:
    """Whether two words differ by a slip: one letter (two in long words) more, less, other or swapped."""
    if min(len(old), len(new)) < SHORTEST_MISSPELT or old[0] != new[0] or not (old.isalpha() and new.isalpha()):
        return False
    if {old, new} & NEGATIONS:
        return False
    return edit_distance(old, new) <= (2 if min(len(old), len(new)) >= 8 else 1)


def edit_distance(old: str, new: str) -> int:
    """Least number of letters inserted, removed, replaced or swapped with their neighbour (F. Damerau, 1964)."""
    before_last: list[int] = []
    last = list(range(len(new) + 1))
    for i, letter in enumerate(old, start=1):
        row = [i]
        for j, other in enumerate(new, start=1):
            best = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (letter != other))
            if i > 1 and j > 1 and letter == new[j - 2] and old[i - 2] == other:
                best = min(best, before_last[j - 2] + 1)
            row.append(best)
        before_last, last = last, row
    return last[-1]
