from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.tiny_model import build_tiny_model
from training_app.core.base_model import load_model, load_tokenizer
from training_app.core.config import Sampling
from training_app.core.device import choose_device
from training_app.core.generation import Generator, generator_for, seed_for
from training_app.core.shared_cache import Rows
from training_app.core.sharing import PIECE, Family, SharingGenerator, families_of, reading_plan

GREEDY = Sampling(temperature=0, max_new_tokens=12)
EQUAL_WITHIN = 1e-4


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tiny_model(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def model(folder: Path) -> Any:
    return load_model(folder, choose_device("float32"))


@pytest.fixture(scope="module")
def tokenizer(folder: Path) -> Any:
    return load_tokenizer(folder)


def some_prompts(count: int, *, header: int = 0) -> list[list[int]]:
    """Random prompts of varied length, four to a conversation, all behind `header` equal tokens."""
    generator = torch.Generator().manual_seed(11)

    def tokens(size: int) -> list[int]:
        drawn: list[int] = torch.randint(3, 250, (size,), generator=generator).tolist()
        return drawn

    begun = [tokens(40 + 7 * number) for number in range((count + 3) // 4)]
    start = tokens(header)
    return [[*start, *begun[number // 4][:160], *tokens(1 + number % 9)] for number in range(count)]


def own_text(model: Any, prompt: list[int], new: int) -> list[int]:
    ids = torch.tensor([prompt])
    written: list[int] = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=new, do_sample=False)[
        0, len(prompt) :
    ].tolist()
    return written


@torch.inference_mode()
def test_greedy_text_is_the_library_s_own_on_two_hundred_prompts(model: Any, tokenizer: Any) -> None:
    prompts = some_prompts(200, header=40)
    rows = SharingGenerator(model, tokenizer, places=48).generate(prompts, [0] * 200, GREEDY, ())
    assert [row.tokens for row in rows[:8]] == [own_text(model, prompt, 12) for prompt in prompts[:8]]
    close = 0
    for prompt, row in zip(prompts, rows, strict=True):
        # greedy text is that in which every token is the best one behind those before it
        logits = model(torch.tensor([[*prompt, *row.tokens]])).logits[0, len(prompt) - 1 : -1]
        gaps = logits.max(-1).values - logits.gather(-1, torch.tensor(row.tokens)[:, None]).squeeze(-1)
        assert float(gaps.max()) <= EQUAL_WITHIN
        assert len(row.tokens) == GREEDY.max_new_tokens or row.is_stopped
        close += bool(gaps.max() > 0)
    assert close < 2


@pytest.mark.parametrize("header", [0, 50])
def test_places_are_filled_again_and_nothing_changes(
    model: Any, tokenizer: Any, header: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompts, seeds = some_prompts(30, header=header), [seed_for(5, number) for number in range(30)]
    sampling = Sampling(max_new_tokens=60)
    expected = Generator(model, tokenizer).generate(prompts, seeds, sampling, ())
    few = SharingGenerator(model, tokenizer, places=7)
    widths: list[int] = []
    step = few._step

    def counted(part: Rows, drawn: Sequence[int], running: set[int]) -> Any:
        widths.append(len(running))
        return step(part, drawn, running)

    monkeypatch.setattr(few, "_step", counted)
    assert [row.tokens for row in few.generate(prompts, seeds, sampling, ())] == [row.tokens for row in expected]
    assert len({len(row.tokens) for row in expected}) > 3  # they end at different times
    assert min(widths[: len(widths) // 2]) == 7  # no step is done with a free place while anything waits
    assert sum(widths) == sum(len(row.tokens) for row in expected) - len(expected)


def test_a_revision_goes_on_from_its_critique(model: Any, tokenizer: Any) -> None:
    prompts, seeds = some_prompts(12, header=40), list(range(12))
    generator = SharingGenerator(model, tokenizer, places=5)
    rows = generator.generate(prompts, seeds, GREEDY, ())
    distinct = len({tuple(prompt[: 40 + index]) for prompt in prompts for index in range(1, len(prompt) - 39)}) + 40
    assert generator.computed <= distinct + 12
    assert generator.computed + generator.reused == sum(map(len, prompts))
    longer = [[*prompt, *row.tokens, 7, 8, 9] for prompt, row in zip(prompts, rows, strict=True)]
    before = generator.computed
    extended = generator.generate(longer, seeds, GREEDY, ())
    assert generator.computed - before <= 12 * 4  # three new tokens, and the last one drawn before
    generator.forget()
    assert generator.generate(longer, seeds, GREEDY, ()) == extended


def test_prompts_that_cut_into_what_is_shared_are_read_anew(model: Any, tokenizer: Any) -> None:
    prompts = some_prompts(8, header=40)
    generator = SharingGenerator(model, tokenizer)
    generator.generate(prompts, [0] * 8, GREEDY, ())
    others = [[5, *prompt[20:]] for prompt in prompts]
    told = generator.generate(others, [0] * 8, GREEDY, ())
    generator.forget()
    assert generator.generate(others, [0] * 8, GREEDY, ()) == told


def test_a_prompt_of_one_token_and_one_longer_than_a_piece(model: Any, tokenizer: Any) -> None:
    prompts = [[9], some_prompts(1)[0] * 30, [9, 9]]
    assert len(prompts[1]) > 2 * PIECE
    rows = SharingGenerator(model, tokenizer).generate(prompts, [1, 2, 3], GREEDY, ())
    assert [row.tokens for row in rows] == [own_text(model, prompt, 12) for prompt in prompts]


def test_families_share_what_is_worth_sharing() -> None:
    one, other = list(range(100)), list(range(40)) + list(range(500, 560))
    prompts = [[*one, 1], [*other, 1], [*one, 2], [*other, 2], [*one, 3]]
    assert families_of(prompts, 0) == [Family([0, 2, 4], 100), Family([1, 3], 100)]
    assert families_of([[1, 2], [3, 4]], 0) == [Family([0], 1), Family([1], 1)]
    assert families_of([[1], [1]], 0) == [Family([0], 0), Family([1], 0)]


def test_reading_is_done_in_pieces_of_all_rows() -> None:
    plan = list(reading_plan([[1] * (PIECE + 2), [2], [3] * PIECE]))
    assert [(rows, [len(piece) for piece in pieces]) for rows, pieces in plan] == [
        ([0, 1, 2], [PIECE, 1, PIECE]),
        ([0], [2]),
    ]


@pytest.mark.parametrize("kind", ["mistral", "qwen2", "llama3-rope", "sliding", "gpt2"])
def test_every_kind_it_supports_gives_the_module_s_own_text(kind: str, tokenizer: Any) -> None:
    model = another_model(kind)
    generator = generator_for(model, tokenizer)
    assert isinstance(generator, Generator if kind in ("sliding", "gpt2") else SharingGenerator)
    prompts = some_prompts(5, header=40)
    with torch.inference_mode():
        rows = generator.generate(prompts, [0] * 5, GREEDY, ())
    ends = generator.ending.tokens
    for prompt, row in zip(prompts, rows, strict=True):
        expected = own_text(model, prompt, 12)
        end = next((n + 1 for n, token in enumerate(expected) if token in ends), 12)
        assert row.tokens == expected[:end]


def another_model(kind: str) -> Any:
    from transformers import AutoConfig, AutoModelForCausalLM

    sizes: dict[str, Any] = {
        "vocab_size": 300, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "initializer_range": 0.3, "max_position_embeddings": 1024,
        "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0,
    }  # fmt: skip
    if kind == "gpt2":
        sizes = {"vocab_size": 300, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 1024, "eos_token_id": 2,
                 "bos_token_id": 1, "pad_token_id": 0, "initializer_range": 0.3}  # fmt: skip
    if kind == "llama3-rope":
        sizes["rope_parameters"] = {
            "rope_type": "llama3", "rope_theta": 10000.0, "factor": 8.0, "low_freq_factor": 1.0,
            "high_freq_factor": 4.0, "original_max_position_embeddings": 64,
        }  # fmt: skip
    if kind in ("mistral", "sliding"):
        sizes["sliding_window"] = 16 if kind == "sliding" else None
    name = {"llama3-rope": "llama", "sliding": "mistral"}.get(kind, kind)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        config = AutoConfig.for_model(name, **sizes)
        return AutoModelForCausalLM.from_config(config).eval()
