from __future__ import annotations

from pathlib import Path

import pytest

from tests.tiny_model import build_tiny_model
from tests.training_app.core.asking_jobs import write_script
from training_app.core.backends import BACKENDS, GenerationRequest, OptionScore, Question, open_backend
from training_app.core.backends.local import LocalBackend
from training_app.core.backends.scripted import ScriptedBackend
from training_app.core.config import Sampling
from training_app.core.errors import BadInput
from training_app.core.job import ModelRef
from training_app.core.prompts import OPTIONS


def requests(count: int) -> list[GenerationRequest]:
    return [GenerationRequest(str(number), f"prompt {number}", number) for number in range(count)]


def test_a_script_is_replayed_in_order_and_what_was_asked_is_kept() -> None:
    backend = ScriptedBackend(["one ", "two words"], [(-1.0, -2.0)], max_words=1)
    one, two = backend.generate(requests(2), Sampling(), ())
    assert (one.text, one.finish, two.text, two.finish) == ("one", "stop", "two words", "length")
    assert backend.score_options([Question("Which?", OPTIONS)]) == [OptionScore(-1.0, -2.0)]
    assert [request.prompt for request in backend.requests] == ["prompt 0", "prompt 1"]
    assert [question.prompt for question in backend.questions] == ["Which?"]


def test_a_script_that_runs_out_says_so() -> None:
    backend = ScriptedBackend(["one"])
    with pytest.raises(BadInput, match="The scripted backend has no more outputs"):
        backend.generate(requests(2), Sampling(), ())
    with pytest.raises(BadInput, match="The scripted backend has no more scores"):
        backend.score_options([Question("Which?", OPTIONS)])


def test_a_reference_names_its_backend(tmp_path: Path) -> None:
    script = ModelRef(write_script(tmp_path / "script.json", ["one"]), "a script", backend="scripted")
    assert isinstance(open_backend(script, print), ScriptedBackend)
    model = ModelRef(build_tiny_model(tmp_path / "tiny"), "tiny")
    backend = open_backend(model, print, dtype="float32")
    assert isinstance(backend, LocalBackend)
    assert backend.dtype == "float32"
    assert backend.context == 2048
    assert set(BACKENDS) == {"local", "openai", "scripted"}


def test_an_unknown_backend_and_a_missing_script_are_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="There is no backend 'oracle'; there are local, openai, scripted"):
        open_backend(ModelRef(tmp_path, "x", backend="oracle"), print)
    with pytest.raises(BadInput, match=r"The script .* is not there"):
        open_backend(ModelRef(tmp_path / "none", "x", backend="scripted"), print)


def test_a_prompt_begins_with_the_beginning_token_once_where_the_model_wants_one(tmp_path: Path) -> None:
    from tokenizers.processors import TemplateProcessing
    from transformers import AutoTokenizer

    folder = build_tiny_model(tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    bos = tokenizer.bos_token_id
    plain = LocalBackend.load(ModelRef(folder, "tiny"))
    assert plain.encode("x")[0] != bos
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="<|im_start|> $A", special_tokens=[("<|im_start|>", bos)]
    )
    tokenizer.save_pretrained(folder)
    backend = LocalBackend.load(ModelRef(folder, "tiny"))
    assert backend.encode("x")[:2] == [bos, *plain.encode("x")[:1]]
    assert backend.encode("<|im_start|>user\nx").count(bos) == 1
