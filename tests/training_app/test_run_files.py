from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training_app.core.config import PRESETS
from training_app.options import all_options
from training_app.run_files import LARGEST, Offered, read_run_file, write_run_file

HERE = Offered(
    {"version": ["harmless@1"], "base_model": ["tiny"], "generator": ["", "fast"], "judge": ["", "fast"],
     "preset": list(PRESETS), "arms": ["", "critique"]},
    {"red": "d1", "help": "d2"},
    {"harmless@1": "w1"},
)  # fmt: skip
CHOICES: dict[str, Any] = {
    "version": "harmless@1", "base_model": "tiny", "judge": "fast", "preset": "demo", "seed": 3, "seeds": 2,
    "arms": "critique",    "name": "evening: „quoted“ # no comment", "prompt_sets": ["red", "help"],
}  # fmt: skip
DIGESTS = {"version": "w1", "base_model": "m1", "prompt_sets": {"red": "d1", "help": "d2"}}


def faults(text: str) -> list[tuple[int, str, str]]:
    return [(fault.line, fault.key, fault.words) for fault in read_run_file(text, HERE).faults]


@pytest.mark.parametrize("preset", list(PRESETS))
def test_a_file_comes_back_as_it_was_written(preset: str) -> None:
    config = asdict(PRESETS[preset])
    read = read_run_file(write_run_file({**CHOICES, "preset": preset}, config, DIGESTS, title="Run 3."), HERE)
    assert read.faults == []
    assert read.choices == {**CHOICES, "preset": preset}
    assert read.options == {option.path: option.value_in(config) for option in all_options()}
    assert read.base_model_digest == "m1"


def test_every_fault_is_named_by_line_and_key_and_the_rest_counts() -> None:
    text = (
        "version: harmless@9\nbase_model: tiny\ncolour: red\nseed: -1\nprompt_sets: [red, gone, red]\n"
        "options:\n  rl:\n    steps: many\n    stepps: 3\n    beta: 1e-2\n    algorithm: kto\n  sft: 4\n"
        "  max_prompts:\n  audits: 'yes'\n  heldout_fraction: .nan\nseed: 4\n"
    )
    assert faults(text) == [
        (1, "version", "'harmless@9' is not here. Here is harmless@1."),
        (3, "colour", "There is no such key; known are version, base_model, generator, judge, preset, arms, also, "
                      "expects, prompt_sets, seed, seeds, name, digests, options."),
        (4, "seed", "It should be a whole number from 0 to 2147483647."),
        (5, "prompt_sets", "There is no prompt set 'gone' here. Load it, or choose another."),
        (8, "options.rl.steps".removeprefix("options."), "It should be a whole number."),
        (9, "rl.stepps", "There is no such option."),
        (11, "rl.algorithm", "It should be one of grpo, rloo, ppo."),
        (12, "sft", "This should hold keys of its own, each with a value."),
        (14, "audits", "It should be true or false."),
        (15, "heldout_fraction", "It should be a number."),
        (16, "seed", "This stands twice; the first one counts."),
    ]  # fmt: skip
    read = read_run_file(text, HERE)
    assert read.choices == {"base_model": "tiny", "prompt_sets": ["red"]}
    assert read.options == {"rl.beta": 0.01, "max_prompts": None}


def test_other_content_under_a_known_name_is_noticed() -> None:
    text = "digests:\n  version: w2\n  prompt_sets:\n    red: d9\n    unknown: d0\nversion: harmless@1\n"
    assert [(line, key) for line, key, _ in faults(text)] == [(2, "digests.version"), (4, "digests.prompt_sets.red")]
    assert "other words" in faults(text)[0][2]
    assert "other prompts" in faults(text)[1][2]


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("seed: 7\nname: [", 2, "This is not YAML"),
        ("- seed", 1, "key: value"),
        ("", 1, "key: value"),
        ("seed: \x07", 1, "not YAML"),
        ("[" * 5000, 1, "not YAML"),
        ("a" * (LARGEST + 1), 1, "more than 100,000"),
        ("seed: !!python/object/apply:os.system ['true']", 1, "one plain value"),
        ("seed: !!python/name:os.system x", 1, "cannot be read"),
        ("name: 2026-99-99", 1, "cannot be read"),
        ('name: "\\ud800"', 1, "cannot be read"),
        ('"\\ud800": 1', 1, "should be a word"),
        ("name: !!binary R0lGODlh", 1, "cannot be read"),
        ("options: {rl: {steps: " + "9" * 5000 + "}}", 1, "cannot be read"),
        ("a: &a [*a]\noptions: {rl: &b {rl: *b}}", 1, "no such key"),
    ],
)
def test_what_cannot_be_read_is_one_fault_and_no_error(text: str, line: int, words: str) -> None:
    found = faults(text)
    assert found[0][0] == line
    assert words in found[0][2]


@given(st.text(max_size=200))
def test_no_text_is_an_error(text: str) -> None:
    read_run_file(text, HERE)
