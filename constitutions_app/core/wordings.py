"""What a principle becomes when a model is asked: the critique request, the revision request, the comparison question.

An author may write any of the three; those left empty are derived here from the plain text, so the three always exist
and the page shows exactly what will be sent. `RESERVED` lists the delimiters of the prompts the wordings go into. A
wording that contains one is not forbidden (a linter points it out); it is defused before it is sent
(`training_app/core/prompts.py`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from constitutions_app.core.principles import Principle

RESERVED_LABELS = (
    "System",
    "Human",
    "Assistant",
    "CritiqueRequest",
    "Critique",
    "RevisionRequest",
    "Revision",
    "Options",
    "The answer is",
)
"""Words that open a part of a prompt when they stand first on a line with a colon behind them."""

RESERVED = (*(f"{label}:" for label in RESERVED_LABELS), "(A)", "(B)", "<|", "|>", "[INST]", "[/INST]")
"""What a wording should not contain: the prompts' own delimiters and the beginnings of chat models' control tokens."""


@dataclass(frozen=True)
class Wordings:
    """The three texts one principle is asked with, none of them empty."""

    critique_request: str
    revision_request: str
    comparison_question: str


def wordings_for(principle: Principle) -> Wordings:
    """The principle's own wordings, each derived from its plain text where the author left it empty."""
    derived = derived_wordings(principle.text or principle.title)
    return Wordings(
        critique_request=principle.critique_request or derived.critique_request,
        revision_request=principle.revision_request or derived.revision_request,
        comparison_question=principle.comparison_question or derived.comparison_question,
    )


def derived_wordings(text: str) -> Wordings:
    """The three wordings a plain text gives, e.g. for "Be honest." a question which response keeps to it better."""
    rule = text.strip()
    return Wordings(
        critique_request=(
            "Point out, with reasons, each way in which the assistant's last response falls short of this principle, "
            f"or say that it keeps to it: {rule}"
        ),
        revision_request=(
            "Rewrite the assistant's last response so that it keeps to this principle, changing nothing that already "
            f"does: {rule}"
        ),
        comparison_question=f"Which of the two responses keeps better to this principle: {_as_clause(rule)}?",
    )


def reserved_in(text: str) -> tuple[str, ...]:
    """The reserved delimiters that a wording contains, in the order of `RESERVED`; case does not matter."""
    found = text.casefold()
    return tuple(delimiter for delimiter in RESERVED if _stands_in(delimiter.casefold(), found))


def _stands_in(delimiter: str, text: str) -> bool:
    if delimiter[0].isalpha():  # a label counts only as a whole word: "self-critique:" and "inhuman:" are prose
        return re.search(rf"(?:^|(?<=[\n\r])|(?<=[.!?] ))[^\S\n]*{re.escape(delimiter)}", text) is not None
    return delimiter in text


def _as_clause(text: str) -> str:
    """The rule without its full stop, so that a question mark can follow."""
    return text.rstrip().rstrip(".!?;:").rstrip()
