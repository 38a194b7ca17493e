"""A model folder that answers in this process, on the processor or the GPU it sees first (transformers, torch).

A batch that does not fit in memory is halved and goes on; the log says so. Texts come back as the model wrote them, cut
at the stop sequence.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from training_app.core.backends import FREE, Generation, GenerationRequest, OptionScore, Question
from training_app.core.base_model import check_model_folder, load_model, load_tokenizer
from training_app.core.config import Sampling
from training_app.core.device import Device, choose_device
from training_app.core.engine import JUDGE, WRITE, Engines, chosen
from training_app.core.errors import BadInput, OutOfMemory, is_out_of_memory
from training_app.core.generation import Continuation, cut_at_stop, generator_for, ways_for, without_half_stop
from training_app.core.job import ModelRef
from training_app.core.prompts import PromptFormat, format_for
from training_app.core.scoring import Scorer, layouts_for

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")


class LocalBackend:
    """One loaded model with its tokenizer. `notify` gets a sentence when a batch had to be halved."""

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        device: Device,
        notify: Callable[[str], None] = lambda _: None,
        *,
        folder: Path | None = None,
        engines: Engines = FREE,
    ) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.device = device
        self.label = device.label
        self.dtype = device.dtype
        self.engines = {
            WRITE: chosen(ways_for(model, folder), device.dtype, engines.get(WRITE)),
            JUDGE: chosen(layouts_for(model), device.dtype, engines.get(JUDGE)),
        }
        self.generator = generator_for(model, tokenizer, folder, way=self.engines[WRITE].way)
        self.scorer = Scorer(model, layout=self.engines[JUDGE].way, notify=notify)
        self._notify = notify
        self._together: list[int] = []
        self._starts_with_bos = _starts_with_bos(tokenizer)

    @classmethod
    def load(
        cls,
        ref: ModelRef,
        device: Device | None = None,
        notify: Callable[[str], None] = lambda _: None,
        *,
        engines: Engines = FREE,
    ) -> LocalBackend:
        """Check and load the folder of `ref`; `engines` are those it must be computed with. Raises BadInput."""
        check_model_folder(ref)
        device = device or choose_device()
        model, tokenizer = load_model(ref.path, device), load_tokenizer(ref.path)
        return cls(model, tokenizer, device, notify, folder=ref.path, engines=engines)

    @property
    def context(self) -> int:
        """Tokens the model can read and write in one go."""
        return int(self.model.config.get_text_config().max_position_embeddings)

    @property
    def engine(self) -> str:
        """The engine that writes, where it is not torch."""
        return str(getattr(self.generator, "engine", ""))

    @property
    def judging_engine(self) -> str:
        """The engine that judges, where it is not torch."""
        return self.scorer.engine

    @property
    def layout(self) -> str:
        """How it judges, as part of who the judge is: the engine's name without its version, "" for torch."""
        return self.judging_engine.partition(" ")[0]

    @property
    def prompt_tokens(self) -> dict[str, int]:
        """Prompt tokens computed for writing, and those that were shared or known already."""
        counts = {"computed": self.generator.computed, "reused": self.generator.reused}
        return counts if any(counts.values()) else {}

    def take_together(self) -> list[int]:
        """Sizes of what was written together since this was last asked."""
        taken, self._together = self._together, []
        return taken

    def format(self, kind: str) -> PromptFormat:
        """The model's chat template or the paper's transcript."""
        return format_for(self.tokenizer, kind)

    def length(self, text: str) -> int:
        """Tokens of a text."""
        return len(self.encode(text))

    def encode(self, text: str) -> list[int]:
        """Token ids of a prompt; begins with the beginning-of-text token exactly once where the model wants one."""
        return self.encode_all([text])[0]

    def encode_all(self, texts: Sequence[str]) -> list[list[int]]:
        """The same for many texts at once, which a fast tokenizer does on every core."""
        if not texts:
            return []
        bos = self.tokenizer.bos_token_id if self._starts_with_bos else None
        rows: list[list[int]] = self.tokenizer(list(texts), add_special_tokens=False)["input_ids"]
        return [row if bos is None or row[:1] == [bos] else [bos, *row] for row in rows]

    def generate(
        self,
        requests: Sequence[GenerationRequest],
        sampling: Sampling,
        stops: Sequence[str],
        *,
        extends: bool = False,
    ) -> list[Generation]:
        """Continue every prompt. Raises BadInput for a prompt that does not fit, OutOfMemory if one alone does not."""
        ids = {request.key: self._fitting(request, sampling) for request in requests}
        if not extends:
            self.generator.forget()

        def write(part: Sequence[GenerationRequest]) -> list[Generation]:
            prompts, seeds = [ids[request.key] for request in part], [request.seed for request in part]
            rows = self.generator.generate(prompts, seeds, sampling, stops)
            self._together.append(len(part))
            return [self._generation(request, row, stops) for request, row in zip(part, rows, strict=True)]

        return self._halving(list(requests), write)

    def score_options(self, questions: Sequence[Question]) -> list[OptionScore]:
        """Log-probabilities of both options of every question (`scoring.py`)."""

        def score(part: Sequence[Question]) -> list[OptionScore]:
            return self.scorer.score(part, self.encode_all)

        return self._halving(list(questions), score)

    def _fitting(self, request: GenerationRequest, sampling: Sampling) -> list[int]:
        ids = self.encode(request.prompt)
        if not ids:
            raise BadInput(f"The prompt {request.key} is empty.")
        if len(ids) + sampling.max_new_tokens > self.context:
            raise BadInput(
                f"The prompt {request.key} has {len(ids)} tokens; with {sampling.max_new_tokens} new ones that is more "
                f"than the {self.context} the model can read.",
                "Use fewer worked examples or shorter prompts.",
            )
        return ids

    def _generation(self, request: GenerationRequest, row: Continuation, stops: Sequence[str]) -> Generation:
        written = self.tokenizer.decode(row.tokens, skip_special_tokens=True)
        text, found = cut_at_stop(written.replace("\x00", ""), stops)  # PostgreSQL cannot hold a NUL
        if not row.is_stopped:
            text = without_half_stop(text, stops)
        return Generation(request.key, text.strip(), len(row.tokens), "stop" if row.is_stopped or found else "length")

    def _halving(self, batch: list[Asked], answer: Callable[[Sequence[Asked]], list[Answer]]) -> list[Answer]:
        try:
            return answer(batch)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            if len(batch) == 1:
                raise OutOfMemory(
                    "Not even one item fits in memory.",
                    "Resume where more memory is free, or clone the run with shorter texts or a smaller model.",
                ) from error
        self._notify(f"A batch of {len(batch)} did not fit in memory; it is done in halves.")
        half, answers = len(batch) // 2, []
        for part in (batch[:half], batch[half:]):
            self._give_memory_back()
            answers += self._halving(part, answer)
        return answers

    def _give_memory_back(self) -> None:
        import torch

        self.generator.forget()
        if self.device.is_cuda:
            torch.cuda.empty_cache()


def open_backend(
    ref: ModelRef, notify: Callable[[str], None], dtype: str | None, engines: Engines = FREE
) -> LocalBackend:
    """The model folder of `ref` on the device of `choose_device`, in its number format or in `dtype`."""
    return LocalBackend.load(ref, choose_device(dtype), notify, engines=engines)


def _starts_with_bos(tokenizer: Any) -> bool:
    bos = tokenizer.bos_token_id
    return bos is not None and tokenizer.encode("x")[:1] == [bos]
