"""Who answers: the models behind one small protocol, chosen by the "backend" of a job's model reference.

`local` runs a model folder in this process (transformers, processor or GPU); `openai` asks a server that an
administrator allowed; `scripted` replays given answers, for tests. A backend is three verbs; whatever keeps several of
them apart (batches, prompts, records) stays in the stages.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

from training_app.core.config import Sampling
from training_app.core.engine import Engines
from training_app.core.errors import BadInput
from training_app.core.events import EventLog
from training_app.core.job import ModelRef
from training_app.core.prompts import PromptFormat


@dataclass(frozen=True)
class GenerationRequest:
    """A prompt to continue. Its own seed makes its text independent of what is generated beside it."""

    key: str
    prompt: str
    seed: int


@dataclass(frozen=True)
class Generation:
    """What the model wrote: cut at the stop sequence, white space around it removed, nothing else changed."""

    key: str
    text: str
    tokens: int
    finish: str
    """ "stop" (the model ended by itself) or "length" (it was cut)."""


@dataclass(frozen=True)
class Question:
    """A prompt whose answer is one of two strings, e.g. " (A)" and " (B)"."""

    prompt: str
    options: tuple[str, str]


@dataclass(frozen=True)
class OptionScore:
    """Log-probabilities of a question's two options, in the order of its options."""

    first: float
    second: float


class Backend(Protocol):
    """One model that answers. Batches are given whole and in order; results come back in the same order."""

    label: str
    """For people: the device, e.g. "CPU (…, 2 threads)"."""
    dtype: str
    """Number format, part of every label's provenance."""

    def format(self, kind: str) -> PromptFormat:
        """How this model is asked: "paper", "chat" or "auto"."""

    def generate(
        self,
        requests: Sequence[GenerationRequest],
        sampling: Sampling,
        stops: Sequence[str],
        *,
        extends: bool = False,
    ) -> list[Generation]:
        """Continue every prompt; one batch, formed by the caller.

        `extends`: these prompts extend those of the call before, one for one, so its computation may serve again.
        """

    def score_options(self, questions: Sequence[Question]) -> list[OptionScore]:
        """Log-probabilities of both options of every question."""

    def length(self, text: str) -> int:
        """Tokens of a text: what batches are sorted by and what must fit `context`."""

    @property
    def context(self) -> int:
        """Tokens the model can read and write in one go."""


BACKENDS: dict[str, str] = {
    "local": "training_app.core.backends.local:open_backend",
    "openai": "training_app.core.backends.openai_compatible:open_backend",
    "scripted": "training_app.core.backends.scripted:open_backend",
}

Notify = Callable[[str], None]
FREE: Engines = MappingProxyType({})
"""No engine is asked for: the fastest is taken."""


def open_for_stage(
    ref: ModelRef, events: EventLog, *uses: str, role: str = "model", dtype: str | None = None
) -> Backend:
    """The backend of one of a stage's models, with the engines the stage was begun with (`engine.py`).

    `uses`: what the stage does with it, of `engine.WRITE` and `engine.JUDGE`. Raises BadInput where such an engine is
    not there any more.
    """
    kept = events.engines.get(role)
    backend = open_backend(ref, lambda message: events.log(message, level="warning"), dtype=dtype, engines=kept or FREE)
    now: Engines = getattr(backend, "engines", FREE)
    if kept is None and now:
        events.engine(role, {use: now[use] for use in uses})
    return backend


def open_backend(ref: ModelRef, notify: Notify, *, dtype: str | None = None, engines: Engines = FREE) -> Backend:
    """The backend a model reference names, ready to answer.

    `notify` gets sentences for the log (a halved batch); `dtype` overrules the device's number format; `engines` are
    those a local model has to be computed with.
    """
    if ref.backend not in BACKENDS:
        raise BadInput(f"There is no backend {ref.backend!r}; there are {', '.join(BACKENDS)}.")
    module, name = BACKENDS[ref.backend].split(":")
    open_it = getattr(importlib.import_module(module), name)
    opened: Backend = open_it(ref, notify, dtype, engines) if ref.backend == "local" else open_it(ref, notify, dtype)
    return opened


def how_of(backend: Backend) -> dict[str, str]:
    """What belongs to a judge's identity besides model, template and number format: layout and voting."""
    return {name: str(getattr(backend, name, "")) for name in ("layout", "sampling")}


def spent_of(backend: Backend) -> dict[str, dict[str, object]]:
    """What was spent, for a stage's summary: a server's requests and cost, or a local model's prompt tokens."""
    spent = getattr(backend, "spent", None)
    read = prompt_tokens_of(backend)
    return ({"server": spent} if isinstance(spent, dict) else {}) | ({"prompt_tokens": read} if read else {})


def prompt_tokens_of(backend: Backend) -> dict[str, object]:
    """Prompt tokens a local model "computed" for writing, and those it "reused" instead; empty for all others."""
    read = getattr(backend, "prompt_tokens", None)
    return read if isinstance(read, dict) else {}


def writing_label(backend: Backend) -> str:
    """For people: where a backend writes, and the engine it writes with where that is not torch."""
    return _with_engine(backend, "engine")


def judging_label(backend: Backend) -> str:
    """The same for judging."""
    return _with_engine(backend, "judging_engine")


def _with_engine(backend: Backend, which: str) -> str:
    engine = getattr(backend, which, "")
    return f"{backend.label}, {engine}" if engine else backend.label


def together_of(backend: Backend) -> list[int]:
    """Sizes of what a local model computed together since the last call, halves told apart; empty for all others."""
    take = getattr(backend, "take_together", None)
    return list(take()) if callable(take) else []
