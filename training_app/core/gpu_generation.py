"""Writing on a GPU: vLLM where it is installed, else the paged continuous batching of transformers.

Both keep keys and values in pages, fill every free place at once and share what prompts have in common. In vLLM a
revision finds its critique's pages; the pages of transformers live as long as one batch. All prompts of a batch are
given at once, in the order of the job file.

* vLLM draws each item from the item's own seed.
* transformers draws all items from one stream: the batch's, made of its items' seeds. So the batch written again is the
  same batch, but an item alone is not the same text; in bfloat16 it never is.

Stop sequences end a text when it comes back (vLLM: as soon as they are written). Neither says how many prompt tokens it
had to compute in every version; what is not said counts as computed. Left out: logits that are not finite are not
noticed here, because neither gives them out.
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from training_app.core.config import Sampling
from training_app.core.errors import BadInput
from training_app.core.generation import Continuation, Ending

VLLM_SHARE = 0.6
"""Share of the GPU's memory that vLLM takes for weights and pages; the same weights stand there again for judging."""

PAGED_SHARE = 0.6
"""Share of the memory still free that transformers takes for pages; the rest is for judging and for logits."""


def vllm_is_installed() -> bool:
    """Whether vLLM can be imported."""
    return importlib.util.find_spec("vllm") is not None


def can_be_paged(model: Any) -> bool:
    """Whether transformers can keep this model's keys and values in pages: attention only, and exchangeable."""
    kinds = set(getattr(model.config.get_text_config(), "layer_types", None) or ["full_attention"])
    is_plain = kinds <= {"full_attention", "sliding_attention"}
    return is_plain and hasattr(model, "generate_batch") and bool(getattr(model, "_supports_attention_backend", False))


class VllmWriter:
    """The model folder in an engine of its own, loaded when it is first asked to write."""

    def __init__(self, model: Any, tokenizer: Any, folder: Path) -> None:
        self.ending = Ending(model, tokenizer)
        self.folder = folder
        self.dtype = str(model.dtype).removeprefix("torch.")
        self.context = int(model.config.get_text_config().max_position_embeddings)
        self.computed = 0
        self.reused = 0
        self._engine: Any = None

    def forget(self) -> None:
        """Nothing to give back: pages are vLLM's own, and it reuses them by itself."""

    def generate(
        self, prompts: Sequence[Sequence[int]], seeds: Sequence[int], sampling: Sampling, stops: Sequence[str]
    ) -> list[Continuation]:
        """Continue every prompt; returns the new tokens, end token included."""
        import vllm

        engine = self._loaded(vllm)
        asked = [{"prompt_token_ids": list(ids)} for ids in prompts]
        params = [
            vllm.SamplingParams(
                temperature=sampling.temperature,
                top_p=sampling.top_p,
                max_tokens=sampling.max_new_tokens,
                seed=seed,
                stop=list(stops),
                stop_token_ids=sorted(self.ending.tokens),
                include_stop_str_in_output=True,
                detokenize=bool(stops),
            )
            for seed in seeds
        ]
        answers = engine.generate(asked, params, use_tqdm=False)
        known = sum(getattr(answer, "num_cached_tokens", None) or 0 for answer in answers)
        self.computed += sum(map(len, prompts)) - known
        self.reused += known
        tokens = [list(answer.outputs[0].token_ids) for answer in answers]
        return [cut(row, seed, sampling, self.ending, stops) for row, seed in zip(tokens, seeds, strict=True)]

    def _loaded(self, vllm: Any) -> Any:
        if self._engine is None:
            self._engine = vllm.LLM(
                model=str(self.folder),
                dtype=self.dtype,
                max_model_len=self.context,
                enable_prefix_caching=True,
                gpu_memory_utilization=VLLM_SHARE,
                trust_remote_code=False,
                seed=0,
            )
        return self._engine


class PagedWriter:
    """The loaded model through transformers' continuous batching."""

    def __init__(self, model: Any, tokenizer: Any) -> None:
        self.model = model
        self.ending = Ending(model, tokenizer)
        self.pad = tokenizer.pad_token_id
        self.computed = 0
        self.reused = 0

    def forget(self) -> None:
        """Nothing to give back: pages live as long as one batch."""

    def generate(
        self, prompts: Sequence[Sequence[int]], seeds: Sequence[int], sampling: Sampling, stops: Sequence[str]
    ) -> list[Continuation]:
        """Continue every prompt; returns the new tokens, end token included. Raises BadInput when one fails."""
        from transformers import ContinuousBatchingConfig, GenerationConfig

        drawn = (
            {"temperature": sampling.temperature, "top_p": sampling.top_p, "top_k": 0} if sampling.temperature else {}
        )
        how = GenerationConfig(
            max_new_tokens=sampling.max_new_tokens,
            do_sample=sampling.temperature > 0,
            eos_token_id=sorted(self.ending.tokens),
            pad_token_id=self.pad,
            **drawn,
        )
        pages = ContinuousBatchingConfig(max_memory_percent=PAGED_SHARE, seed=batch_seed(seeds))
        answers = self.model.generate_batch(
            [list(ids) for ids in prompts], generation_config=how, continuous_batching_config=pages, warmup=False
        )
        rows = list(answers.values())
        if len(rows) != len(prompts) or any(row.error for row in rows):
            why = next((str(row.error) for row in rows if row.error), "its thread ended early")
            raise BadInput(f"The batch could not be written ({why[:200]}).", "Look at the log, then resume.")
        self.computed += sum(map(len, prompts))
        return [
            cut(row.generated_tokens, seed, sampling, self.ending, stops) for row, seed in zip(rows, seeds, strict=True)
        ]


def batch_seed(seeds: Sequence[int]) -> int:
    """One 63-bit seed of a batch: a pure function of its items' seeds in their order."""
    named = ",".join(map(str, seeds))
    return int.from_bytes(hashlib.sha256(named.encode()).digest()[:8], "big") >> 1


def cut(tokens: Sequence[int], seed: int, sampling: Sampling, ending: Ending, stops: Sequence[str]) -> Continuation:
    """The tokens up to the first that ends the text, as every generator gives them."""
    row = Continuation.of(seed, sampling)
    for token in tokens:
        row.add(int(token), ending, stops)
    return row
