from __future__ import annotations

from dataclasses import asdict

import pytest

from training_app.core.config import PRESETS, STAGE_SLUGS, RunConfig, WriteParams
from training_app.core.params import checked_params
from training_app.forms import OPTIONS, overrides_in, values_of_preset
from training_app.options import ESSENTIAL, STAGE_DOES, STAGE_DOING, STAGE_NAMES, write_options


def leaves(data: dict[str, object], where: str = "") -> set[str]:
    found: set[str] = set()
    for name, value in data.items():
        found |= leaves(value, f"{where}{name}.") if isinstance(value, dict) else {f"{where}{name}"}
    return found


def test_every_option_of_every_stage_is_described_once() -> None:
    assert [option.path for option in OPTIONS].count("rl.beta") == 1
    assert {option.path for option in OPTIONS} == leaves(asdict(RunConfig()))
    assert [option.path for option in OPTIONS if not (option.label and option.help)] == []
    assert {option.path for option in OPTIONS} >= ESSENTIAL


def test_writing_prompts_has_its_words_too() -> None:
    assert {option.path for option in write_options()} == leaves({"write": asdict(WriteParams())})
    assert all(option.label and option.help for option in write_options())


def test_every_stage_has_its_words() -> None:
    for words in (STAGE_NAMES, STAGE_DOES, STAGE_DOING):
        assert set(words) == {*STAGE_SLUGS, "write"}


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_survives_the_way_through_the_form(preset: str) -> None:
    assert checked_params(RunConfig, overrides_in(values_of_preset(preset))) == PRESETS[preset]
