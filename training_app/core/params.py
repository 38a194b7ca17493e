"""A stage's options checked against their dataclass in `config.py`: unknown names, wrong types, impossible values.

A wrong option must fail in the first second with its name, not after an hour inside a library with a stack of calls.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, TypeVar, get_args, get_type_hints

from training_app.core.features import BadPatterns, features

Params = TypeVar("Params")

AT_LEAST: Mapping[str, float] = {
    "temperature": 0, "top_p": 0, "max_new_tokens": 1, "batch_size": 1, "rounds": 0, "exemplars": 0, "epochs": 0,
    "learning_rate": 0, "gradient_accumulation": 1, "max_length": 8, "save_steps": 1, "principles_per_comparison": 1,
    "clamp_low": 0, "clamp_high": 0, "human_weight": 0, "heldout_fraction": 0, "steps": 1, "beta": 0, "generations": 2,
    "prompts_per_step": 1, "max_completion_length": 1, "judge_principles": 1, "bootstrap": 1, "cot_samples": 0,
    "cot_tokens": 1, "count": 1, "shown": 1, "attempts": 1, "max_similarity": 0,
    "processes": 1, "overridden_weight": 0, "verdicts_needed": 1,
    "human_comparisons": 0,
    "lora_rank": 0, "lora_alpha": 1, "helpful_share": 0, "ppo_epochs": 1, "minibatches": 1, "clip": 0, "gae_lambda": 0,
    "discount": 0, "value_weight": 0,
}  # fmt: skip
AT_MOST: Mapping[str, float] = {
    "top_p": 1, "clamp_low": 1, "clamp_high": 1, "heldout_fraction": 1, "max_similarity": 1, "helpful_share": 1,
    "clip": 1, "gae_lambda": 1, "discount": 1, "overridden_weight": 1,
}  # fmt: skip
LARGEST = 2**31 - 1
"""No count, length or rate is larger: beyond it lie columns of the database and then floating point."""
ABOVE_ZERO = frozenset({"top_p", "epochs", "learning_rate", "clip"})
CHOICES: Mapping[str, tuple[str, ...]] = {
    "format": ("auto", "paper", "chat"),
    "draw": ("each_round", "without_replacement", "in_order"),
    "template": ("paper", "chat", "principle_last"),
    "aim": ("none", "principle"),
    "ask": ("sampled", "every", "together"),
    "aggregation": ("mean", "majority", "product"),
    "sharding": ("ddp", "fsdp2", "deepspeed"),
    "method": ("rl", "dpo", "both", "sft_only"),
    "algorithm": ("grpo", "rloo", "ppo"),
    "reward": ("model", "judge"),
    "pairs": ("labels", "revisions"),
    "overridden_steps": ("drop", "keep"),
    "overridden_labels": ("override", "drop", "weight"),
}


class BadParams(ValueError):
    """An option is unknown, of the wrong type or out of range; the message starts with its name."""


def checked_params(kind: type[Params], data: Mapping[str, Any]) -> Params:
    """Plain JSON data as the dataclass `kind`. Options left out keep their defaults. Raises BadParams."""
    return _build(kind, data, "")


def _build(kind: type[Params], data: Mapping[str, Any], where: str) -> Params:
    if not is_dataclass(kind):
        raise TypeError(f"{kind.__name__} is not a dataclass of options.")
    known = [part.name for part in fields(kind)]
    if unknown := sorted(set(data) - set(known)):
        raise BadParams(
            f"{where}{unknown[0]} is not an option of {kind.__name__}; known are {', '.join(sorted(known))}."
        )
    hints = get_type_hints(kind)
    return kind(**{name: _value(hints[name], name, value, where) for name, value in data.items()})


def _value(hint: Any, name: str, value: Any, where: str) -> Any:
    if is_dataclass(hint) and isinstance(hint, type):
        if not isinstance(value, Mapping):
            raise BadParams(f"{where}{name} should be an object, not {value!r}.")
        return _build(hint, value, f"{where}{name}.")
    allowed = get_args(hint) if isinstance(hint, UnionType) else (hint,)
    if value is None and NoneType in allowed:
        return None
    if float in allowed and isinstance(value, int) and not isinstance(value, bool) and abs(value) <= LARGEST:
        value = float(value)
    if type(value) not in allowed:
        names = " or ".join("null" if part is NoneType else part.__name__ for part in allowed)
        raise BadParams(f"{where}{name} should be {names}, not {value!r}.")
    _check_range(name, value, where)
    return value


def _check_range(name: str, value: Any, where: str) -> None:
    if name in CHOICES and isinstance(value, str) and value not in CHOICES[name]:
        raise BadParams(f"{where}{name} should be one of {', '.join(CHOICES[name])}, not {value!r}.")
    if name == "patterns":
        try:
            features(value)
        except BadPatterns as error:
            raise BadParams(f"{where}{name}: {error}.") from error
    if isinstance(value, bool | str):
        return
    if isinstance(value, float) and not math.isfinite(value):
        raise BadParams(f"{where}{name} should be a finite number, not {value!r}.")
    if (
        value < AT_LEAST.get(name, -math.inf)
        or value > AT_MOST.get(name, LARGEST)
        or (name in ABOVE_ZERO and value == 0)
    ):
        raise BadParams(f"{where}{name} is out of range: {value!r}.")
