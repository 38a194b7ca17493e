"""The prompts of a run: which ones train and which ones are held out, as rows for the stages.

The split goes by the digest of each prompt's text, never by chance, so a prompt is on the same side in every run that
holds out the same share. With `max_prompts`, that many of each kind are taken, by a digest that has nothing to do with
the one that splits: the lowest of that one are exactly those that are held out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from constitutions_app.core.principles import digest_of_text
from training_app.core.config import RunConfig
from training_app.core.datasets import prompt_text, same_prompt, split_by_prompt
from training_app.models import Comparison, Prompt, PromptSet, Run

Row = dict[str, Any]


@dataclass(frozen=True)
class RunPrompts:
    """Prompt rows ``{"id", "text", "kind", "messages"?}`` by side, in the order of their sets."""

    train: tuple[Row, ...]
    heldout: tuple[Row, ...]

    def red_team(self) -> tuple[Row, ...]:
        """The red-team prompts of the training side."""
        return tuple(row for row in self.train if row["kind"] == PromptSet.Kind.RED_TEAM)


def prompt_id(slug: str, key: str) -> str:
    """How stages name a prompt: the set and the key in it, the same on every machine."""
    return f"{slug}:{key}"


def prompts_of(run: Run, config: RunConfig) -> RunPrompts:
    """Both sides of the run's prompts. One query. The same prompt in two sets of one kind is taken once."""
    train: list[Row] = []
    heldout: list[Row] = []
    for kind in (PromptSet.Kind.RED_TEAM, PromptSet.Kind.HELPFUL):
        taken = _limited(_distinct(_rows(run, kind)), config.max_prompts)
        sides = split_by_prompt(taken, config.heldout_fraction)
        train.extend(sides[0])
        heldout.extend(sides[1])
    trained = {_identity(row) for row in train}
    return RunPrompts(tuple(train), tuple(row for row in heldout if _identity(row) not in trained))


def prompts_whole(run: Run) -> tuple[Row, ...]:
    """The red-team prompts of the run's sets, none held out, each once. One query."""
    return tuple(_distinct(_rows(run, PromptSet.Kind.RED_TEAM)))


def keys_to_ids(run: Run) -> dict[str, int]:
    """Prompt id as the stages name it → primary key. One query."""
    rows = Prompt.objects.filter(prompt_set__runs=run).values_list("prompt_set__slug", "key", "pk")
    return {prompt_id(slug, key): pk for slug, key, pk in rows}


def _rows(run: Run, kind: str) -> list[Row]:
    prompts = Prompt.objects.filter(prompt_set__runs=run, prompt_set__kind=kind)
    found = prompts.order_by("prompt_set__slug", "position").values_list("prompt_set__slug", "key", "text", "messages")
    return [
        {"id": prompt_id(slug, key), "text": text, "kind": str(kind)} | ({"messages": messages} if messages else {})
        for slug, key, text, messages in found
    ]


def _distinct(rows: list[Row]) -> list[Row]:
    seen: dict[str, Row] = {}
    for row in rows:
        seen.setdefault(_identity(row), row)
    return list(seen.values())


def _limited(rows: list[Row], limit: int | None) -> list[Row]:
    if limit is None or len(rows) <= limit:
        return rows
    chosen = {_identity(row) for row in sorted(rows, key=_lot)[:limit]}
    return [row for row in rows if _identity(row) in chosen]


def _lot(row: Row) -> str:
    """Where a prompt stands in line when not all are taken: the same on every machine, independent of its side."""
    return digest_of_text(f"taken {_identity(row)}")


def _identity(row: Row) -> str:
    return same_prompt(prompt_text(row))


def human_key(comparison: Comparison) -> str:
    """How stages know a human comparison: "<slug of its set>:<its key>". Reads its set."""
    if comparison.prompt_set is None:
        raise ValueError(f"{comparison} is no human comparison")
    return f"{comparison.prompt_set.slug}:{comparison.key}"
