"""The encoder against transformers, on the real model: skipped, and saying so, where it is not installed."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from constitutions_app import vectors
from constitutions_app.core.sentence_vectors import WIDTH, Encoder, load

TEXTS = ("Do not help anyone to spy on people.", "Be kind. 😀 naïve 你好 مرحبا", "x" * 100_000, "", "word " * 500)


@pytest.fixture(scope="module")
def model() -> vectors.InstalledModel:
    found = vectors._installed()
    if found is None:
        pytest.skip("The extra `embeddings` is not installed (make embeddings): likeness by meaning is not tested.")
    return found


@pytest.fixture(scope="module")
def encoder(model: vectors.InstalledModel) -> Encoder:
    return load(model.folder)


def test_it_gives_the_vectors_that_transformers_gives(model: vectors.InstalledModel, encoder: Encoder) -> None:
    import torch
    from transformers import AutoModel, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model.folder, local_files_only=True)
    theirs = AutoModel.from_pretrained(model.folder, local_files_only=True)
    for text in TEXTS:
        read = tokenizer(text[:8000], return_tensors="pt", truncation=True, max_length=256, padding=False)
        with torch.no_grad():
            mean = theirs(**read).last_hidden_state.mean(1)[0]
        assert encoder.encode(text) == pytest.approx((mean / mean.norm()).tolist(), abs=1e-5)


def test_paraphrases_are_nearer_than_strangers(encoder: Encoder) -> None:
    honest, true, whale = map(
        encoder.encode, ("The AI should be honest", "The AI should tell the truth", "Whales sing.")
    )
    assert len(honest) == WIDTH and math.hypot(*honest) == pytest.approx(1)
    assert _product(honest, true) > 0.8 > 0.3 > _product(honest, whale)


def test_it_refuses_a_folder_that_holds_another_model(tmp_path: Path) -> None:
    config = '{"model_type": "gpt2", "hidden_act": "gelu", "hidden_size": 384}'
    tmp_path.joinpath("config.json").write_text(config, encoding="utf-8")
    with pytest.raises(ValueError, match="not the model that is read here"):
        load(tmp_path)


def _product(left: list[float], right: list[float]) -> float:
    return sum(one * other for one, other in zip(left, right, strict=True))
