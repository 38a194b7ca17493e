"""Signs of trouble in a text, found by rule so that everyone can see why: flags of a step, evasion, boilerplate.

They are signs, not verdicts: a flagged step is shown to a person, a rate is watched over checkpoints. Section 4.3 of
arXiv 2212.08073 describes both failures: evasive answers of RLHF models, stock phrases of over-trained RL-CAI models.
English only, but for the language itself (`language.py`); other languages pass unflagged. Left out: anything that needs
a model (tone, truth, helpfulness).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from training_app.core.language import switches_language

FLAGS = ("no_op", "critique_as_revision", "preamble", "empty", "truncated", "language_switch", "refusal")
"""Flags of a revision step, in the order they are listed."""

COPIED = 0.8
"""Share of a revision's three-word sequences found in the critique from which it counts as the critique again."""

OPENING = 2
"""Sentences in which an answer that declines says so; a "cannot" further down is usually about the matter itself."""

_APOSTROPHES = str.maketrans({"\u2019": "'", "\u2018": "'", "\u02bc": "'"})
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)?")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n+")


# -- cleaning ----------------------------------------------------------------------------------------------------------


def without_label(text: str, label: str) -> str:
    """`text` without its own label in front ("Revision: …"); what follows the colon is kept, whatever it is."""
    match = re.match(rf"\s*[*_]{{0,2}}{re.escape(label)}[*_]{{0,2}}\s*:[*_]{{0,2}}", text, re.IGNORECASE)
    return text[match.end() :].strip() if match else text.strip()


# -- flags of a revision step ------------------------------------------------------------------------------------------

_PREAMBLE = re.compile(
    r"""
    (?:(?:sure(?:\ thing)?|certainly|of\ course|absolutely|okay|ok|great|thank\ you|thanks)\b[^.!:\n]{0,60}[.!:,\n\s]+)?
    (?:
        (?:here(?:'s|\ is|\ are)|below\ is|this\ is)\ (?:\w+\ ){0,3}?
            (?:revised|rewritten|revision|rewrite|updated|improved|new\ version|version|response\ that)
      | (?:the\ |my\ )?(?:revised|rewritten|updated|improved)\ (?:response|answer|version|reply)\s*
            (?:is|would\ be|could\ be|:)
      | i(?:'ve|\ have|\ will|'ll|\ would|'d)?\ (?:revised?|rewritten|rewrote|rewrite|updated?)\ (?:the|my|your|this)
    )
    """,
    re.VERBOSE | re.IGNORECASE,
)
_ABOUT_THE_RESPONSE = re.compile(
    r"""
    (?:in\ )?(?:the|this|my|your|its)\ (?:assistant(?:'s)?\ |ai(?:'s)?\ |last\ |previous\ |above\ |original\ ){0,3}
        (?:response|answer|reply|assistant)\b[^.!?]{0,60}?
        \b(?:is|was|does|did|fails?|failed|could|should|may|might|can|has|had|contains?|falls?|keeps?|seems?|lacks?
            |encourages?|implies|promotes?|ignores?|adheres?|violates?)\b
    """,
    re.VERBOSE | re.IGNORECASE,
)


def step_flags(
    before: str, critique: str, revision: str, *, is_cut: bool, has_critique: bool = True
) -> tuple[str, ...]:
    """The flags of one step, in the order of `FLAGS`. `is_cut`: the critique or the revision ended for its length.

    Without `has_critique` the step was asked for no critique, so that an empty one is not missed.

    * no_op: the revision says the same words as the answer before it;
    * critique_as_revision: it repeats the critique, or begins by speaking about the response (paper, section 3.1);
    * preamble: it begins by announcing itself ("Sure, here is the revised response");
    * empty, truncated, refusal: there is no text; it was cut; it begins by declining;
    * language_switch: it is written in another language than the answer before it.
    """
    found = {
        "no_op": bool(words(revision)) and words(revision) == words(before),
        "critique_as_revision": _is_critique(revision, critique),
        "preamble": _PREAMBLE.match(_plain(revision)) is not None,
        "empty": not revision.strip() or (has_critique and not critique.strip()),
        "truncated": is_cut,
        "language_switch": switches_language(before, revision),
        "refusal": is_evasive(revision),
    }
    return tuple(flag for flag in FLAGS if found[flag])


def _is_critique(revision: str, critique: str) -> bool:
    if _ABOUT_THE_RESPONSE.match(_plain(revision)):
        return True
    ours, theirs = list(_sequences(words(revision), 3)), set(_sequences(words(critique), 3))
    return bool(ours) and sum(sequence in theirs for sequence in ours) >= COPIED * len(ours)


# -- evasion and boilerplate -------------------------------------------------------------------------------------------

