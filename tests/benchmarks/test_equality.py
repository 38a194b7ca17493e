from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks import equality
from benchmarks._chains import EQUAL_WITHIN, Chain, chains_of
from benchmarks._measuring import Report
from tests.tiny_model import build_tiny_model
from training_app.core.backends.local import LocalBackend
from training_app.core.scoring import layouts_for


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tiny_model(tmp_path_factory.mktemp("tiny"), context=8192)


@pytest.fixture(scope="module")
def exact(folder: Path) -> LocalBackend:
    return equality.load(folder, "float32")


def some_chains(backend: LocalBackend) -> list[Chain]:
    return chains_of(backend.format("auto"), 1, words=lambda number: 3 * number)[:2]


def test_a_text_that_parts_from_the_library_s_is_found(exact: LocalBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    chains = some_chains(exact)
    assert equality.greedy(exact, chains, 4)[:2] == (0, 0)
    generate = exact.generator.generate

    def other(prompts: Sequence[Sequence[int]], *rest: Any) -> Any:
        rows = generate(prompts, *rest)
        rows[0].tokens[-1] += 1
        return rows

    monkeypatch.setattr(exact.generator, "generate", other)
    assert equality.greedy(exact, chains, 4)[:2] == (2, 0)  # a critique and a revision


def test_every_layout_is_held_against_the_plain_forward_of_both_number_formats(
    folder: Path, exact: LocalBackend
) -> None:
    report = Report("equality", {}, {})
    assert equality.judging(report, exact, equality.load(folder, "bfloat16"), 8) == 0
    for template in equality.TEMPLATES:
        for layout in ("tree", "packed", "plain"):
            assert report.results[f"off_float32_{layout}_{template}"].max <= EQUAL_WITHIN
            assert f"off_bfloat16_{layout}_{template}_vs_plain_bfloat16_p" in report.results


def test_a_layout_that_is_off_counts_as_wrong(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bent = equality.load(folder, "float32")
    monkeypatch.setattr(equality, "scored", lambda backend, layout, asked: [(0.0, 0.0)] * len(asked))
    assert equality.judging(Report("equality", {}, {}), bent, bent, 4) == 3 * len(layouts_for(bent.model))


def test_items_vary_in_length_and_are_drawn_the_same_each_time(exact: LocalBackend) -> None:
    asked = equality.items(exact, "paper", 40)
    assert asked == equality.items(exact, "paper", 40)
    lengths = torch.tensor([len(exact.encode(question.prompt)) for question in asked])
    assert lengths.max() > 1.5 * lengths.min()
