"""The stages a configuration asks for, and what each of them reads: the graph of a run before there is one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from training_app.core.config import stages_for
from training_app.options import STAGE_NAMES

ANEW = ("reward", "rl", "dpo", "evaluate")
"""Stages that a run which goes on from another's labels does anew; what comes before them is the other's."""


@dataclass(frozen=True)
class Planned:
    """One stage to be: its slug, and what it reads: other stages by slug, and what the run starts from by name."""

    slug: str
    stages: tuple[str, ...]
    given: tuple[str, ...]

    @property
    def reads(self) -> str:
        """ "base model, prompts, Revise"."""
        return ", ".join((*self.given, *(STAGE_NAMES[slug] for slug in self.stages)))


def stages_of(config: Mapping[str, Any]) -> tuple[str, ...]:
    """The stages a configuration asks for; what it does not say, or cannot be read, counts as the paper's way."""
    rl, dpo = config.get("rl") or {}, config.get("dpo") or {}
    method, reward, pairs = config.get("method"), rl.get("reward"), dpo.get("pairs")
    return stages_for(method or "rl", reward=reward or "model", pairs=pairs or "labels")


def plan_of(config: Mapping[str, Any], *, comparisons: bool = False) -> tuple[Planned, ...]:
    """Every stage in order with what it reads, as `jobs.py` gives it. `comparisons`: whether people's are chosen."""
    slugs = stages_of(config)
    judged = (config.get("rl") or {}).get("reward") == "judge"
    pairs = "label" if (config.get("dpo") or {}).get("pairs") != "revisions" else "revise"
    human = ("human comparisons",) if comparisons else ()
    table: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
        "generate": ((), ("base model", "prompts")),
        "revise": (("generate",), ("constitution",)),
        "sft": (("generate", "revise"), ("base model",)),
        "sample": (("sft",), ("red-team prompts",)),
        "label": (("sample",), ("constitution", "judge")),
        "reward": (("sft", "label"), human),
        "rl": (
            (("generate", "sft"), ("constitution", "judge", "prompts")) if judged else (("sft", "reward"), ("prompts",))
        ),
        "dpo": (("sft", pairs), human if pairs == "label" else ()),
        "evaluate": (
            tuple(slug for slug in ("sft", "reward", "rl", "dpo") if slug in slugs),
            ("base model", "judge", "held-out prompts"),
        ),
    }  # fmt: skip
    return tuple(Planned(slug, *table[slug]) for slug in slugs)
