"""The rows stages hand to one another: prompts, responses and comparisons, read from plain objects.

Reading raises ValueError with the field and the reason; `Job.read_input` adds file and line.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

KINDS = ("red_team", "helpful")
ROLES = ("system", "user", "assistant")


@dataclass(frozen=True)
class Message:
    """One turn of a conversation; `role` is "system", "user" or "assistant"."""

    role: str
    content: str


@dataclass(frozen=True)
class Prompt:
    """What a person says to the model; `messages` is the whole (partial) conversation and ends with the person."""

    id: str
    text: str
    kind: str
    messages: tuple[Message, ...]

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Prompt:
        """Read ``{"id", "text", "kind", "messages"?}``."""
        text = text_of(row, "text")
        return cls(text_of(row, "id"), text, kind_of(row), messages_of(row, text))


@dataclass(frozen=True)
class Response:
    """A prompt with the model's initial response: what critique and revision start from."""

    prompt_id: str
    prompt: str
    kind: str
    text: str
    messages: tuple[Message, ...]

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Response:
        """Read ``{"prompt_id", "prompt", "kind", "text", "messages"?}``; the text may be empty, the others may not."""
        prompt = text_of(row, "prompt")
        answer = text_of(row, "text", may_be_empty=True)
        return cls(text_of(row, "prompt_id"), prompt, kind_of(row), answer, messages_of(row, prompt))


@dataclass(frozen=True)
class Comparison:
    """A prompt and two responses, to be judged."""

    id: str
    prompt: str
    response_a: str
    response_b: str
    messages: tuple[Message, ...]
    identical: bool = False

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Comparison:
        """Read ``{"id" or "prompt_id", "prompt", "response_a", "response_b", "messages"?, "identical"?}``."""
        prompt = text_of(row, "prompt")
        return cls(
            id=text_of(row, "id" if "id" in row else "prompt_id"),
            prompt=prompt,
            response_a=text_of(row, "response_a", may_be_empty=True),
            response_b=text_of(row, "response_b", may_be_empty=True),
            messages=messages_of(row, prompt),
            identical=bool(row.get("identical", False)),
        )


def text_of(row: Mapping[str, Any], name: str, *, may_be_empty: bool = False) -> str:
    """A text field. Raises ValueError when it is missing, empty (unless allowed) or not text."""
    value = row.get(name)
    if value is None:
        raise ValueError(f"{name} is missing")
    if not isinstance(value, str):
        raise ValueError(f"{name} should be text, not {type(value).__name__}")
    if not may_be_empty and not value.strip():
        raise ValueError(f"{name} is empty")
    return value


def kind_of(row: Mapping[str, Any]) -> str:
    """The kind of a prompt: "red_team" or "helpful"."""
    kind = text_of(row, "kind")
    if kind not in KINDS:
        raise ValueError(f"kind should be red_team or helpful, not {kind!r}")
    return kind


def messages_of(row: Mapping[str, Any], text: str) -> tuple[Message, ...]:
    """The conversation up to and with the person's last message; without "messages" it is `text` alone."""
    turns = row.get("messages")
    if not turns:
        return (Message("user", text),)
    if not isinstance(turns, list):
        raise ValueError(f"messages should be a list, not {type(turns).__name__}")
    messages = tuple(_message(turn, position) for position, turn in enumerate(turns, start=1))
    spoken = [message.role for message in messages if message.role != "system"]
    if any(message.role == "system" for message in messages[1:]):
        raise ValueError("a system message may stand only first in messages")
    if spoken != ["user" if turn % 2 == 0 else "assistant" for turn in range(len(spoken))] or spoken[-1:] != ["user"]:
        raise ValueError("messages should go user, assistant, user … and end with user")
    return messages


def _message(turn: object, position: int) -> Message:
    if not isinstance(turn, Mapping):
        raise ValueError(f"message {position} should be an object, not {type(turn).__name__}")
    role = text_of(turn, "role")
    if role not in ROLES:
        raise ValueError(f"message {position} has the unknown role {role!r}")
    return Message(role, text_of(turn, "content"))
