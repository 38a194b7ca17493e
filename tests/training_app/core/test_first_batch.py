from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from training_app.core.events import EventLog, read_events
from training_app.core.first_batch import MOST_ROWS, MOST_TOKENS, rows_of, watch_first_batch

torch = pytest.importorskip("torch")
identity = pytest.importorskip("trl.trainer.utils").identity
WORDS = ("·", "Why", " not", "?", " Because", " so", ".")


def word(token: int) -> str:
    return WORDS[token]


def batch(**more: Any) -> dict[str, Any]:
    ids = [[1, 2, 3, 4, 6, 0], [0, 0, 1, 3, 4, 5]]
    there = [[1, 1, 1, 1, 1, 0], [0, 0, 1, 1, 1, 1]]
    return {"input_ids": torch.tensor(ids), "attention_mask": torch.tensor(there), **more}


def test_padding_is_left_out_on_either_side_and_labels_say_what_is_learnt() -> None:
    labels = torch.tensor([[-100, -100, -100, 4, 6, -100], [-100, -100, -100, -100, 4, 5]])
    assert rows_of(batch(labels=labels), word) == [
        {"tokens": ["Why", " not", "?", " Because", "."], "learnt": "00011", "left_out": 0},
        {"tokens": ["Why", "?", " Because", " so"], "learnt": "0011", "left_out": 0},
    ]


def test_a_mask_of_answers_says_it_too_and_a_score_is_read_at_the_last_token() -> None:
    mask = torch.tensor([[0, 0, 0, 1, 1, 0], [0, 0, 0, 0, 1, 1]])
    assert [row["learnt"] for row in rows_of(batch(completion_mask=mask), word)] == ["00011", "0011"]
    assert [row["learnt"] for row in rows_of(batch(), word)] == ["00001", "0001"]


def test_packed_rows_show_no_padding_and_where_each_example_begins() -> None:
    ids = [[1, 3, 4, 1, 6, 0, 0], [1, 2, 3, 4, 5, 6, 0]]
    labels = [[-100, -100, 4, -100, 6, -100, -100], [-100] * 5 + [6, -100]]
    packed = {"input_ids": torch.tensor(ids), "labels": torch.tensor(labels)}
    assert rows_of(packed, word, [[3, 2], [7]]) == [
        {"tokens": ["Why", "?", " Because", "Why", "."], "learnt": "00101", "left_out": 0, "starts": [0, 3]},
        {
            "tokens": ["Why", " not", "?", " Because", " so", ".", "·"],
            "learnt": "0000010",
            "left_out": 0,
            "starts": [0],
        },
    ]
    long = {"input_ids": torch.ones((1, 2 * MOST_TOKENS), dtype=torch.long)}
    (row,) = rows_of(long, word, [[MOST_TOKENS - 1, 3, 2]])
    assert (row["starts"], row["left_out"]) == ([0, MOST_TOKENS - 1], 4)


def test_a_large_batch_is_cut_and_says_so() -> None:
    rows = rows_of({"input_ids": torch.ones((9, MOST_TOKENS + 5), dtype=torch.long)}, word)
    assert len(rows) == MOST_ROWS
    assert {(len(row["tokens"]), len(row["learnt"]), row["left_out"]) for row in rows} == {
        (MOST_TOKENS, MOST_TOKENS, 5)
    }


def test_it_is_recorded_once_and_the_batch_is_not_touched(tmp_path: Path) -> None:
    made: list[Any] = []

    class Collator:
        def torch_call(self, examples: list[Any]) -> dict[str, Any]:
            made.append(examples)
            return batch()

    decoder = SimpleNamespace(decode=lambda ids: word(ids[0]))
    trainer = SimpleNamespace(data_collator=Collator(), processing_class=decoder)
    with EventLog(tmp_path) as events:
        watch_first_batch(trainer, events)
        first, second = (trainer.data_collator.torch_call([{"n": number}]) for number in (1, 2))
        watch_first_batch(trainer, events)
        trainer.data_collator.torch_call([{"n": 3}])
    assert made == [[{"n": 1}], [{"n": 2}], [{"n": 3}]]
    assert torch.equal(first["input_ids"], batch()["input_ids"]) and second.keys() == batch().keys()
    records = [event for event in read_events(tmp_path / "events.jsonl") if event["kind"] == "record"]
    assert [(one["record"], len(one["data"]["rows"])) for one in records] == [("first_batch", 2)]


def test_a_collator_that_is_a_function_is_watched_as_well(tmp_path: Path) -> None:
    decoder = SimpleNamespace(decode=lambda ids: word(ids[0]))
    trainer = SimpleNamespace(data_collator=lambda examples: batch(), processing_class=decoder)
    with EventLog(tmp_path) as events:
        watch_first_batch(trainer, events)
        asked = trainer.data_collator  # as a loader keeps it
        packed = [{"seq_lengths": [4, 1]}, {"seq_lengths": [2, 4]}]
        assert [asked(packed).keys() for _ in range(2)] == [batch().keys()] * 2
    records = [event for event in read_events(tmp_path / "events.jsonl") if event["kind"] == "record"]
    assert [(one["record"], len(one["data"]["rows"])) for one in records] == [("first_batch", 2)]
    assert [row["starts"] for row in records[0]["data"]["rows"]] == [[0, 4], [0, 2]]


def test_of_a_trainer_that_draws_its_batches_the_first_loss_is_watched(tmp_path: Path) -> None:
    seen: list[Any] = []

    def compute_loss(model: Any, inputs: Any, **named: Any) -> str:
        seen.append((model, inputs, named))
        return "loss"

    decoder = SimpleNamespace(decode=lambda ids: word(ids[0]))
    trainer = SimpleNamespace(data_collator=identity, compute_loss=compute_loss, processing_class=decoder)
    inputs = {
        "prompt_ids": torch.tensor([[0, 1, 2]]), "prompt_mask": torch.tensor([[0, 1, 1]]),
        "completion_ids": torch.tensor([[3, 4, 0]]), "completion_mask": torch.tensor([[1, 1, 0]]),
    }  # fmt: skip
    with EventLog(tmp_path) as events:
        watch_first_batch(trainer, events)
        assert [trainer.compute_loss("model", inputs, num_items_in_batch=2) for _ in range(2)] == ["loss", "loss"]
    assert trainer.compute_loss is compute_loss and trainer.data_collator is identity
    assert seen == [("model", inputs, {"num_items_in_batch": 2})] * 2
    (record,) = (event for event in read_events(tmp_path / "events.jsonl") if event["kind"] == "record")
    assert record["data"]["rows"] == [
        {"tokens": [word(one) for one in (1, 2, 3, 4)], "learnt": "0011", "left_out": 0}
    ]  # fmt: skip
