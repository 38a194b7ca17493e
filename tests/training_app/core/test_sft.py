from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.tiny_model import build_tiny_model, build_tiny_tokenizer
from tests.training_app.core.training_jobs import (
    StopAfter,
    equal_weights,
    events,
    in_float32,
    run,
    sft_job,
    weights,
    write_job,
)
from training_app.core.base_model import load_model
from training_app.core.config import SftParams
from training_app.core.device import Device
from training_app.core.errors import BadInput
from training_app.core.formatting import ChatFormat, Encoded
from training_app.core.job import read_job
from training_app.core.packing import collate, columns, pack
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


# What is learnt, packed rows, adapters


def trainer_of(tmp_path: Path, tiny: Path, texts: list[tuple[str, str]], **options: Any) -> tuple[Any, ChatFormat]:
    form, cpu = ChatFormat.load(tiny), Device("CPU", "cpu", "float32")
    params = SftParams(max_length=100, **options)
    rows, _ = encode_all(form, [example(*text) for text in texts], max_length=params.max_length)
    job = read_job(sft_job(tmp_path, tiny))
    return make_trainer(job, params, rows, form.tokenizer, load_model(tiny, cpu), cpu), form


def learnt_text(form: ChatFormat, ids: list[int], labels: list[int]) -> str:
    return str(form.tokenizer.decode([token for token, label in zip(ids, labels, strict=True) if label != -100]))


def test_prompts_are_learnt_only_when_asked_for(tmp_path: Path, tiny: Path) -> None:
    for packing in (False, True):
        trainer, form = trainer_of(
            tmp_path / str(packing), tiny, [("a question", "an answer")], answers_only=False, packing=packing
        )
        batch = trainer.data_collator([dict(row) for row in trainer.train_dataset])
        text = learnt_text(form, batch["input_ids"][0].tolist(), batch["labels"][0].tolist())
        assert "a question" in text and "an answer" in text


def test_packed_rows_hold_every_answer_once_as_labels_and_no_prompt(tmp_path: Path, tiny: Path) -> None:
    texts = [(f"question {number}", f"answer {number}") for number in range(5)]
    trainer, form = trainer_of(tmp_path, tiny, texts, packing=True)
    assert len(trainer.train_dataset) < 5
    batch = trainer.data_collator([dict(row) for row in trainer.train_dataset])
    text = "".join(
        learnt_text(form, ids, labels)
        for ids, labels in zip(batch["input_ids"].tolist(), batch["labels"].tolist(), strict=True)
    )
    assert sorted(text.strip().split("\n")) == [f"answer {number}<|im_end|>" for number in range(5)]
    assert "attention_mask" not in batch
    assert int(batch["tokens"]) == sum(sum(row["seq_lengths"]) for row in trainer.train_dataset)


def test_examples_in_one_row_are_blind_to_each_other(tiny: Path) -> None:
    """Each example's logits in a packed batch are those it has alone; another neighbour changes nothing."""
    form, model = ChatFormat.load(tiny), load_model(tiny, Device("CPU", "cpu", "float32"), dtype="float32")
    mine = form.answer([{"role": "user", "content": "a question"}], "an answer")
    others = [form.answer([{"role": "user", "content": word * 3}], word) for word in ("other ", "else ")]
    alone = model(input_ids=torch.tensor([mine.ids])).logits[0]
    for other in others:
        rows = columns([[other, mine], [mine]], 200, answers_only=True)
        batch = collate(rows, form.tokenizer.pad_token_id)
        with torch.inference_mode():
            found = model(input_ids=batch["input_ids"], position_ids=batch["position_ids"], use_cache=False).logits
        after = len(other.ids)
        assert torch.allclose(found[0, after : after + len(mine.ids)], alone, atol=1e-4)
        assert torch.allclose(found[1, : len(mine.ids)], alone, atol=1e-4)


def test_packing_learns_from_the_same_tokens(tmp_path: Path, tiny: Path) -> None:
    """One batch holds all examples either way, so the first loss is the same mean over the same tokens."""
    losses = []
    for packing in (False, True):
        file = sft_job(tmp_path / str(packing), tiny, packing=packing, batch_size=8, epochs=1.0)
        assert run(file) == 0
        losses.append(events(file, "metric")[0]["values"]["loss"])
        tokens = events(file, "progress")[-1]["tokens"]
        first = next(one for one in events(file, "record") if one["record"] == "first_batch")
        read = {"".join(row["tokens"]) for row in first["data"]["rows"]}
        assert any("assistant" in text for text in read), "packed or not, the first batch is shown"
        lengths = [len(row["tokens"]) + row["left_out"] for row in first["data"]["rows"]]
        assert sum(lengths) == tokens or not packing, "every token of every row and no padding"
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    assert events(file, "finished")[0]["summary"]["packed_rows"] < 8
    assert tokens == sum(len(one["input_ids"]) for one in _rows_of(file, tiny))


def _rows_of(file: Path, tiny: Path) -> list[dict[str, Any]]:
    form, job = ChatFormat.load(tiny), read_job(file)
    encoded, _ = encode_all(form, job.read_input("train", Example.from_row), max_length=160)
    return [{"input_ids": row.ids} for row in encoded]


def test_rows_are_filled_first_fit_the_longest_first() -> None:
    rows = [Encoded(tuple(range(length)), 0) for length in (3, 7, 5, 2, 20)]
    packed = pack(rows, 10)
    assert [[len(one.ids) for one in row] for row in packed] == [[20], [7, 3], [5, 2]]


def test_adapters_are_learnt_merged_and_resumed_exactly(tmp_path: Path, tiny: Path) -> None:
    whole, stopped = (sft_job(tmp_path / name, tiny, lora_rank=4) for name in ("whole", "stopped"))
    assert run(whole) == 0
    assert run(stopped, StopAfter(3)) == 3
    state = stopped.parent / "trainer/checkpoint-3"
    assert (state / "adapter_model.safetensors").is_file() and not (state / "model.safetensors").exists()
    assert run(stopped) == 0
    assert equal_weights(whole.parent / "checkpoint", stopped.parent / "checkpoint")
    learnt, start = weights(whole.parent / "checkpoint"), weights(tiny)
    assert learnt.keys() == start.keys()
    moved = {name for name in start if not torch.equal(learnt[name], start[name])}
    assert moved and all(name.endswith("proj.weight") for name in moved)
    assert torch.linalg.matrix_rank(learnt[min(moved)] - start[min(moved)], atol=1e-5).item() <= 4
