"""Which engine writes on a GPU, and with which arguments: as far as a machine without one can see."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from tests.tiny_model import build_tiny_model
from training_app.core import gpu_generation, openvino_llama
from training_app.core.base_model import load_model, load_tokenizer
from training_app.core.config import Sampling
from training_app.core.device import Device
from training_app.core.errors import BadInput
from training_app.core.generation import Generator, generator_for
from training_app.core.gpu_generation import PagedWriter, VllmWriter, batch_seed
from training_app.core.sharing import SharingGenerator

DRAWN = Sampling(temperature=0.7, top_p=0.9, max_new_tokens=4)
GREEDY = Sampling(temperature=0, max_new_tokens=4)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tiny_model(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def model(folder: Path) -> Any:
    return load_model(folder, Device("the processor", "cpu", "bfloat16"))


@pytest.fixture(scope="module")
def tokenizer(folder: Path) -> Any:
    return load_tokenizer(folder)


class OnGpu:
    """A model as it stands on a GPU; its continuous batching remembers what it was asked."""

    def __init__(self, model: Any, answers: list[list[int]] | None = None, error: str | None = None) -> None:
        self.config, self.generation_config, self.dtype = model.config, model.generation_config, model.dtype
        self.device = torch.device("cuda:0")
        self._supports_attention_backend = True
        self.asked: list[dict[str, Any]] = []
        self._answers, self._error = answers or [], error

    def generate_batch(self, inputs: list[list[int]], **how: Any) -> dict[str, Any]:
        self.asked.append({"inputs": inputs, **how})
        return {
            str(n): SimpleNamespace(generated_tokens=tokens, error=self._error)
            for n, tokens in enumerate(self._answers)
        }


def test_a_gpu_writes_with_vllm_where_it_is_installed_else_with_pages(
    model: Any, tokenizer: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_gpu = OnGpu(model)
    monkeypatch.setattr(openvino_llama, "is_installed", lambda: False)
    assert isinstance(generator_for(model, tokenizer, folder), SharingGenerator)
    monkeypatch.setattr(gpu_generation, "vllm_is_installed", lambda: False)
    assert isinstance(generator_for(on_gpu, tokenizer, folder), PagedWriter)
    monkeypatch.setattr(gpu_generation, "vllm_is_installed", lambda: True)
    assert isinstance(generator_for(on_gpu, tokenizer, folder), VllmWriter)
    assert isinstance(generator_for(on_gpu, tokenizer), PagedWriter), "vLLM loads a folder, not a model"
    on_gpu._supports_attention_backend = False
    assert isinstance(generator_for(on_gpu, tokenizer), Generator)


def test_pages_are_asked_for_the_whole_batch_in_order(model: Any, tokenizer: Any) -> None:
    end = tokenizer.eos_token_id
    on_gpu = OnGpu(model, [[7, end, 9], [5, 6, 7, 8]])
    writer = PagedWriter(on_gpu, tokenizer)
    rows = writer.generate([[1, 2], [3]], [11, 12], DRAWN, ())
    assert [(row.tokens, row.is_stopped) for row in rows] == [([7, end], True), ([5, 6, 7, 8], False)]
    (asked,) = on_gpu.asked
    how, pages = asked["generation_config"], asked["continuous_batching_config"]
    assert asked["inputs"] == [[1, 2], [3]]
    assert (how.do_sample, how.temperature, how.top_p, how.top_k, how.max_new_tokens) == (True, 0.7, 0.9, 0, 4)
    assert end in how.eos_token_id and pages.seed == batch_seed([11, 12]) != batch_seed([12, 11])
    assert 0 < pages.max_memory_percent < 0.9, "the judge needs room beside it"
    assert (writer.computed, writer.reused) == (3, 0)
    PagedWriter(on_gpu, tokenizer).generate([[1], [2]], [1, 2], GREEDY, ())
    assert on_gpu.asked[-1]["generation_config"].do_sample is False


@pytest.mark.parametrize(("answers", "error"), [([[1]], None), ([[1], [2]], "CUDA error")])
def test_a_batch_that_comes_back_in_part_fails(model: Any, tokenizer: Any, answers: Any, error: Any) -> None:
    writer = PagedWriter(OnGpu(model, answers, error), tokenizer)
    with pytest.raises(BadInput, match="could not be written"):
        writer.generate([[1], [2]], [1, 2], GREEDY, ())


def test_vllm_is_loaded_once_and_draws_each_item_from_its_own_seed(
    model: Any, tokenizer: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[dict[str, Any]] = []
    asked: list[Any] = []

    class LLM:
        def __init__(self, **how: Any) -> None:
            loaded.append(how)

        def generate(self, prompts: Any, params: Any, *, use_tqdm: bool) -> Any:
            asked.append((prompts, params))
            output = SimpleNamespace(token_ids=(7, 8, tokenizer.eos_token_id))
            return [SimpleNamespace(outputs=[output], num_cached_tokens=1) for _ in prompts]

    fake = SimpleNamespace(LLM=LLM, SamplingParams=SimpleNamespace)
    monkeypatch.setitem(sys.modules, "vllm", fake)
    writer = VllmWriter(OnGpu(model), tokenizer, folder)
    for _ in range(2):
        rows = writer.generate([[1, 2], [3, 4]], [11, 12], DRAWN, ("\n\nHuman:",))
    assert rows[0].tokens == [7, 8, tokenizer.eos_token_id] and rows[0].is_stopped
    (how,) = loaded
    assert (how["model"], how["dtype"], how["trust_remote_code"]) == (str(folder), "bfloat16", False)
    assert how["enable_prefix_caching"] and how["max_model_len"] == 2048 and how["gpu_memory_utilization"] < 0.9
    prompts, params = asked[0]
    assert prompts == [{"prompt_token_ids": [1, 2]}, {"prompt_token_ids": [3, 4]}]
    assert [one.seed for one in params] == [11, 12] and params[0].stop == ["\n\nHuman:"]
    assert (params[0].temperature, params[0].top_p, params[0].max_tokens) == (0.7, 0.9, 4)
    assert tokenizer.eos_token_id in params[0].stop_token_ids
    assert (writer.computed, writer.reused) == (4, 4)
