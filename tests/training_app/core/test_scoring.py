from __future__ import annotations

import math
import random
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from tests.tiny_model import build_tiny_model
from training_app.core import openvino_llama, scoring
from training_app.core.backends import Question
from training_app.core.backends.local import LocalBackend
from training_app.core.device import choose_device
from training_app.core.errors import NotFinite
from training_app.core.job import ModelRef
from training_app.core.prompts import OPTIONS, PromptFormat, comparison
from training_app.core.rows import Message
from training_app.core.scoring import Line, Scorer, first_padded, first_tree, layout_for, plan_question
from training_app.core.token_tree import Tree
from training_app.core.tree_reader import TreeReader


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


LAYOUTS = ("tree", "packed", "plain", *(["pages"] if openvino_llama.is_installed() else []))


def unasked() -> list[int]:
    raise AssertionError("the prompt alone need not be encoded")


def one_by_one(backend: LocalBackend, asked: list[Question]) -> torch.Tensor:
    """(n, 2) log-probabilities of A and B behind "… (", one plain forward per item."""
    letters = [backend.encode(letter)[0] for letter in "AB"]
    rows = []
    with torch.inference_mode():
        for question in asked:
            logits = backend.model(torch.tensor([backend.encode(question.prompt + " (")]), logits_to_keep=1).logits
            rows.append(logits[0, -1].float().log_softmax(-1)[letters])
    return torch.stack(rows)


def by_hand(backend: LocalBackend, prompt: str, option: str) -> float:
    """Sum of the log-probabilities of the option's tokens, one plain forward over the whole text."""
    ids, start = backend.encode(prompt + option), len(backend.encode(prompt))
    with torch.inference_mode():
        logprobs = backend.model(torch.tensor([ids])).logits.log_softmax(-1)[0]
    return sum(float(logprobs[at - 1, ids[at]]) for at in range(start, len(ids)))


def five_hundred() -> list[Question]:
    """Items of varied length in both templates: 63 comparisons x 2 principles x 2 orders each."""
    return questions(63, "paper") + questions(63, "principle_last")


def test_every_layout_equals_the_plain_forward_of_each_item(backend: LocalBackend) -> None:
    asked = five_hundred()
    expected = one_by_one(backend, asked)
    computed = {}
    for layout in LAYOUTS:
        scorer = Scorer(backend.model, layout=layout, token_budget=3000)
        scores = scorer.score(asked, backend.encode_all)
        found = torch.tensor([(score.first, score.second) for score in scores])
        assert torch.allclose(found, expected, rtol=0, atol=1e-4), layout
        computed[layout] = scorer.computed
    assert computed["tree"] < 0.7 * computed["plain"]
    assert computed.get("pages", computed["tree"]) == computed["tree"]


def test_in_bfloat16_every_layout_does_the_plain_forwards_arithmetic_on_narrow_weights(tmp_path: Path) -> None:
    """Within 2e-2, where rounding stays small. With real weights nothing stays there, the plain forward included."""
    rough = LocalBackend.load(ModelRef(build_tiny_model(tmp_path), "tiny"), choose_device("bfloat16"))
    with torch.no_grad():  # as built its weights are 15 times as wide as a new model's, which multiplies any rounding
        for weight in rough.model.parameters():
            if weight.ndim == 2:
                weight.mul_(1 / 4)
    asked = five_hundred()
    expected = one_by_one(rough, asked)
    for layout in LAYOUTS:
        scores = Scorer(rough.model, layout=layout, token_budget=3000).score(asked, rough.encode_all)
        found = torch.tensor([(score.first, score.second) for score in scores])
        assert float((found - expected).abs().max()) <= 2e-2, layout


def test_the_wanted_tokens_are_read_out_in_float32_whatever_the_weights_are(tmp_path: Path) -> None:
    rough = LocalBackend.load(ModelRef(build_tiny_model(tmp_path), "tiny"), choose_device("bfloat16"))
    tree, reader = Tree.of({0: (5, 6, 7), 1: (5, 6, 8)}), TreeReader(rough.model)
    hidden, logits = reader.read(tree), reader.logits(tree, [40, 41])
    assert hidden.dtype == torch.float32
    with torch.inference_mode():
        expected = hidden @ rough.model.lm_head.weight[[40, 41]].float().T
    assert torch.allclose(logits[:, [40, 41]], expected, rtol=0, atol=1e-5)
    others = logits[:, 42:]
    assert torch.equal(others, others.bfloat16().float()), "those only serve the sum over the vocabulary"


def test_options_are_scored_whole_where_the_tokenizer_merges_the_letter(backend: LocalBackend) -> None:
    asked = [Question("The answer", (" is", " the other")), Question("Is it", (" in the", " on"))]
    for layout in LAYOUTS:
        scores = Scorer(backend.model, layout=layout).score(asked, backend.encode_all)
        for question, score in zip(asked, scores, strict=True):
            expected = [by_hand(backend, question.prompt, option) for option in question.options]
            assert (score.first, score.second) == pytest.approx(expected, abs=1e-4)


def test_one_forward_reads_both_letters() -> None:
    plan = plan_question(unasked, [1, 2, 8, 30, 9], [1, 2, 8, 31, 9])
    assert plan.lines == (Line((1, 2, 8), (30, 31)),)
    assert (plan.first, plan.second) == (((0, 0),), ((0, 1),))


