from __future__ import annotations

from pathlib import Path

import pytest
import torch

from training_app.core import device
from training_app.core.device import choose_device, cpu_dtype, judging_dtype
from training_app.core.errors import BadInput


@pytest.mark.parametrize(
    ("flags", "dtype"),
    [
        ({"avx2"}, "float32"),
        ({"avx512f"}, "float32"),
        ({"avx512f", "avx512_bf16"}, "bfloat16"),
        ({"amx_tile", "amx_bf16"}, "bfloat16"),
        (set(), "float32"),
    ],
)
def test_bfloat16_is_taken_where_the_processor_multiplies_it_natively(flags: set[str], dtype: str) -> None:
    assert cpu_dtype(frozenset(flags)) == dtype


@pytest.mark.parametrize(
    ("flags", "has_gpu", "dtype"),
    [({"avx512_bf16"}, False, "float32"), ({"avx512_bf16", "amx_bf16"}, False, None), (set(), True, None)],
)
def test_a_judge_is_asked_exactly_where_that_is_affordable(
    monkeypatch: pytest.MonkeyPatch, flags: set[str], has_gpu: bool, dtype: str | None
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: has_gpu)
    monkeypatch.setattr(device, "processor_flags", lambda: frozenset(flags))
    assert judging_dtype() == dtype


def test_without_a_gpu_it_names_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    monkeypatch.setattr(device, "processor_name", lambda: "Fast One")
    chosen = choose_device("float32")
    assert (chosen.label, chosen.torch_name, chosen.dtype) == ("CPU (Fast One, 2 threads)", "cpu", "float32")
    assert not chosen.is_cuda


def test_with_a_gpu_it_names_the_first_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: "Big GPU")
    chosen = choose_device()
    assert (chosen.label, chosen.torch_name, chosen.dtype) == ("cuda:0 Big GPU", "cuda:0", "bfloat16")
    assert chosen.is_cuda


def test_an_unknown_number_format_is_refused() -> None:
    with pytest.raises(BadInput, match="The number format 'float8' is not known"):
        choose_device("float8")


def test_a_machine_that_hides_its_processor_is_still_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def hidden(*_: object, **__: object) -> str:
        raise PermissionError

    monkeypatch.setattr(Path, "read_text", hidden)
    assert device.processor_name() == "processor"
    assert device.processor_flags() == frozenset()
