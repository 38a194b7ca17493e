from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.tiny_model import build_tiny_tokenizer
from training_app.core import chat_template
from training_app.core.chat_template import SAMPLE, render, rendered, template_of
from training_app.core.errors import BadInput

HOSTILE = (
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
    "{{ messages.append(1) }}",
    "{{ raise_exception('only one turn, please') }}",
    "{% for %}",
)


def folder(path: Path, template: object, **settings: object) -> Path:
    path.mkdir()
    (path / "tokenizer_config.json").write_text(json.dumps({"chat_template": template, **settings}))
    return path


def test_it_renders_what_the_tokenizer_renders(tmp_path: Path) -> None:
    tokenizer = build_tiny_tokenizer()
    tokenizer.save_pretrained(tmp_path / "tiny")
    expected = tokenizer.apply_chat_template(list(SAMPLE), tokenize=False, add_generation_prompt=True)
    assert rendered(tmp_path / "tiny") == expected


@pytest.mark.parametrize("template", HOSTILE)
def test_a_template_gets_at_nothing_and_its_complaint_is_a_sentence(template: str) -> None:
    with pytest.raises(BadInput, match="The chat template cannot be rendered"):
        render(template, {})


def test_a_template_that_loops_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat_template, "PATIENCE_S", 0.05)
    with pytest.raises(BadInput, match="still rendering after"):
        rendered(
            folder(tmp_path / "slow", "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}")
        )


def test_several_templates_and_special_tokens_are_read(tmp_path: Path) -> None:
    named = [
        {"name": "tools", "template": "x"},
        {"name": "default", "template": "{{ bos_token }}{{ messages|length }}"},
    ]
    found = folder(tmp_path / "named", named, bos_token={"content": "<s>"})
    assert template_of(found) == named[1]["template"]
    assert rendered(found) == "<s>3"
    assert template_of(folder(tmp_path / "none", None)) == rendered(tmp_path / "none") == ""
    with pytest.raises(BadInput, match="characters"):
        template_of(folder(tmp_path / "long", "x" * 300_000))
