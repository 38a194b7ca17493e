"""From a preset and a person's changes to the effective configuration of a run, every value checked.

Changes come as plain data, ``{"rl": {"steps": 20}, "generate": {"sampling": {"max_new_tokens": 32}}}``; options of the
whole run (`heldout_fraction`, `max_prompts`) stand at the top: ``{"max_prompts": 8}``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from training_app.core.config import PRESETS, RunConfig
from training_app.core.params import BadParams, checked_params


class BadConfiguration(ValueError):
    """A preset or an option is unknown, of the wrong type or out of range; the message is one sentence."""


def effective_config(preset: str, overrides: Mapping[str, Any]) -> RunConfig:
    """The preset with the changes applied. Raises BadConfiguration naming the option."""
    if preset not in PRESETS:
        raise BadConfiguration(f"There is no preset {preset!r}; choose {', '.join(PRESETS)}.")
    return config_from(_merged(asdict(PRESETS[preset]), overrides))


def config_from(data: Mapping[str, Any]) -> RunConfig:
    """Plain data (as `Run.config` keeps it) as a checked RunConfig. Raises BadConfiguration naming the option."""
    try:
        config = checked_params(RunConfig, data)
    except BadParams as error:
        raise BadConfiguration(f"The option {error}") from error
    if not 0 < config.heldout_fraction < 1:
        raise BadConfiguration(
            f"The option heldout_fraction should lie between 0 and 1, not be {config.heldout_fraction:g}: "
            "without held-out prompts nothing can be evaluated, without the others nothing trained."
        )
    if config.max_prompts is not None and config.max_prompts < 2:
        raise BadConfiguration(
            "The option max_prompts should be at least 2: one prompt to train on, one to evaluate on."
        )
    for stage, options in (("reward", config.reward), ("dpo", config.dpo)):
        if stage in config.stages and options.heldout_fraction >= 1:
            raise BadConfiguration(
                f"The option {stage}.heldout_fraction should be below 1: at 1 no pair is trained on."
            )
    low, high = config.label.clamp_low, config.label.clamp_high
    if (low is None) != (high is None) or (low is not None and high is not None and low >= high):
        raise BadConfiguration("The options clamp_low and clamp_high go together, and the low one is the smaller.")
    return config


def _merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with `changes` laid over it, level by level; names that `base` lacks are kept, to be refused by name."""
    merged = dict(base)
    for name, value in changes.items():
        known = merged.get(name)
        merged[name] = _merged(known, value) if isinstance(known, Mapping) and isinstance(value, Mapping) else value
    return merged
