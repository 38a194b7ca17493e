"""The prompt sets that come with the app, loaded once; their digests say whether they are what the database has."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from django.contrib.auth.models import User

from training_app.actions import load_prompt_set
from training_app.models import PromptSet

FOLDER = Path(__file__).parent / "starter"
LICENCE = "as the app"


@dataclass(frozen=True)
class StarterFile:
    """One file of the starter material and what it becomes."""

    file: str
    kind: str
    slug: str
    name: str


FILES = (
    StarterFile("red_team.jsonl", PromptSet.Kind.RED_TEAM, "starter-red-team", "Starter red-team prompts"),
    StarterFile("helpful.jsonl", PromptSet.Kind.HELPFUL, "starter-helpful", "Starter helpfulness prompts"),
    StarterFile(
        "helpful_comparisons.jsonl",
        PromptSet.Kind.COMPARISONS,
        "starter-comparisons",
        "Starter helpfulness comparisons",
    ),
)


def load(user: User) -> list[PromptSet]:
    """Load every starter file; returns the sets, in the order of FILES. Safe to repeat; a changed file is a new set."""
    return [
        load_prompt_set(
            user=user,
            content=(FOLDER / one.file).read_bytes(),
            kind=one.kind,
            slug=one.slug,
            name=one.name,
            licence=LICENCE,
        )
        for one in FILES
    ]
