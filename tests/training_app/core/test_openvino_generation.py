"""Writing with OpenVINO: the library's own text, pages shared and found again, places filled, batches repeated."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.tiny_model import build_tiny_model
from tests.training_app.core.test_sharing import GREEDY, another_model, own_text, some_prompts
from training_app.core import openvino_generation, openvino_llama
from training_app.core.base_model import load_model, load_tokenizer
from training_app.core.config import Sampling
from training_app.core.device import choose_device
from training_app.core.errors import NotFinite
from training_app.core.generation import Generator, generator_for, seed_for
from training_app.core.openvino_generation import OpenVinoGenerator
from training_app.core.openvino_llama import PagedLlama, Reading
from training_app.core.sharing import SharingGenerator

pytest.importorskip("openvino", reason="the extra `openvino` is not installed")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tiny_model(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def model(folder: Path) -> Any:
    return load_model(folder, choose_device("float32"))


@pytest.fixture(scope="module")
def tokenizer(folder: Path) -> Any:
    return load_tokenizer(folder)


def test_it_writes_in_bfloat16_where_it_is_installed(
    model: Any, tokenizer: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    halved = load_model(folder, choose_device("bfloat16"))
    assert isinstance(generator_for(halved, tokenizer), OpenVinoGenerator)
    assert isinstance(generator_for(model, tokenizer), SharingGenerator), "in float32 an item alone gives its text"
    monkeypatch.setattr(openvino_llama, "has_room", lambda model: False)
    assert isinstance(generator_for(halved, tokenizer), SharingGenerator)
    monkeypatch.undo()
    monkeypatch.setattr(openvino_llama, "is_installed", lambda: False)
    assert isinstance(generator_for(halved, tokenizer), SharingGenerator)


@pytest.mark.parametrize("header", [0, 70])
def test_its_text_is_that_of_the_model_s_own_module(model: Any, tokenizer: Any, header: int) -> None:
    prompts, seeds = some_prompts(30, header=header), [seed_for(5, number) for number in range(30)]
    sampling = Sampling(max_new_tokens=40)
    expected = Generator(model, tokenizer).generate(prompts, seeds, sampling, ())
    found = OpenVinoGenerator(model, tokenizer, places=7).generate(prompts, seeds, sampling, ())
    assert [row.tokens for row in found] == [row.tokens for row in expected]
    assert len({len(row.tokens) for row in expected}) > 1  # they end at different times


@pytest.mark.parametrize("kind", ["mistral", "qwen2", "llama3-rope"])
def test_every_kind_gives_the_module_s_own_text(kind: str, tokenizer: Any) -> None:
    model = another_model(kind)
    prompts = some_prompts(5, header=40)
    rows = OpenVinoGenerator(model, tokenizer).generate(prompts, [0] * 5, GREEDY, ())
    with torch.inference_mode():
        assert [row.tokens for row in rows] == [own_text(model, prompt, 12) for prompt in prompts]


def test_no_step_has_a_free_place_while_anything_waits(
    model: Any, tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompts, seeds = some_prompts(30), [seed_for(5, number) for number in range(30)]
    generator = OpenVinoGenerator(model, tokenizer, places=7)
    widths: list[int] = []
    read = PagedLlama.read

    def counted(self: PagedLlama, reading: Reading) -> Any:
        if all(len(tokens) == 1 for tokens in reading.new):
            widths.append(len(reading.new))
        return read(self, reading)

    monkeypatch.setattr(PagedLlama, "read", counted)
    rows = generator.generate(prompts, seeds, Sampling(max_new_tokens=60), ())
    assert sum(widths) == sum(len(row.tokens) for row in rows) - len(rows)
    assert min(widths[: len(widths) // 2]) == 7


def test_what_is_shared_is_read_once_and_a_revision_goes_on_from_its_critique(model: Any, tokenizer: Any) -> None:
    prompts, seeds = some_prompts(12, header=70), list(range(12))
    generator = OpenVinoGenerator(model, tokenizer, places=5)
    sampling = Sampling(temperature=0, max_new_tokens=40)
    rows = generator.generate(prompts, seeds, sampling, ())
    page = generator._compiled.page if generator._compiled else 0
    pages = {tuple(prompt[:end]) for prompt in prompts for end in range(page, len(prompt), page)}
    rest = sum((len(prompt) - 1) % page + 1 for prompt in prompts)
    assert generator.computed == page * len(pages) + rest < sum(map(len, prompts)) / 2
    assert generator.computed + generator.reused == sum(map(len, prompts))
    longer = [[*prompt, *row.tokens, 7, 8, 9] for prompt, row in zip(prompts, rows, strict=True)]
    before = generator.computed
    extended = generator.generate(longer, seeds, sampling, ())
    assert generator.computed - before <= 12 * (page + 4)  # three new tokens, the last one drawn, a page begun
    generator.forget()
    assert generator.generate(longer, seeds, sampling, ()) == extended


def test_prompts_that_cut_into_what_is_shared_are_read_anew(model: Any, tokenizer: Any) -> None:
    prompts = some_prompts(8, header=40)
    generator = OpenVinoGenerator(model, tokenizer)
    generator.generate(prompts, [0] * 8, GREEDY, ())
    others = [[5, *prompt[20:]] for prompt in prompts]
    told = generator.generate(others, [0] * 8, GREEDY, ())
    generator.forget()
    assert generator.generate(others, [0] * 8, GREEDY, ()) == told


def test_a_prompt_of_one_token_one_of_a_page_and_one_longer_than_a_reading(
    model: Any, tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openvino_generation, "READING", 100)
    long = some_prompts(1)[0] * 30
    prompts = [[9], long[:32], long[:33], long, [9, 9], long]
    rows = OpenVinoGenerator(model, tokenizer).generate(prompts, [1] * 6, GREEDY, ())
    with torch.inference_mode():
        assert [row.tokens for row in rows] == [own_text(model, prompt, 12) for prompt in prompts]


def test_a_batch_written_again_in_bfloat16_is_the_same_batch(folder: Path, tokenizer: Any) -> None:
    halved = load_model(folder, choose_device("bfloat16"))
    prompts, seeds = some_prompts(20, header=40), list(range(20))
    sampling = Sampling(temperature=0.8, top_p=0.9, max_new_tokens=20)
    one, other = (OpenVinoGenerator(halved, tokenizer).generate(prompts, seeds, sampling, ()) for _ in range(2))
    assert one == other


def test_a_batch_that_does_not_fit_is_refused_before_it_takes_memory(
    model: Any, tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openvino_llama, "MEMORY_SHARE", 0.0)
    generator = OpenVinoGenerator(model, tokenizer)
    with pytest.raises(MemoryError, match="GiB"):
        generator.generate([[1, 2, 3]], [1], GREEDY, ())
    monkeypatch.undo()
    assert len(generator.generate([[1, 2, 3]], [1], GREEDY, ())) == 1


def test_numbers_that_are_not_finite_are_told(folder: Path, tokenizer: Any) -> None:
    broken = load_model(folder, choose_device("float32"))
    with torch.no_grad():
        broken.model.layers[0].self_attn.v_proj.weight.fill_(float("nan"))
    with pytest.raises(NotFinite):
        OpenVinoGenerator(broken, tokenizer).generate([[1, 2, 3]], [1], GREEDY, ())


def test_far_behind_the_beginning_bfloat16_is_as_near_to_float32_as_the_module_s_own(model: Any) -> None:
    """A position beyond 256 is no bfloat16 number: one that is rounded turns keys to where another token stands."""
    halved = copy.deepcopy(model).bfloat16()
    ids = (some_prompts(1)[0] * 60)[:470]
    paged = PagedLlama(halved)
    paged.make_room(-(-len(ids) // paged.page))
    read = paged.read(Reading([ids], [0], [range(paged.pages)], range(len(ids))))
    with torch.inference_mode():
        truth = model(torch.tensor([ids])).logits[0].log_softmax(-1)
        own = halved(torch.tensor([ids])).logits[0].float().log_softmax(-1)
    late = slice(256, None)
    assert (read.log_softmax(-1) - truth)[late].abs().mean() < 1.5 * (own - truth)[late].abs().mean()


def test_turning_is_one_step_of_openvino_s(model: Any) -> None:
    steps = [str(step.get_rt_info()["layerType"].astype(str)) for step in PagedLlama(model).steps()]
    assert steps.count("RoPE") == 2 * model.config.num_hidden_layers
    assert steps.count("PagedAttention") == model.config.num_hidden_layers
