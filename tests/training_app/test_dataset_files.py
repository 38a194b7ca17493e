"""Files of other projects, in every container, as prompts and comparisons; and in memory that does not grow."""

from __future__ import annotations

import gzip
import io
import json
import tracemalloc
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from training_app.core.dataset_files import Columns, rows_of
from training_app.core.seen import Seen
from training_app.prompt_files import PromptFile, read_prompt_file
from training_app.refusals import PromptFileRefused

HH = {"chosen": "\n\nHuman: a\n\nAssistant: good", "rejected": "\n\nHuman: a\n\nAssistant: bad"}
TURNS = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "good"}]
PKU = {"prompt": "q", "response_0": "x", "response_1": "y", "better_response_id": 0, "safer_response_id": 1}


def lines(*rows: Any) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def attempt(prompt: str) -> dict[str, Any]:
    return {"transcript": f"\n\nHuman: {prompt}\n\nAssistant: No.", "task_description": "x", "rating": 1.0}


def parquet(*rows: dict[str, Any]) -> bytes:
    import pyarrow as pa
    from pyarrow.parquet import write_table

    file = io.BytesIO()
    write_table(pa.Table.from_pylist(list(rows)), file)
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (lines({"text": "One?"}, {"text": "Two?"}), "a.jsonl"),
        (gzip.compress(lines({"prompt": "One?"}, {"prompt": "Two?"}), mtime=0), "a.jsonl.gz"),
        (json.dumps([{"instruction": "One?"}, {"instruction": "Two?"}], indent=1).encode(), "a.json"),
        (b'["One?", "Two?"]', "a.json"),
        (b"\xef\xbb\xbfid,prompt\n1,One?\n2,Two?\n", "a.csv"),
        (b"One?\n\nTwo?\n", "a.txt"),
        (parquet({"question": "One?"}, {"question": "Two?"}), "a.parquet"),
        (lines(attempt("One?"), attempt("Two?")), "red-team-attempts.jsonl"),
        (lines({"init_prompt": "One?", "init_response": ""}, {"init_prompt": "Two?", "init_response": ""}), "a"),
        (lines({"prompt": "One?"}, {"prompt": "one? "}, {"prompt": "Two?"}), "repeats are passed over"),
    ],
)
def test_prompts_are_read_from_every_container(content: bytes, name: str) -> None:
    assert [one.text for one in read_prompt_file(content, "red_team", name=name).prompts] == ["One?", "Two?"]


def test_a_column_can_be_named() -> None:
    read = read_prompt_file(b"a,b\nno,yes\n", "helpful", name="x.csv", columns=Columns("b"))
    assert [one.text for one in read.prompts] == ["yes"]


@pytest.mark.parametrize(
    ("row", "prompt", "chosen", "rejected"),
    [
        (HH, "a", "good", "bad"),
        ({"chosen": TURNS, "rejected": [TURNS[0], {"role": "assistant", "content": "bad"}]}, "q", "good", "bad"),
        (PKU, "q", "y", "x"),
    ],
    ids=["HH-RLHF", "UltraFeedback and cai-conversation", "PKU-SafeRLHF"],
)
def test_comparisons_are_read_from_every_project(row: dict[str, Any], prompt: str, chosen: str, rejected: str) -> None:
    for content, name in ((lines(row), "a.jsonl"), (gzip.compress(lines(row)), "a.gz"), (parquet(row), "a.parquet")):
        (one,) = read_prompt_file(content, "comparisons", name=name).choices
        sides = (one.response_a, one.response_b)
        assert (one.prompt, *(sides if one.human_choice == "a" else sides[::-1])) == (prompt, chosen, rejected)


def test_the_helpful_choice_of_pku_can_be_asked_for() -> None:
    (one,) = read_prompt_file(lines(PKU), "comparisons", chosen_by="better_response_id").choices
    assert {"a": one.response_a, "b": one.response_b}[one.human_choice] == "x"


@pytest.mark.parametrize(
    ("content", "name", "reason"),
    [
        (b'{"prompt": "a"}\n{"prompt": 1}\n', "a.jsonl", "Line 2: no text in"),
        (b'[{"prompt": "a"}, {"prompt": ', "a.json", "Line 2: not JSON"),
        (b"PAR1 and nothing", "a.parquet", "no Parquet"),
        (gzip.compress(b'{"prompt": "a"}', mtime=0)[:-4], "a.gz", "packed file breaks off"),
    ],
)
def test_it_names_the_row_and_loads_nothing(content: bytes, name: str, reason: str) -> None:
    with pytest.raises(PromptFileRefused, match=reason):
        read_prompt_file(content, "red_team", name=name)


def test_a_long_file_is_read_in_the_memory_of_a_short_one(tmp_path: Path) -> None:
    def peak(count: int, opening: str, between: str, closing: str) -> int:
        path = tmp_path / f"{count}"
        path.write_text(
            opening + between.join(json.dumps({"prompt": f"{n} " + "x" * 200}) for n in range(count)) + closing
        )
        with path.open("rb") as file:
            tracemalloc.start()
            assert sum(1 for _ in rows_of(file)) == count
            top = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        return top

    for form in (("", "\n", "\n"), ("[", ",\n", "]")):
        assert peak(50_000, *form) < peak(500, *form) + 200_000


def test_a_packed_file_may_not_unpack_without_end() -> None:
    bomb = gzip.compress(lines({"prompt": "x"}) + b"\n" * 10**6)
    with pytest.raises(PromptFileRefused, match="it unpacks to more than is allowed"):
        read_prompt_file(bomb, "red_team", most_unpacked=10**5)


def test_a_long_set_is_checked_in_the_memory_of_a_short_one(tmp_path: Path) -> None:
    """Read twice, as a load does; the lab notes have a million."""

    def peak(count: int) -> int:
        path = tmp_path / f"{count}.jsonl"
        with path.open("w") as file:
            file.writelines(json.dumps({"prompt": f"{n} " + "x" * 200}) + "\n" for n in range(count))
        with path.open("rb") as file:
            tracemalloc.start()
            read = PromptFile(file, "red_team").read()
            assert (read.rows, sum(1 for _ in islice(read.each(), 300))) == (count, 300)
            top = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        return top

    assert peak(10_000) < peak(500) + 200_000


def test_a_key_is_known_by_its_first_place() -> None:
    with Seen() as seen:
        assert [seen.first("id", key, place) for place, key in enumerate("abab", start=1)] == [1, 2, 1, 2]
        assert seen.first("prompt", "a", 9) == 9
