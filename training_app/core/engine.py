"""Which engine computes for a stage: chosen when the stage first opens a model, and kept as long as the stage lives.

Several engines can write or judge with one model (torch, OpenVINO, vLLM …); the fastest that is installed and has room
is taken. They agree in float32; in bfloat16 each rounds in its own way. So the choice stands in `events.jsonl` from the
first moment on, with the library's version and the number format, and a resumed stage goes on with nothing else: where
that engine is not there any more, it says so and does nothing. Left out: servers, whose engine nobody here can see.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from training_app.core.errors import BadInput

WRITE, JUDGE = "write", "judge"
"""What a model is used for; each has ways of its own (`generation.ways_for`, `scoring.layouts_for`)."""

PACKAGES = {"openvino": "openvino", "pages": "openvino", "vllm": "vllm", "sharing": "torch", "tree": "torch"}
"""Way → the package whose arithmetic it is; all others go through the model's own module in transformers."""


@dataclass(frozen=True)
class Engine:
    """One way of writing or judging, the package that computes it, and the number format."""

    way: str
    package: str
    version: str
    dtype: str

    @classmethod
    def of(cls, way: str, dtype: str) -> Engine:
        """The engine as it is installed here; its version is empty where it is not."""
        package = PACKAGES.get(way, "transformers")
        return cls(way, package, _version(package), dtype)

    def __str__(self) -> str:
        return f"{self.package} {self.version} in {self.dtype} ({self.way})"


Engines = Mapping[str, Engine]
"""What it is used for ("write", "judge") → the engine."""


def chosen(ways: Sequence[str], dtype: str, kept: Engine | None) -> Engine:
    """The engine to use, of `ways` that are right here, the fastest first; `kept` is the one a stage was begun with.

    Raises BadInput when that one is not there any more.
    """
    if kept is None:
        return Engine.of(ways[0], dtype)
    now = Engine.of(kept.way, dtype)
    if kept.way in ways and now == kept:
        return kept
    raise BadInput(
        f"This stage was begun with {kept}, and {_why_not(kept, now)}.",
        "Resume it where it is there, or launch the run again; what was done is kept.",
    )


def _why_not(kept: Engine, now: Engine) -> str:
    if not now.version:
        return f"{kept.package} is not installed here any more"
    if now.version != kept.version:
        return f"here {kept.package} is {now.version}"
    if now.dtype != kept.dtype:
        return f"here models are read in {now.dtype}"
    return "here that is not possible now: too little free memory, or another device"


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""
