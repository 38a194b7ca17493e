from __future__ import annotations

import random
from typing import Any

import pytest
import torch
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from training_app.core import tree_reader
from training_app.core.token_tree import Tree
from training_app.core.tree_reader import TreeReader, is_readable, packed_linear

SIZES: dict[str, Any] = {
    "vocab_size": 60, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 8, "max_position_embeddings": 512, "initializer_range": 0.3,
}  # fmt: skip
YARN = {"rope_type": "yarn", "rope_theta": 10000.0, "factor": 4.0, "original_max_position_embeddings": 128}
MODELS: dict[str, tuple[Any, Any]] = {
    "llama": (LlamaForCausalLM, LlamaConfig(**SIZES)),
    "llama-yarn": (LlamaForCausalLM, LlamaConfig(**SIZES, rope_parameters=YARN)),
    "mistral": (MistralForCausalLM, MistralConfig(**SIZES, sliding_window=None)),
    "qwen2": (Qwen2ForCausalLM, Qwen2Config(**{k: v for k, v in SIZES.items() if k != "head_dim"})),
    "qwen3": (Qwen3ForCausalLM, Qwen3Config(**SIZES)),
}


def build(name: str) -> Any:
    kind, config = MODELS[name]
    torch.manual_seed(0)
    config._attn_implementation = "sdpa"
    return kind(config).eval()


def lines() -> list[tuple[int, ...]]:
    """Short and long lines with shared beginnings, one the beginning of another, one alone."""
    draw = random.Random(1)

    def words(count: int) -> tuple[int, ...]:
        return tuple(draw.randrange(60) for _ in range(count))

    head, talk, one, other = words(5), words(70), words(300), words(45)
    found = [(*head, *talk, *pair, *words(n)) for pair in ((*one, *other), (*other, *one)) for n in (3, 9, 14)]
    return sorted([*found, (*head, *talk), (*head, *words(20)), words(2)])


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("is_packed", [True, False])
def test_it_reads_what_the_model_reads(name: str, is_packed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    model = build(name)
    assert is_readable(model)
    monkeypatch.setattr(tree_reader, "has_room_for_copy", lambda _: is_packed)
    asked = lines()
    tree = Tree.of(dict(enumerate(asked)))
    with torch.inference_mode():
        found = model.lm_head(TreeReader(model).read(tree)).log_softmax(-1)
        for number, line in enumerate(asked):
            expected = model(torch.tensor([line])).logits[0, -1].log_softmax(-1)
            row = tree.end_places.index(tree.ends[number])
            assert torch.allclose(found[row], expected, rtol=0, atol=1e-4), number


def test_models_of_another_build_are_not_read() -> None:
    assert not is_readable(GPT2LMHeadModel(GPT2Config(n_layer=1, n_embd=8, n_head=1, vocab_size=10)))
    assert not is_readable(MistralForCausalLM(MistralConfig(**SIZES, sliding_window=64)))
    dynamic = {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0}
    assert not is_readable(LlamaForCausalLM(LlamaConfig(**SIZES, rope_parameters=dynamic)))


def test_a_matrix_that_cannot_be_laid_out_stays_as_it_is_and_the_log_says_so_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    tree_reader._say_once.cache_clear()
    double = torch.nn.Linear(4, 4).double()
    with caplog.at_level("INFO"):
        assert packed_linear(double) is double
        assert packed_linear(double) is double
    assert [one.message.partition(":")[0] for one in caplog.records] == [
        "Weights are not laid out for this processor, so judging is slower"
    ]
    biased = torch.nn.Linear(4, 6)
    x = torch.randn(3, 4)
    with torch.inference_mode():
        assert torch.allclose(packed_linear(biased)(x), biased(x), atol=1e-6)
