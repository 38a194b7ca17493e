"""Countable features of an answer: what a principle can ask for and anybody can check, by rule and without a model.

| name | an answer has it when |
|---|---|
| short | it has at most 40 words, and at least one |
| list | two lines or more begin with a bullet or a number |
| question | a sentence ends with a question mark |
| warmth | it holds a word of thanks or of warmth |
| professional | it names a professional or an office to turn to |

and any regular expression that a user gives, searched without regard to case. They say whether the text of a
constitution moved a model, not whether the answer is good. English only, but for the first three. Left out: how much of
a feature there is; each is there or not, so that a rate with an interval can be compared between arms.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from training_app.core.signals import word_count

SHORT = 40
"""Words, as the starter's principle "short answers" says."""

MOST_PATTERNS = 10
LONGEST_PATTERN = 300
PATIENCE_S = 0.2
"""For one pattern on one answer: what takes longer counts as absent, and no pattern can hang a stage."""

_ITEM = re.compile(r"^[ \t]*(?:[-*•]|\d{1,2}[.)])[ \t]+\S", re.MULTILINE)
_QUESTION = re.compile(r"\w[\"'\u201d\u2019)]?\?")
_WARMTH = re.compile(
    r"\b(?:thank(?:s| you)|you're welcome|glad|happy to|delighted|my pleasure|warm(?:ly|est)?|dear|lovely|wonderful"
    r"|take care|best wishes|good luck|hope (?:this|that|you)|i'm here)\b",
    re.IGNORECASE,
)
_PROFESSIONAL = re.compile(
    r"\b(?:doctor|physician|gp|nurse|pharmacist|dentist|therapist|psychologist|psychiatrist|counsell?or|lawyer|attorney"
    r"|solicitor|accountant|electrician|plumber|mechanic|vet(?:erinarian)?|social worker|financial advis[eo]r|notary"
    r"|(?:qualified|licensed|medical|legal|health(?:care)?|mental health|trained) professionals?|hotline|helpline"
    r"|emergency services|professional (?:help|advice|guidance))\b",
    re.IGNORECASE,
)
_APOSTROPHE = str.maketrans({"\u2019": "'"})
_LINE = re.compile(r"([a-z][a-z0-9_]{0,29})\s*:\s*(\S.*)")

Feature = Callable[[str], bool]


def is_short(text: str) -> bool:
    """At most `SHORT` words, and at least one."""
    return 1 <= word_count(text) <= SHORT


def is_list(text: str) -> bool:
    """Two list items or more."""
    return len(_ITEM.findall(text)) >= 2


BUILT_IN: Mapping[str, Feature] = {
    "short": is_short,
    "list": is_list,
    "question": lambda text: _QUESTION.search(text) is not None,
    "warmth": lambda text: _WARMTH.search(text.translate(_APOSTROPHE)) is not None,
    "professional": lambda text: _PROFESSIONAL.search(text) is not None,
}


class BadPatterns(ValueError):
    """A line is no "name: regular expression"; the message says which and why."""


def features(patterns: str = "") -> dict[str, Feature]:
    """The built-in features and those of `patterns`, one "name: regular expression" a line. Raises BadPatterns."""
    found = dict(BUILT_IN)
    lines = [line for line in patterns.splitlines() if line.strip()]
    if len(lines) > MOST_PATTERNS:
        raise BadPatterns(f"there are {len(lines)} patterns; {MOST_PATTERNS} are the most")
    for line in lines:
        name, pattern = _named(line.strip())
        if name in found:
            raise BadPatterns(f"{name!r} is there twice, or is a feature that is always counted")
        found[name] = _searching(pattern)
    return found


def count(text: str, counted: Mapping[str, Feature]) -> dict[str, bool]:
    """Which features an answer has, by name."""
    return {name: has(text) for name, has in counted.items()}


def _named(line: str) -> tuple[str, str]:
    match = _LINE.fullmatch(line)
    if match is None:
        raise BadPatterns(f"{line[:60]!r} is not of the form name: regular expression, with a name like apology")
    if len(match[2]) > LONGEST_PATTERN:
        raise BadPatterns(f"the pattern of {match[1]!r} is longer than {LONGEST_PATTERN} characters")
    return match[1], match[2]


def _searching(pattern: str) -> Feature:
    import regex  # unlike the standard library's, it can be told to give up

    try:
        compiled = regex.compile(pattern, regex.IGNORECASE)
    except regex.error as error:
        raise BadPatterns(f"{pattern[:60]!r} is no regular expression: {error}") from error

    def has(text: str) -> bool:
        try:
            return compiled.search(text, timeout=PATIENCE_S) is not None
        except TimeoutError:
            return False

    return has
