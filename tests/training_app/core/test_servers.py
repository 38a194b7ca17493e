from __future__ import annotations

import json
from dataclasses import fields, replace
from typing import Any

import pytest

from training_app.core.errors import BadInput
from training_app.core.servers import ModelServer, allowed_servers, server_named

GOOD = {"url": "http://10.0.0.7:8000/v1/", "model": "big"}


def allowed(**parts: Any) -> dict[str, ModelServer]:
    return allowed_servers({"MODEL_SERVERS": json.dumps({"gpu1": {**GOOD, **parts}})})


def test_only_what_the_administrator_named_can_be_asked() -> None:
    assert allowed() == {"gpu1": ModelServer("gpu1", "http://10.0.0.7:8000/v1", "big")}
    assert allowed_servers({}) == {}
    with pytest.raises(BadInput, match="no model server 'http://169"):
        server_named("http://169.254.169.254/", {"MODEL_SERVERS": json.dumps({"gpu1": GOOD})})


@pytest.mark.parametrize(
    "parts",
    [
        {"url": "file:///etc/passwd"}, {"url": "http://user:pass@host/v1"}, {"url": "http://host/v1?x=1"},
        {"url": "//host"}, {"url": "http://host:99999/v1"}, {"url": ""}, {"model": ""}, {"votes": 0}, {"votes": "8"},
        {"timeout_s": -1}, {"concurrency": True}, {"api": "soap"}, {"logprobs": "maybe"}, {"key": "sk-secret"},
    ],
)  # fmt: skip
def test_a_setting_that_cannot_be_meant_is_refused_by_name(parts: dict[str, Any]) -> None:
    with pytest.raises(BadInput, match="gpu1"):
        allowed(**parts)


@pytest.mark.parametrize("text", ["{", "[]", '{"a b": {"url": "http://h/v1", "model": "m"}}', '{"a": 3}'])
def test_a_malformed_setting_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="MODEL_SERVERS"):
        allowed_servers({"MODEL_SERVERS": text})


def test_the_key_comes_from_the_environment_and_its_absence_is_said() -> None:
    server = replace(allowed()["gpu1"], key_env="GPU1_KEY")
    assert server.key({"GPU1_KEY": "secret"}) == "secret"
    assert allowed()["gpu1"].key({}) == ""
    with pytest.raises(BadInput, match="key of the server gpu1"):
        server.key({})


def test_the_digest_covers_what_decides_the_answers_and_nothing_else() -> None:
    server = allowed()["gpu1"]
    changed = set()
    for part in fields(ModelServer):
        other: Any = "else" if isinstance(getattr(server, part.name), str) else 77
        if replace(server, **{part.name: other}).digest != server.digest:
            changed.add(part.name)
    assert changed == {"url", "model", "revision", "api"}
