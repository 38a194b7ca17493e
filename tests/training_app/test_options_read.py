"""Which options have an effect: held against what the stages' own files read."""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from training_app.core import rl
from training_app.core.config import RunConfig
from training_app.options import all_options
from training_app.options_read import JUDGE_ONLY, ONLY_IF, PPO_ONLY, READERS, is_read

CORE = Path(rl.__file__).parent
PATHS = [option.path for option in all_options()]


def config(**changes: Any) -> dict[str, Any]:
    """The full preset with options changed by path, its dots written as double underscores."""
    data = asdict(RunConfig())
    for name, value in changes.items():
        *places, last = name.split("__")
        where = data
        for place in places:
            where = where[place]
        where[last] = value
    return data


def read_in(name: str) -> set[str]:
    """What a file of `core` reads of its stage's options."""
    return set(re.findall(r"\bparams\.(\w+)", (CORE / name).read_text(encoding="utf-8")))


def test_ppo_alone_reads_its_options() -> None:
    own = {path.removeprefix("rl.") for path in PPO_ONLY}
    assert own <= read_in("ppo.py")
    assert not own & {option for name in ("rl.py", "rollouts.py", "rewards.py") for option in read_in(name)}
    for algorithm in ("grpo", "rloo", "ppo"):
        read = {path for path in PATHS if is_read(path, config(rl__algorithm=algorithm))}
        assert (read >= PPO_ONLY, bool(read & PPO_ONLY)) == (algorithm == "ppo", algorithm == "ppo")
        assert {"rl.steps", "rl.beta", "rl.generations", "rl.learning_rate"} <= read


def test_every_option_is_read_by_some_run_and_every_rule_names_one() -> None:
    some = [
        config(method="both", rl__algorithm="ppo", rl__reward="model", sft__lora_rank=8, label__cot_samples=1,
               reward__overridden_labels="weight"),
        config(rl__reward="judge"),
    ]  # fmt: skip
    assert [path for path in PATHS if not any(is_read(path, one) for one in some)] == []
    assert {*ONLY_IF, *READERS} <= set(PATHS)


@pytest.mark.parametrize(
    ("path", "read", "unread"),
    [
        ("rl.judge_principles", {"rl__reward": "judge"}, {"rl__reward": "model"}),
        ("dpo.beta", {"method": "dpo"}, {"method": "rl"}),
        ("rl.steps", {"method": "both"}, {"method": "dpo"}),
        ("reward.epochs", {"method": "rl"}, {"method": "dpo"}),
        ("reward.drop_irrelevant", {"method": "dpo"}, {"method": "dpo", "dpo__pairs": "revisions"}),
        ("reward.human_weight", {"method": "dpo", "dpo__pairs": "revisions"}, {"method": "sft_only"}),
        ("sample.sampling.top_p", {"method": "rl"}, {"method": "sft_only"}),
        ("reward.overridden_weight", {"reward__overridden_labels": "weight"}, {"reward__overridden_labels": "drop"}),
        ("sft.overridden_steps", {}, {"audits": False}),
        ("sft.lora_alpha", {"sft__lora_rank": 4}, {}),
        ("label.principles_per_comparison", {"label__ask": "sampled"}, {"label__ask": "every"}),
        ("label.principles_per_comparison", {}, {"label__ask": "together"}),
    ],
)
def test_what_is_read_follows_from_what_is_chosen(path: str, read: dict[str, Any], unread: dict[str, Any]) -> None:
    assert is_read(path, config(**read))
    assert not is_read(path, config(**unread))


def test_stages_that_another_run_did_counted_verdicts_as_that_one_did() -> None:
    counted, not_counted = config(), config(audits=False)
    for path in ("sft.overridden_steps", "sft.verdicts_needed"):
        assert is_read(path, not_counted, source=counted) and not is_read(path, counted, source=not_counted)
    assert not is_read("reward.verdicts_needed", not_counted, source=counted), "the run's own stages go by its own"
    assert is_read("reward.verdicts_needed", counted, source=not_counted)


def test_the_judge_of_the_evaluation_is_always_asked_by_its_template() -> None:
    assert is_read("label.template", config(method="sft_only"))


def test_older_configurations_lack_options_and_are_read_as_the_papers_way() -> None:
    assert is_read("rl.steps", {})
    assert is_read("label.principles_per_comparison", {"label": {}})
    assert not is_read("rl.clip", {"rl": {}})
    assert not is_read(next(iter(JUDGE_ONLY)), {"rl": None})
