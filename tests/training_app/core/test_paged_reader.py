"""Judging with OpenVINO: the module's own scores, every token read once, levels left out where that is cheaper."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.tiny_model import build_tiny_model
from tests.training_app.core.test_scoring import questions
from tests.training_app.core.test_tree_reader import build, lines
from training_app.core import paged_reader
from training_app.core.backends import how_of, judging_label
from training_app.core.backends.local import LocalBackend
from training_app.core.device import choose_device
from training_app.core.job import ModelRef
from training_app.core.openvino_llama import PagedLlama, Reading
from training_app.core.paged_reader import PagedReader, Row, paged, parts_of, rows_of
from training_app.core.scoring import Scorer
from training_app.core.token_tree import Tree

pytest.importorskip("openvino", reason="the extra `openvino` is not installed")


def branching(shared: int, children: int) -> Tree:
    """A beginning of 40 tokens, `shared` tokens of some lines, a tail of 5 for each of these; one line beside them."""
    lines = [(*range(40), *range(50, 50 + shared), child, 1, 2, 3, 4) for child in range(100, 100 + children)]
    return Tree.of(dict(enumerate(sorted([*lines, (*range(40), 49, 9)]))))


@pytest.mark.parametrize("name", ["llama", "mistral", "qwen2"])
@pytest.mark.parametrize("reading", [4096, 100])
def test_it_reads_what_the_model_reads(name: str, reading: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paged_reader, "READING", reading)
    model, asked = build(name), lines()
    tree, reader = Tree.of(dict(enumerate(asked))), PagedReader(model)
    alone = Tree.of({0: (5,)})
    with torch.inference_mode():
        for _ in range(2):  # pages of a tree before must not be seen
            found = reader.logits(tree, [1, 2]).log_softmax(-1)
            for number, line in enumerate(asked):
                expected = model(torch.tensor([line])).logits[0, -1].log_softmax(-1)
                row = tree.end_places.index(tree.ends[number])
                assert torch.allclose(found[row], expected, rtol=0, atol=1e-4), number
        expected = model(torch.tensor([[5]])).logits[0]
        assert torch.allclose(reader.logits(alone, [1]), expected, rtol=0, atol=1e-4)


def test_every_shared_token_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    read, counted = PagedLlama.read, list[int]()

    def counting(self: PagedLlama, reading: Reading) -> object:
        counted.append(sum(map(len, reading.new)))
        return read(self, reading)

    monkeypatch.setattr(PagedLlama, "read", counting)
    tree = branching(shared=20, children=9)
    PagedReader(build("llama")).read(tree)
    assert counted == [40, 22, 45]
    assert sum(counted) == len(tree.tokens)


def test_a_few_tokens_that_few_lines_share_are_read_by_each_of_them() -> None:
    assert rows_of(branching(shared=20, children=2))[1:] == [  # 20 tokens more, a level less
        Row([40, 41], 0, 1),
        Row([*range(42, 62), *range(62, 67)], 0, 1),
        Row([*range(42, 62), *range(67, 72)], 0, 1),
    ]
    assert {row.level for row in rows_of(branching(shared=20, children=3))} == {0, 1, 2}


def test_rows_go_on_in_full_pages_and_in_copies_of_the_others() -> None:
    rows = [Row(list(range(70)), -1, 0), Row([70, 71], 0, 1), Row(list(range(72, 100)), 0, 1), Row([100], 1, 2)]
    pages, copies = paged(rows, [0, 70, 70, 72], 32)
    assert pages == [[0, 1, 2], [0, 1, 3], [0, 1, 4, 5], [0, 1, 6]]
    assert copies == {1: (2, 3), 2: (2, 4), 3: (3, 6)}
    assert paged([Row(list(range(64)), -1, 0), Row([64], 0, 1)], [0, 64], 32) == ([[0, 1], [0, 1, 2]], {})
    assert list(parts_of(rows)) == [[0], [1, 2], [3]]


def test_the_same_batch_is_judged_the_same_in_bfloat16_and_near_what_torch_says(tmp_path: Path) -> None:
    rough = LocalBackend.load(ModelRef(build_tiny_model(tmp_path), "tiny"), choose_device("bfloat16"))
    asked = questions(6, "principle_last", principles=4)
    scorer, other = Scorer(rough.model, layout="pages"), Scorer(rough.model, layout="tree")
    first = scorer.score(asked, rough.encode_all)
    scorer.score(questions(3, "paper"), rough.encode_all)
    assert scorer.score(asked, rough.encode_all) == first
    by_torch = other.score(asked, rough.encode_all)
    assert sum(abs(x.first - y.first) for x, y in zip(first, by_torch, strict=True)) / len(asked) < 0.1


def test_the_engine_stands_in_the_judge_s_identity_and_its_version_in_the_stage_s_line(tmp_path: Path) -> None:
    backend = LocalBackend.load(ModelRef(build_tiny_model(tmp_path), "tiny"), choose_device("float32"))
    assert how_of(backend)["layout"] == "OpenVINO"
    assert judging_label(backend).startswith(f"{backend.label}, OpenVINO 2")
    backend.scorer = Scorer(backend.model, layout="tree")
    assert how_of(backend)["layout"] == ""
    assert judging_label(backend) == backend.label