def test_options_of_different_tokens_are_planned_token_by_token() -> None:
    plan = plan_question(lambda: [1, 2], [1, 2, 30, 9], [1, 2, 31])
    assert plan.lines == (Line((1, 2), (30,)), Line((1, 2, 30), (9,)), Line((1, 2), (31,)))
    assert (plan.first, plan.second) == (((0, 0), (1, 0)), ((2, 0),))
    merged = plan_question(lambda: [1, 2, 3], [1, 2, 40], [1, 2, 41, 7])  # the option changed the prompt's last token
    assert merged.lines[0] == Line((1, 2), (40,))


def test_a_tree_is_cut_by_the_budget_where_the_least_is_shared() -> None:
    one, other = ([Line((head, 2, 3, 4, number), (9,)) for number in range(10, 14)] for head in (1, 7))
    lines = [*one, *other]
    everything = list(range(8))
    assert first_tree(lines, everything, 100, math.inf) == (everything, 16)
    assert first_tree(lines, everything, 14, math.inf) == ([0, 1, 2, 3], 8)  # 14 tokens would end inside the second
    assert first_tree(lines, everything, 1, math.inf) == ([0], 5)  # at least one, however long


def test_under_a_mask_lines_join_only_while_that_is_cheaper() -> None:
    alike = [Line((1, 2, 3, 4, *range(start, start + 10)), (9,)) for start in (20, 40)]
    assert first_tree(alike, [0, 1], 100, 1000) == ([0, 1], 24)
    assert first_tree(alike, [0, 1], 100, 5) == ([0], 14)
    strangers = [Line((number, *range(50, 60)), (9,)) for number in range(3)]
    assert first_tree(strangers, [0, 1, 2], 100, 1000) == ([0], 11)


def test_plain_rows_are_batched_by_a_budget_of_tokens_with_padding() -> None:
    lines = [Line((1,) * width, (9,)) for width in (20, 9, 5, 4, 3)]
    assert first_padded(lines, [0, 1, 2, 3, 4], 12) == ([0], 20)
    assert first_padded(lines, [1, 2, 3, 4], 12) == ([1], 9)
    assert first_padded(lines, [2, 3, 4], 12) == ([2, 3], 10)


def test_a_batch_too_big_for_the_memory_is_halved_and_that_is_said(
    backend: LocalBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, said = questions(8, "principle_last"), list[str]()
    whole = Scorer(backend.model, token_budget=900).score(asked, backend.encode_all)
    scorer = Scorer(backend.model, token_budget=900, notify=said.append)
    read = scorer._reader.read

    def narrow(tree: Tree) -> Any:
        if len(tree.tokens) > 300:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        return read(tree)

    monkeypatch.setattr(scorer._reader, "read", narrow)
    halved = scorer.score(asked, backend.encode_all)
    for left, right in zip(halved, whole, strict=True):
        assert (left.first, left.second) == pytest.approx((right.first, right.second), abs=1e-4)
    assert re.match(r"A batch of \d+ tokens did not fit in memory; from here on \d+ are read at once.", said[0])
    assert scorer.token_budget <= 450


def test_a_budget_that_would_not_fit_is_lowered_before_it_fails(
    backend: LocalBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    scorer = Scorer(backend.model, token_budget=4000, notify=said.append)
    monkeypatch.setattr(scoring, "free_bytes", lambda device: 2 * 10**6)
    scorer._keep_within_memory(tokens=1000, taken=10**6)  # 1 kB a token: 1,000 tokens take half of what is free
    assert scorer.token_budget == 1000
    assert said == ["A batch of 4000 tokens would not fit in memory; from here on 1000 are read at once."]
    scorer._keep_within_memory(tokens=1000, taken=10**6)
    assert len(said) == 1


def test_the_layout_follows_model_and_device(backend: LocalBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openvino_llama, "is_installed", lambda: True)
    assert layout_for(backend.model) == "pages"
    monkeypatch.setattr(openvino_llama, "has_room", lambda model: False)
    assert layout_for(backend.model) == "tree"
    monkeypatch.undo()
    monkeypatch.setattr(openvino_llama, "is_installed", lambda: False)
    assert layout_for(backend.model) == "tree"
    config = SimpleNamespace(model_type="gpt2", sliding_window=None)
    config.get_text_config = lambda: config
    other = SimpleNamespace(config=config, device=torch.device("cpu"))
    assert layout_for(other) == "packed"
    config.sliding_window = 512
    assert layout_for(other) == "plain"
    on_gpu = SimpleNamespace(config=backend.model.config, device=torch.device("cuda"))
    assert layout_for(on_gpu) == "packed"


def test_a_judge_that_answers_nan_fails_clearly(tmp_path: Path) -> None:
    backend = LocalBackend.load(ModelRef(build_tiny_model(tmp_path), "tiny"), choose_device("float32"))
    with torch.no_grad():
        backend.model.model.norm.weight.fill_(torch.nan)
    with pytest.raises(NotFinite, match="The judge answers with numbers that are not finite"):
        backend.score_options([Question("Which?", OPTIONS)])
