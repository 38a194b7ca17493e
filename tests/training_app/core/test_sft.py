from __future__ import annotations

from pathlib import Path

import pytest

from tests.tiny_model import build_tiny_model, build_tiny_tokenizer
from tests.training_app.core.training_jobs import events, in_float32, run, sft_job, write_job
from training_app.core.config import SftParams
from training_app.core.device import Device
from training_app.core.errors import BadInput
from training_app.core.formatting import ChatFormat
from training_app.core.job import read_job
from training_app.core.prompts import NO_TEMPLATE
from training_app.core.sft import Example, encode_all, make_trainer


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tiny_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(autouse=True)
def _in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    in_float32(monkeypatch)


def example(prompt: str, answer: str) -> Example:
    return Example("e", ({"role": "user", "content": prompt}, {"role": "assistant", "content": answer}), "revision")


def test_the_trainer_sees_the_answers_and_nothing_else_as_labels(tmp_path: Path, tiny: Path) -> None:
    from training_app.core.base_model import load_model

    form = ChatFormat.load(tiny)
    rows, _ = encode_all(form, [example("a question", "an answer")], max_length=100)
    cpu = Device("CPU", "cpu", "float32")
    job = read_job(sft_job(tmp_path, tiny))
    trainer = make_trainer(job, SftParams(max_length=100), rows, form.tokenizer, load_model(tiny, cpu), cpu)
    (row,) = trainer.train_dataset
    learnt = [token for token, label in zip(row["input_ids"], row["labels"], strict=True) if label != -100]
    assert form.tokenizer.decode(learnt) == "an answer<|im_end|>\n"
    assert [label for label in row["labels"] if label != -100] == learnt


def test_long_answers_are_cut_and_long_prompts_left_out_both_counted() -> None:
    form = ChatFormat(build_tiny_tokenizer())
    examples = [example("short", "short"), example("short", "long " * 60), example("long " * 60, "short")]
    rows, notes = encode_all(form, examples, max_length=120)
    assert len(rows) == 2
    assert notes == [
        "1 of 3 examples are longer than 120 tokens; their answers are cut.",
        "1 of 3 examples are left out: their prompt alone has 120 tokens.",
    ]
    with pytest.raises(BadInput, match="No example has an answer"):
        encode_all(form, examples[2:], max_length=120)


def test_a_model_without_a_template_is_trained_on_transcripts_and_says_so(tmp_path: Path) -> None:
    plain = build_tiny_model(tmp_path / "plain", chat_template=False)
    file = sft_job(tmp_path / "job", plain)
    assert run(file) == 0
    assert NO_TEMPLATE in events(file, "started")[0]["note"]
    assert ChatFormat.load(file.parent / "checkpoint").notes == ()


@pytest.mark.parametrize(
    ("messages", "reason"),
    [
        (None, "messages should be a list"),
        ([{"role": "user", "content": "hi"}], "messages should be a list that ends with user, assistant"),
        (
            [{"role": "user", "content": "hi"}] * 2,
            "messages should end with user, assistant",
        ),
        ([{"role": "user", "content": "hi"}, {"role": "assistant", "content": " "}], "the answer to learn is empty"),
        ([{"role": "user", "content": 3}, {"role": "assistant", "content": "x"}], "every message needs the texts"),
    ],
)
def test_a_malformed_example_is_named_by_its_line(tmp_path: Path, tiny: Path, messages: object, reason: str) -> None:
    file = write_job(tmp_path, "sft", tiny, {"train": [{"id": "a", "messages": messages}]}, {})
    assert run(file) == 2
    assert f"train.jsonl, line 1: {reason}" in events(file, "failed")[0]["message"]
