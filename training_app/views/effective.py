"""The effective configuration as pages print it: every value that is read, stage by stage, and no other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from training_app.core.config import PRESETS
from training_app.models import Run
from training_app.options import STAGE_NAMES, Option, all_options, write_options
from training_app.options_read import is_read


@dataclass(frozen=True)
class Setting:
    """One effective value in words, and whether it differs from the preset's."""

    option: Option
    value: str
    differs: bool


@dataclass(frozen=True)
class StageSettings:
    """The effective values of one stage; `name` is "Whole run" for those of none."""

    name: str
    settings: tuple[Setting, ...]


def settings_of(run: Run) -> list[StageSettings]:
    """Every effective value of a run as its row keeps them. One query where it goes on from another run."""
    if run.preset == "write":
        return _laid_out(write_options(), [run.config], None)
    return settings_in([run.config], run.preset, source=run.source.config if run.source else None)


def settings_in(
    configs: Sequence[Mapping[str, Any]], preset: str, *, source: Mapping[str, Any] | None = None
) -> list[StageSettings]:
    """What at least one of the configurations reads, with the values of those that read it: "GRPO / PPO".

    `source` is the configuration of the run that all of them go on from.
    """
    read = [
        option for option in all_options() if any(is_read(option.path, config, source=source) for config in configs)
    ]
    return _laid_out(read, configs, asdict(PRESETS[preset]) if preset in PRESETS else None, source)


def _laid_out(
    options: Sequence[Option],
    configs: Sequence[Mapping[str, Any]],
    preset: Mapping[str, Any] | None,
    source: Mapping[str, Any] | None = None,
) -> list[StageSettings]:
    parts: dict[str, list[Setting]] = {}
    for option in options:
        readers = [config for config in configs if is_read(option.path, config, source=source)]
        values = [option.value_in(config) for config in readers]
        words = " / ".join(dict.fromkeys(option.words(value) for value in values))
        differs = preset is not None and any(value != option.value_in(preset) for value in values)
        parts.setdefault(STAGE_NAMES.get(option.stage, "Whole run"), []).append(Setting(option, words, differs))
    return [StageSettings(name, tuple(settings)) for name, settings in parts.items()]
