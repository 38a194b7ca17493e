"""Model servers that an administrator allowed: the only addresses a stage may ask, and how gently to ask them.

They stand in the environment, in ``MODEL_SERVERS``, as JSON by name::

    {"gpu1": {"url": "http://10.0.0.7:8000/v1", "model": "meta-llama/Llama-3.3-70B-Instruct", "key_env": "GPU1_KEY"}}

Jobs, rows and the ledger hold a server's *name* and digest, never an address and never a key: nobody who fills in a
form can make this machine ask an address of their choosing (SSRF), and a key is read from the variable `key_env` names
at the moment it is used.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, get_type_hints
from urllib.parse import urlsplit

from training_app.core.errors import BadInput

VARIABLE = "MODEL_SERVERS"
APIS = ("both", "chat", "completions")
LOGPROBS = ("auto", "yes", "no")


@dataclass(frozen=True)
class ModelServer:
    """One OpenAI-compatible server with the one model it is asked for."""

    name: str
    url: str
    """Up to and with the version, e.g. "http://10.0.0.7:8000/v1"."""
    model: str
    revision: str = ""
    """What tells this model from an earlier one under the same name; part of the judge's identity."""
    key_env: str = ""
    """The environment variable that holds the key; empty for a server without one."""
    api: str = "both"
    """Endpoints it has: "chat", "completions" or "both"."""
    logprobs: str = "auto"
    """Whether it gives log-probabilities; "auto" asks it once."""
    top_logprobs: int = 20
    votes: int = 8
    """Answers sampled per question where there are no log-probabilities."""
    concurrency: int = 16
    requests_per_minute: int = 0
    tokens_per_minute: int = 0
    """Limits; 0 means none. Tokens are estimated before a request (four characters each, plus the longest answer)."""
    timeout_s: float = 120.0
    retries: int = 6
    context: int = 8192
    """Tokens the model reads and writes in one go."""
    price_per_million_in: float = 0.0
    price_per_million_out: float = 0.0
    """For the cost count, in whatever currency the administrator thinks."""

    @property
    def digest(self) -> str:
        """sha256 over what decides the answers: address, model, revision, endpoints."""
        parts = {"url": self.url, "model": self.model, "revision": self.revision, "api": self.api}
        return hashlib.sha256(json.dumps(parts, sort_keys=True, separators=(",", ":")).encode()).hexdigest()

    def key(self, environment: Mapping[str, str] = os.environ) -> str:
        """The key, "" where the server has none. Raises BadInput when the variable that should hold it is empty."""
        if self.key_env and not environment.get(self.key_env):
            raise BadInput(
                f"The key of the server {self.name} is not there.",
                f"Set the environment variable {self.key_env} for the workers.",
            )
        return environment.get(self.key_env, "") if self.key_env else ""


def allowed_servers(environment: Mapping[str, str] = os.environ) -> dict[str, ModelServer]:
    """Every allowed server by name. Raises BadInput naming what is wrong with the setting."""
    text = environment.get(VARIABLE, "").strip()
    if not text:
        return {}
    try:
        listed = json.loads(text)
    except json.JSONDecodeError as error:
        raise BadInput(f"{VARIABLE} is not JSON ({error.msg} at column {error.colno}).") from error
    if not isinstance(listed, dict):
        raise BadInput(f"{VARIABLE} should be an object of servers by name.")
    return {name: _server(name, parts) for name, parts in listed.items()}


def server_named(name: str, environment: Mapping[str, str] = os.environ) -> ModelServer:
    """One allowed server. Raises BadInput for any other name."""
    servers = allowed_servers(environment)
    if name not in servers:
        raise BadInput(
            f"There is no model server {name!r} in the settings of this machine.",
            f"An administrator allows servers in {VARIABLE} (docs/operations.md).",
        )
    return servers[name]


def _server(name: str, parts: Any) -> ModelServer:
    where = f"{VARIABLE}: {name}"
    if not name or not name.replace("-", "").replace("_", "").isalnum() or len(name) > 60:
        raise BadInput(f"{where!r} should be named by letters, digits, - and _.")
    if not isinstance(parts, dict):
        raise BadInput(f"{where} should be an object.")
    hints = get_type_hints(ModelServer)
    known = {part.name for part in fields(ModelServer)} - {"name"}
    if unknown := sorted(set(parts) - known):
        raise BadInput(f"{where}: {unknown[0]} is not known; known are {', '.join(sorted(known))}.")
    for part in ("url", "model"):
        if not parts.get(part):
            raise BadInput(f"{where}: {part} is missing.")
    values = {part: _value(where, part, hints[part], value) for part, value in parts.items()}
    _check_choices(where, values)
    return ModelServer(name=name, **{**values, "url": _address(where, values["url"])})


def _value(where: str, part: str, kind: Any, value: Any) -> Any:
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if type(value) is not kind or (isinstance(value, int | float) and not 0 <= value < math.inf):
        raise BadInput(f"{where}: {part} should be {'text' if kind is str else 'a number from 0 up'}, not {value!r}.")
    return value


def _check_choices(where: str, values: Mapping[str, Any]) -> None:
    for part, allowed in (("api", APIS), ("logprobs", LOGPROBS)):
        if values.get(part, allowed[0]) not in allowed:
            raise BadInput(f"{where}: {part} should be one of {', '.join(allowed)}.")
    for part in ("concurrency", "votes", "context", "timeout_s", "top_logprobs"):
        if values.get(part, 1) <= 0:
            raise BadInput(f"{where}: {part} should be above 0.")


def _address(where: str, url: str) -> str:
    try:
        parts = urlsplit(url)
        sound = parts.scheme in ("http", "https") and parts.hostname and (parts.port or 1)
    except ValueError:
        sound = False
    if not sound or parts.username or parts.password or parts.query or parts.fragment:
        raise BadInput(f"{where}: url should be like http://host:port/v1, without a name, a password or a query.")
    return url.rstrip("/")
