"""A backend that replays given answers and complains when they run out: a test scripts what the model says.

Everything it was asked is kept in `requests` and `questions`, so that a test can assert the exact prompts.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Sequence

from training_app.core.backends import Generation, GenerationRequest, OptionScore, Question
from training_app.core.config import Sampling
from training_app.core.errors import BadInput
from training_app.core.job import ModelRef
from training_app.core.prompts import ChatTemplate, PromptFormat


class ScriptedBackend:
    """Replays `outputs` (texts) and `scores` (pairs of log-probabilities) in the order they are asked for."""

    label = "scripted"
    dtype = "none"
    context = 1 << 20

    def __init__(
        self,
        outputs: Sequence[str] = (),
        scores: Sequence[tuple[float, float]] = (),
        *,
        template: ChatTemplate | None = None,
        max_words: int | None = None,
    ) -> None:
        self.outputs = deque(outputs)
        self.scores = deque(scores)
        self.template = template
        self.max_words = max_words
        self.requests: list[GenerationRequest] = []
        self.questions: list[Question] = []

    def format(self, kind: str) -> PromptFormat:
        """The transcript, or the given template unless "paper" is wanted."""
        if self.template is None or kind == "paper":
            return PromptFormat()
        return PromptFormat(self.template, stops=())

    def generate(
        self,
        requests: Sequence[GenerationRequest],
        sampling: Sampling,
        stops: Sequence[str],
        *,
        extends: bool = False,
    ) -> list[Generation]:
        """The next outputs; one longer than `max_words` counts as cut. Raises BadInput when they run out."""
        self.requests += requests
        return [self._generation(request) for request in requests]

    def score_options(self, questions: Sequence[Question]) -> list[OptionScore]:
        """The next scores. Raises BadInput when they run out."""
        self.questions += questions
        if len(self.scores) < len(questions):
            raise BadInput("The scripted backend has no more scores.")
        return [OptionScore(*self.scores.popleft()) for _ in questions]

    def length(self, text: str) -> int:
        """Characters: a script has no tokens."""
        return len(text)

    def _generation(self, request: GenerationRequest) -> Generation:
        if not self.outputs:
            raise BadInput("The scripted backend has no more outputs.")
        text = self.outputs.popleft()
        words = len(text.split())
        is_cut = self.max_words is not None and words > self.max_words
        return Generation(request.key, text.strip(), words, "length" if is_cut else "stop")


def open_backend(ref: ModelRef, notify: Callable[[str], None], dtype: str | None) -> ScriptedBackend:
    """Read ``{"outputs": [...], "scores": [[a, b], ...]}`` from the JSON file the reference names."""
    if not ref.path.is_file():
        raise BadInput(f"The script {ref.path} is not there.")
    script = json.loads(ref.path.read_text(encoding="utf-8"))
    return ScriptedBackend(script.get("outputs", ()), [(first, second) for first, second in script.get("scores", ())])
