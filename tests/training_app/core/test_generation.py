from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from tests.tiny_model import build_tiny_model
from training_app.core.backends import GenerationRequest
from training_app.core.backends.local import LocalBackend
from training_app.core.config import Sampling
from training_app.core.device import choose_device
from training_app.core.drawing import draw_tokens
from training_app.core.errors import BadInput, NotFinite, OutOfMemory
from training_app.core.generation import cut_at_stop, plan_batches, seed_for, without_half_stop
from training_app.core.job import ModelRef
from training_app.core.shared_cache import Rows
from training_app.core.sharing import SharingGenerator

HEADER = "A long beginning that every prompt of the batch shares, word for word, to the end. "
SAMPLING = Sampling(max_new_tokens=20)
GREEDY = Sampling(temperature=0, max_new_tokens=20)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tiny_model(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def backend(folder: Path) -> LocalBackend:
    return LocalBackend.load(ModelRef(folder, "tiny"), choose_device("float32"))


def requests(count: int, *, header: str = "") -> list[GenerationRequest]:
    return [GenerationRequest(f"p{n}", header + "word " * n + "end", seed_for(7, n)) for n in range(1, count + 1)]


# -- seeds, batches, cutting -------------------------------------------------------------------------------------------


def test_a_seed_belongs_to_an_item_not_to_an_order() -> None:
    assert seed_for(7, "p1", 2) == seed_for(7, "p1", 2)
    assert len({seed_for(7, "p1", 2), seed_for(7, "p1", 3), seed_for(8, "p1", 2), seed_for(7, "p", "12")}) == 4
    assert 0 <= seed_for(7) < 2**63


def test_batches_are_the_same_whatever_is_done_already() -> None:
    items = ["ccc", "a", "bb", "dd", "eeeee"]
    assert plan_batches(items, len, 2) == [["eeeee", "ccc"], ["bb", "dd"], ["a"]]
    assert plan_batches([], len, 2) == []


def test_a_text_is_cut_at_a_stop_and_never_at_a_colon() -> None:
    stops = ("\n\nHuman:", "\n\nAssistant:")
    assert cut_at_stop("Note: one: two\n\nAnd: three\n\nHuman: x\n\nAssistant: y", stops) == (
        "Note: one: two\n\nAnd: three",
        True,
    )
    assert cut_at_stop("Human: inline", stops) == ("Human: inline", False)
    assert without_half_stop("Yes.\n\nHuman", stops) == "Yes."
    assert without_half_stop("Yes.\n\nHu", stops) == "Yes."
    assert without_half_stop("Yes.\n\n", stops) == "Yes.\n\n"
    assert without_half_stop("Assist", stops) == "Assist"


# -- drawing -----------------------------------------------------------------------------------------------------------


def test_tokens_are_drawn_with_their_probability() -> None:
    logits = torch.tensor([[0.5, 0.3, 0.2]]).log().repeat(1000, 1)
    numbers = torch.arange(1000) / 1000
    drawn = draw_tokens(logits, numbers, 1.0, 1.0)
    assert [int((drawn == token).sum()) for token in range(3)] == pytest.approx([500, 300, 200], abs=1)


def test_temperature_sharpens_and_zero_takes_the_best() -> None:
    logits = torch.tensor([[2.0, 1.0, 0.0]]).repeat(100, 1)
    numbers = torch.arange(100) / 100
    share = [(draw_tokens(logits, numbers, heat, 1.0) == 0).float().mean() for heat in (2.0, 1.0, 0.25)]
    assert share[0] < share[1] < share[2]
    assert (draw_tokens(logits, numbers, 0.0, 1.0) == 0).all()


def test_top_p_keeps_the_smallest_set_that_holds_the_mass() -> None:
    logits = torch.tensor([[0.2, 0.5, 0.3]]).log().repeat(1000, 1)
    numbers = torch.arange(1000) / 1000
    assert set(draw_tokens(logits, numbers, 1.0, 0.75).tolist()) == {1, 2}
    assert set(draw_tokens(logits, numbers, 1.0, 0.5).tolist()) == {1}
    assert set(draw_tokens(logits, numbers, 1.0, 1.0).tolist()) == {0, 1, 2}


def test_a_number_next_to_one_never_draws_what_is_impossible() -> None:
    logits = torch.tensor([[0.0, 0.0, -torch.inf, -torch.inf]])
    assert draw_tokens(logits, torch.tensor([0.9999999]), 1.0, 1.0).tolist() == [1]


# -- the generator -----------------------------------------------------------------------------------------------------


def test_greedy_text_equals_the_library_s_own(backend: LocalBackend) -> None:
    asked = requests(6, header=HEADER)
    for request, generation in zip(asked, backend.generate(asked, GREEDY, ()), strict=True):
        ids = torch.tensor([backend.encode(request.prompt)])
        own = backend.model.generate(ids, max_new_tokens=20, do_sample=False)[0, ids.shape[1] :]
        assert generation.text == backend.tokenizer.decode(own, skip_special_tokens=True).replace("\x00", "").strip()


@pytest.mark.parametrize("header", ["", HEADER])
def test_an_item_alone_gives_the_same_text(backend: LocalBackend, header: str) -> None:
    asked = requests(7, header=header)
    together = backend.generate(asked, SAMPLING, ())
    assert len({generation.text for generation in together}) == 7
    assert backend.generate(asked[::-1], SAMPLING, ())[::-1] == together
    assert [backend.generate([request], SAMPLING, ())[0] for request in asked] == together


def test_the_shared_beginning_is_computed_once(backend: LocalBackend) -> None:
    asked = requests(8, header=HEADER)
    lengths = [backend.length(request.prompt) for request in asked]
    backend.generate(asked, SAMPLING, ())
    assert backend.generator.computed < sum(lengths) - 6 * len(backend.encode(HEADER))


def test_prompts_that_extend_the_last_ones_reuse_their_computation(backend: LocalBackend) -> None:
    first = requests(5)
    answers = backend.generate(first, SAMPLING, ())
    longer = [
        GenerationRequest(f"{request.key}+", f"{request.prompt}{answer.text} and then?", request.seed + 1)
        for request, answer in zip(first, answers, strict=True)
    ]
    before = backend.generator.computed
    extended = backend.generate(longer, SAMPLING, (), extends=True)
    reused = backend.generator.computed - before
    assert backend.generate(longer, SAMPLING, ()) == extended
    assert reused <= sum(backend.length(request.prompt) for request in longer) - sum(
        backend.length(request.prompt) - 1 for request in first
    )


def test_prompts_that_do_not_extend_are_right_all_the_same(backend: LocalBackend) -> None:
    backend.generate(requests(4, header="Something else altogether. "), SAMPLING, ())
    claimed = backend.generate(requests(4), SAMPLING, (), extends=True)
    assert claimed == backend.generate(requests(4), SAMPLING, ())


def test_it_stops_at_the_end_and_at_a_stop_sequence(backend: LocalBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    written = backend.encode("One: two.\n\nHuman: no")
    end = backend.tokenizer.eos_token_id

    def script(tokens: list[int]) -> None:
        left = list(tokens)
        monkeypatch.setattr(
            "training_app.core.generation.draw_tokens",
            lambda logits, *_: torch.full((logits.shape[0],), left.pop(0) if left else end),
        )

    script(written)
    (generation,) = backend.generate(requests(1), Sampling(max_new_tokens=60), ("\n\nHuman:",))
    assert (generation.text, generation.finish) == ("One: two.", "stop")
    script([*written[:4], end])
    (generation,) = backend.generate(requests(1), Sampling(max_new_tokens=60), ())
    assert (generation.finish, generation.tokens) == ("stop", 5)
    script(written)
    (generation,) = backend.generate(requests(1), Sampling(max_new_tokens=len(written) - 6), ("\n\nHuman:",))
    assert (generation.text, generation.finish) == ("One: two.", "length")


def test_rows_that_ended_are_dropped_and_the_others_go_on_as_before(backend: LocalBackend) -> None:
    many, sampling = requests(16), Sampling(max_new_tokens=300)
    generated = backend.generate(many, sampling, ())
    lengths = sorted(generation.tokens for generation in generated)
    assert lengths[9] < lengths[-1]  # more than half of them ended earlier, so rows were dropped on the way
    longest = max(zip(many, generated, strict=True), key=lambda pair: pair[1].tokens)
    assert backend.generate([longest[0]], sampling, ()) == [longest[1]]


def test_a_prompt_that_cannot_fit_is_named(backend: LocalBackend) -> None:
    with pytest.raises(BadInput, match="The prompt long has 3000 tokens; with 20 new ones"):
        backend.generate([GenerationRequest("long", "x" * 3000, 1)], SAMPLING, ())


def test_a_model_that_answers_nan_fails_clearly(backend: LocalBackend) -> None:
    with torch.no_grad():
        backend.model.model.norm.weight.fill_(torch.nan)
    with pytest.raises(NotFinite, match="numbers that are not finite"):
        backend.generate(requests(1), SAMPLING, ())


def test_a_batch_that_does_not_fit_is_halved_and_gives_the_same(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notes: list[str] = []
    backend = LocalBackend.load(ModelRef(folder, "tiny"), choose_device("float32"), notes.append)
    expected = backend.generate(requests(6), SAMPLING, ())
    read = Rows.read

    def small(rows: Rows, model: Any, new: Any) -> Any:
        if len(new) > 2:
            raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried …")
        return read(rows, model, new)

    monkeypatch.setattr(Rows, "read", small)
    assert backend.generate(requests(6), SAMPLING, ()) == expected
    assert notes[0] == "A batch of 6 did not fit in memory; it is done in halves."
    assert backend.take_together() == [6, 1, 2, 1, 2]
    assert backend.take_together() == []


def test_a_batch_that_would_leave_no_memory_is_halved_before_it_begins(
    backend: LocalBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = backend.generate(requests(4), SAMPLING, ())
    assert isinstance(backend.generator, SharingGenerator)
    free = SimpleNamespace(available=4 * 60 * backend.generator.model.bytes_per_token)
    monkeypatch.setattr("psutil.virtual_memory", lambda: free)
    backend.take_together()
    assert backend.generate(requests(4), SAMPLING, ()) == expected
    assert backend.take_together() == [2, 2]


def test_one_item_that_does_not_fit_is_out_of_memory(backend: LocalBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(Rows, "read", full)
    with pytest.raises(OutOfMemory, match="Not even one item fits"):
        backend.generate(requests(2), SAMPLING, ())
