"""How harmful a text may be to whoever must read it, from what is known of its prompt. Nothing is read or guessed.

Severity: 0 nothing known, 1 a prompt written to provoke (its set is a red-team set), 2 a tag names a kind of harm,
3 a tag says that it is severe. A tag "severity:2" or "severity:3" decides by itself. What a model says of harm is left
out: judging texts by a model before a person may see them would put one more judge between them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

NONE, PROVOKING, HARMFUL, SEVERE = 0, 1, 2, 3
WORDS = {PROVOKING: "written to provoke", HARMFUL: "tagged as harmful", SEVERE: "tagged as severe"}

KINDS = (
    "abuse", "animal", "assault", "bully", "child", "crime", "cruel", "death", "discriminat", "drug", "extremis",
    "gore", "harass", "hate", "incit", "kidnap", "kill", "murder", "non_violent", "porn", "racis", "rape",
    "self_harm", "self-harm", "sexual", "slur", "suicid", "terror", "threat", "tortur", "traffick", "violen", "weapon",
)  # fmt: skip
"""Beginnings of words that name a kind of harm in the tags of the usual red-team collections."""

SEVERE_KINDS = ("child", "gore", "kidnap", "murder", "rape", "self_harm", "self-harm", "suicid", "tortur", "traffick")
_SAID = re.compile(r"^severity[:=_ ]?([0-3])$")


def severity_of(tags: Iterable[str], *, is_red_team: bool) -> int:
    """From 0 to 3, as above."""
    said = [int(found.group(1)) for tag in tags if (found := _SAID.match(tag.strip().casefold()))]
    if said:
        return max(said)
    words = [word for tag in tags for word in re.split(r"[^\w-]+", tag.casefold())]
    if any(word.startswith(SEVERE_KINDS) for word in words) or "severe" in words:
        return SEVERE
    if any(word.startswith(KINDS) for word in words):
        return HARMFUL
    return PROVOKING if is_red_team else NONE


def is_veiled(tags: Iterable[str], severity: int, *, veil_from: int, veil_tags: Iterable[str]) -> bool:
    """Whether somebody with these settings is asked before the text is shown."""
    own = {tag.strip().casefold() for tag in veil_tags}
    return severity >= max(veil_from, 1) or any(tag.strip().casefold() in own for tag in tags)
