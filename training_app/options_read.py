"""Which options a run reads: those of its stages, and of its algorithm. The others change nothing, whatever they say.

A run keeps every option (its row, its file), so that a clone with another algorithm starts from the same values. Pages
show only what has an effect.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from training_app.core.config import STAGE_SLUGS
from training_app.plan import ANEW, stages_of

Config = Mapping[str, Any]

PPO_ONLY = frozenset(
    f"rl.{name}"
    for name in ("ppo_epochs", "minibatches", "clip", "gae_lambda", "discount", "value_weight", "normalise_reward")
)
JUDGE_ONLY = frozenset({"rl.judge_principles"})
"""Read where the judge is RL's reward."""

OF_LABELS = frozenset(
    f"reward.{name}" for name in ("drop_irrelevant", "overridden_labels", "overridden_weight", "verdicts_needed")
)
"""How labels become rows, whether a reward model learns them or DPO."""
OF_ROWS = OF_LABELS | {"reward.human_weight"}

READERS: Mapping[str, tuple[str, ...]] = {
    "label.template": ("evaluate",),  # the judge of every answer that is measured is asked by it
    "reward.human_weight": ("reward", "dpo"),
    **dict.fromkeys(OF_LABELS, ("label",)),
}
"""Options that other stages read than the one they stand under."""


def _of(stage: str, name: str) -> Callable[[Config], Any]:
    return lambda config: (config.get(stage) or {}).get(name)


ONLY_IF: Mapping[str, Callable[[Config], bool]] = {
    **dict.fromkeys(PPO_ONLY, lambda config: _of("rl", "algorithm")(config) == "ppo"),
    **dict.fromkeys(JUDGE_ONLY, lambda config: _of("rl", "reward")(config) == "judge"),
    "sft.lora_alpha": lambda config: bool(_of("sft", "lora_rank")(config)),
    "sft.overridden_steps": lambda config: config.get("audits") is not False,
    "sft.verdicts_needed": lambda config: config.get("audits") is not False,
    "label.principles_per_comparison": lambda config: _of("label", "ask")(config) in (None, "sampled"),
    "label.cot_tokens": lambda config: _of("label", "cot_samples")(config) != 0,
    "reward.overridden_labels": lambda config: config.get("audits") is not False,
    "reward.verdicts_needed": lambda config: config.get("audits") is not False,
    "reward.overridden_weight": lambda config: (
        config.get("audits") is not False and _of("reward", "overridden_labels")(config) == "weight"
    ),
}
"""What must be chosen elsewhere for an option to be read."""


def is_read(path: str, config: Config, *, source: Config | None = None) -> bool:
    """Whether an option ("rl.clip") has an effect in a run with this configuration (plain data).

    In a run that goes on from another's labels (`source` is that one's configuration) so have those of the stages that
    the other did: what it learns from was made by them, with people's verdicts where the other counted them.
    """
    stage = path.partition(".")[0]
    if source is not None and stage in STAGE_SLUGS and stage not in ANEW:
        config = {**config, "audits": source.get("audits")}
    if stage in STAGE_SLUGS and not set(READERS.get(path, (stage,))) & set(stages_of(config)):
        return False
    return path not in ONLY_IF or ONLY_IF[path](config)
