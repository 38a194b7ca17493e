from __future__ import annotations

from dataclasses import fields, replace

from training_app.core.judge_spec import JudgeSpec

SPEC = JudgeSpec("tiny", "a" * 64, "paper", "float32")


def test_every_part_but_the_name_is_in_the_digest() -> None:
    for part in fields(JudgeSpec):
        changed = replace(SPEC, **{part.name: "something else"})
        assert (changed.digest == SPEC.digest) == (part.name == "model_name"), part.name


def test_digests_of_before_the_newer_parts_stay() -> None:
    assert SPEC.digest == "d47bea551661280edfe65c24dd76145c8c2e109d3bb2e18710b42a4e017a7d17"


def test_people_read_how_it_judges() -> None:
    assert SPEC.name == "tiny, paper template, float32"
    voting = replace(SPEC, backend="openai", sampling="8 votes at temperature 1")
    assert voting.name == "tiny, paper template, openai server, 8 votes at temperature 1"