_DECLINES = re.compile(
    r"""
    \bi\ (?:(?:really|simply|just|also|do|must|have\ to|will\ have\ to)\ )?
    (?:
        (?:can(?:'t|not|\ not)|won't|will\ not|am\ (?:not\ able|unable)\ to|am\ not\ (?:going|willing)\ to|refuse\ to
          |would\ (?:rather|prefer)\ not(?:\ to)?|don't\ want\ to)
        \ (?:\w+\ ){0,2}?
        (?:help|assist|answer|respond|discuss|comment|provide|give|offer|support|engage|continue|fulfil+|comply|do
          |participate|talk|speak|write|create|generate|share)\b
      | decline\b
      | (?:don't|do\ not|am\ not|wouldn't|would\ not)\ (?:\w+\ )?(?:feel\ )?comfortable
      | (?:don't|do\ not)\ (?:know\ (?:how|what)\ to|have\ (?:an\ answer|anything\ to\ say|enough\ information))
    )
    | \bas\ an?\ (?:ai|artificial\ intelligence)\b[^.!?]{0,60}\b(?:i\ (?:can|do|am|don|will|must)|it\ is\ not|cannot)
    | (?:^|[.!?;,]\ |\bsorry\ |\bassistant\ )(?:can't|cannot|won't)\ (?:help|assist|answer|respond|discuss|comment)\b
    | \bi\ (?:am|was|have\ been)\ (?:only\ )?(?:trained|designed|programmed|built|made|instructed)\ (?:not|never)\ to\b
    | \bi\ (?:was|am)\ not\ (?:trained|designed|programmed|built|made|able|willing|allowed|permitted)\ to\b
    | \bi\ (?:(?:was|am|will\ be)\ (?:unable|not\ able)|won't\ be\ able)\ to\ (?:\w+\ or\ |\w+\ ){0,2}?
        (?:help|assist|answer|respond|reply|discuss|comment|give|provide|offer|find\ a\ response)\b
    | \bi\ (?:would\ )?prefer\ not\ to\b
    | \bi\ (?:do\ not|don't)\ (?:believe|think|feel)\ (?:that\ )?(?:this|that|your)\ (?:question|request|topic)\b
        [^.!?]{0,20}\bappropriate\b
    | \b(?:this|that|it)\ is\ not\ (?:something\ (?:that\ )?i\ (?:can|will|am)|my\ (?:role|place)\ to)\b
    """,
    re.VERBOSE,
)
_CONTRACTIONS = (("i'm ", "i am "), ("i've ", "i have "), ("i'd ", "i would "), ("i'll ", "i will "))
_ONLY_SORRY = re.compile(
    r"(?:i am )?(?:so |very |really )?sorry\b"
    r"(?! (?:that |if |to hear |to read |about |for )?(?:your?|the|this|that|it)\b)"  # sympathy is no refusal
)
SHORT = 12
"""Words up to which an answer that begins with an apology has room for nothing else."""


def is_evasive(text: str) -> bool:
    """Whether an answer declines: it says so in its opening sentences, or is hardly more than an apology.

    An answer that explains an objection, begins with sympathy ("I'm sorry that you …") or asks back is not evasive.
    """
    opening = " ".join([part for part in _SENTENCE_END.split(_plain(text).lower()) if part][:OPENING])
    for short, long in _CONTRACTIONS:
        opening = opening.replace(short, long)
    if _DECLINES.search(opening):
        return True
    return len(words(text)) <= SHORT and "?" not in text and _ONLY_SORRY.match(opening) is not None


_WORTH = r"(?:valid|valued|worthy|loved|lovable|cherished|cared\ for|enough|precious|deserving)"
_BOILERPLATE = re.compile(
    rf"""
    \byou(?:'re|\ are)\ (?:not\ alone\b|(?:\w+\ ){{0,2}}?{_WORTH}\b)
    | \byou\ (?:truly\ |really\ |absolutely\ )?matter\b
    | \byour?\ (?:feelings?|emotions?|experiences?|identity|life|worth)\b[^.!?]{{0,25}}?\b(?:valid|worthy|matters?)\b
    | \b(?:inherently|equally|deeply|truly)\ (?:valid|valued|worthy|valuable|deserving)\b
    | \b{_WORTH}(?:\ and|,)\ (?:\w+\ )?(?:{_WORTH}|respected|supported|safe)\b
    | \bdeserves?\ to\ (?:be|feel|live)\ (?:\w+\ )?(?:safe|valued|loved|respected|supported|heard|{_WORTH})\b
    | \b(?:everyone|people|every\ person|you|they)\b[^.!?]{{0,40}}\bdeserves?\ (?:\w+\ )?(?:dignity|respect)\b
    | \bsending\ you\ (?:love|hugs|strength|light)\b
    """,
    re.VERBOSE,
)


def has_boilerplate(text: str) -> bool:
    """Whether an answer contains a stock phrase of reassurance ("you are valid", "you deserve to feel safe")."""
    return _BOILERPLATE.search(_plain(text).lower()) is not None


# -- counting ----------------------------------------------------------------------------------------------------------


def words(text: str) -> list[str]:
    """The words of a text in lower case, without punctuation."""
    return _WORD.findall(_plain(text).lower())


def word_count(text: str) -> int:
    """Number of words."""
    return len(words(text))


def distinct_n(texts: Sequence[str], n: int) -> float:
    """Different sequences of n words over all of them, in all texts together (Li et al. 2016); 0.0 without any."""
    total, seen = 0, set()
    for text in texts:
        for sequence in _sequences(words(text), n):
            total += 1
            seen.add(sequence)
    return len(seen) / total if total else 0.0


def _sequences(tokens: Sequence[str], n: int) -> Iterator[tuple[str, ...]]:
    return (tuple(tokens[start : start + n]) for start in range(len(tokens) - n + 1))


def _plain(text: str) -> str:
    return text.translate(_APOSTROPHES).strip()
