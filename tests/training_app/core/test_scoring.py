from __future__ import annotations

import random
from pathlib import Path

import pytest
import torch

from tests.tiny_model import build_tiny_model
from training_app.core.backends import Question
from training_app.core.backends.local import LocalBackend
from training_app.core.device import choose_device
from training_app.core.errors import NotFinite
from training_app.core.job import ModelRef
from training_app.core.prompts import OPTIONS, PromptFormat, comparison
from training_app.core.rows import Message
from training_app.core.scoring import Line, Row, Scorer, batches_of, pack, plan_question


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> LocalBackend:
    folder = build_tiny_model(tmp_path_factory.mktemp("tiny"))
    return LocalBackend.load(ModelRef(folder, "tiny"), choose_device("float32"))


def words(draw: random.Random, most: int) -> str:
    return " ".join(draw.choice(["the", "other", "in", "and", "x", "on"]) for _ in range(draw.randint(1, most)))


def questions(count: int, template: str, *, principles: int = 2) -> list[Question]:
    """Comparisons of varied length, each under some principles and in both orders."""
    draw = random.Random(5)
    asked = []
    for _ in range(count):
        talk, first, second = [Message("user", words(draw, 20))], words(draw, 30), words(draw, 30)
        for _ in range(principles):
            wording = words(draw, 8)
            for one, other in ((first, second), (second, first)):
                asked.append(Question(comparison(PromptFormat(), template, talk, wording, one, other), OPTIONS))
    return asked


def by_hand(backend: LocalBackend, prompt: str, option: str) -> float:
    """Sum of the log-probabilities of the option's tokens, one plain forward over the whole text."""
    ids, start = backend.encode(prompt + option), len(backend.encode(prompt))
    with torch.inference_mode():
        logprobs = backend.model(torch.tensor([ids])).logits.log_softmax(-1)[0]
    return sum(float(logprobs[at - 1, ids[at]]) for at in range(start, len(ids)))


@pytest.mark.parametrize("template", ["paper", "principle_last"])
def test_both_layouts_equal_the_plain_forward(backend: LocalBackend, template: str) -> None:
    asked = questions(12, template)
    packed, plain = Scorer(backend.model, token_budget=900), Scorer(backend.model, layout="plain", token_budget=900)
    one, other = packed.score(asked, backend.encode), plain.score(asked, backend.encode)
    for question, left, right in zip(asked, one, other, strict=True):
        assert (left.first, left.second) == pytest.approx((right.first, right.second), abs=1e-4)
        ids = backend.encode(question.prompt + " (")
        with torch.inference_mode():
            letters = backend.model(torch.tensor([ids])).logits[0, -1].log_softmax(-1)
        expected = [float(letters[backend.encode(letter)[0]]) for letter in "AB"]
        assert (left.first, left.second) == pytest.approx(expected, abs=1e-4)
    assert packed.computed < plain.computed


def test_options_are_scored_whole_where_the_tokenizer_merges_the_letter(backend: LocalBackend) -> None:
    asked = [Question("The answer", (" is", " the other")), Question("Is it", (" in the", " on"))]
    for layout in ("packed", "plain"):
        scores = Scorer(backend.model, layout=layout).score(asked, backend.encode)
        for question, score in zip(asked, scores, strict=True):
            expected = [by_hand(backend, question.prompt, option) for option in question.options]
            assert (score.first, score.second) == pytest.approx(expected, abs=1e-4)


def test_one_forward_reads_both_letters() -> None:
    plan = plan_question([1, 2], [1, 2, 8, 30, 9], [1, 2, 8, 31, 9])
    assert plan.lines == (Line((1, 2, 8), (30, 31)),)
    assert (plan.first, plan.second) == (((0, 0),), ((0, 1),))


def test_options_of_different_tokens_are_planned_token_by_token() -> None:
    plan = plan_question([1, 2], [1, 2, 30, 9], [1, 2, 31])
    assert plan.lines == (Line((1, 2), (30,)), Line((1, 2, 30), (9,)), Line((1, 2), (31,)))
    assert (plan.first, plan.second) == (((0, 0), (1, 0)), ((2, 0),))
    merged = plan_question([1, 2, 3], [1, 2, 40], [1, 2, 41, 7])  # the option changed the prompt's last token
    assert merged.lines[0] == Line((1, 2), (40,))


def test_a_tree_holds_each_shared_token_once() -> None:
    lines = [Line((1, 2, 3, 4), (9,)), Line((1, 2, 3, 5), (9,)), Line((1, 2, 3), (9,))]
    (row,) = pack(lines, 100)
    assert sorted(row.tokens) == [1, 2, 3, 4, 5]
    ends = {number: row.tokens[column] for number, column in row.ends.items()}
    assert ends == {0: 4, 1: 5, 2: 3}
    assert set(row.ends.values()) == {-1, -2, -3}
    sees = row.sees()
    for number, line in enumerate(lines):
        column = row.ends[number]
        seen = sorted((row.depths[at], row.tokens[at]) for at in range(row.width) if sees[column, at])
        assert [token for _, token in seen] == list(line.ids)


def test_lines_share_a_row_only_where_it_pays_and_fits() -> None:
    alike = [Line((1, 2, 3, 4, number), (9,)) for number in range(10, 14)]
    assert [len(row.ends) for row in pack(alike, 100)] == [4]
    assert [len(row.ends) for row in pack(alike, 6)] == [2, 2]
    strangers = [Line((number, *range(50, 60)), (9,)) for number in range(3)]
    assert [len(row.ends) for row in pack(strangers, 100)] == [1, 1, 1]


def test_rows_are_batched_by_a_budget_of_tokens() -> None:
    rows = [Row([0] * width, [], [], {}) for width in (3, 9, 5, 4, 20)]
    widths = [[row.width for row in batch] for batch in batches_of(rows, 12)]
    assert widths == [[20], [9], [5, 4], [3]]


def test_a_judge_that_answers_nan_fails_clearly(tmp_path: Path) -> None:
    backend = LocalBackend.load(ModelRef(build_tiny_model(tmp_path), "tiny"), choose_device("float32"))
    with torch.no_grad():
        backend.model.model.norm.weight.fill_(torch.nan)
    with pytest.raises(NotFinite, match="The judge answers with numbers that are not finite"):
        backend.score_options([Question("Which?", OPTIONS)])
