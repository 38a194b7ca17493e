"""What runs can be compared in: arms that differ in one thing, and the pairs of them that the launch form offers.

An arm is a name with changes to the configuration, or another version of the constitution. Every arm is launched with
the same seeds, prompts and base model. A new comparison is an entry of `OFFERED`, or any arms given to `launch_group`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from constitutions_app.models import Version


@dataclass(frozen=True)
class Arm:
    """One side of a comparison. `version` is that of the launch where it names none."""

    name: str
    overrides: Mapping[str, Any] = field(default_factory=dict)
    version: Version | None = None


OFFERED: Mapping[str, tuple[str, tuple[Arm, ...]]] = {
    "critique": (
        "with and without critique",
        (
            Arm("with critique", {"revise": {"critique": True}}),
            Arm("without critique", {"revise": {"critique": False}}),
        ),
    ),
    "soft": (
        "soft and hard labels",
        (
            Arm("soft labels", {"reward": {"soft_targets": True}, "dpo": {"soft_targets": True}}),
            Arm("hard labels", {"reward": {"soft_targets": False}, "dpo": {"soft_targets": False}}),
        ),
    ),
    "method": ("RL and DPO", (Arm("RL", {"method": "rl"}), Arm("DPO", {"method": "dpo"}))),
    "algorithm": (
        "PPO, GRPO and RLOO",
        tuple(Arm(name.upper(), {"method": "rl", "rl": {"algorithm": name}}) for name in ("ppo", "grpo", "rloo")),
    ),
}
"""Choice → (words, arms); the first arm is the one the others are held against."""

ALONE = (Arm("as launched"),)
"""The one arm of several seeds without a comparison."""


def arms_of(version: Version, also: Sequence[Version]) -> tuple[Arm, ...]:
    """An arm for the launch's own version and for each other one; ALONE where there is no other."""
    others = {one.pk: one for one in also if one.pk != version.pk}
    return (Arm(name_of(version)), *(Arm(name_of(one), version=one) for one in others.values())) if others else ALONE


def name_of(version: Version) -> str:
    """How a version is named as an arm: "Harmless assistant v4". Reads the constitution."""
    return f"{str(version.constitution)[:90]} v{version.number}"


VERDICTS = (Arm("AI labels only", {"audits": False}), Arm("with people's verdicts", {"audits": True}))
"""The arms of `compare_verdicts`: the same labels, without and with what people overrode."""


def laid_over(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with `changes` in it, level by level."""
    laid = dict(base)
    for name, value in changes.items():
        known = laid.get(name)
        laid[name] = laid_over(known, value) if isinstance(known, Mapping) and isinstance(value, Mapping) else value
    return laid
