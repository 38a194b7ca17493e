"""A sentence as a vector whose direction is its meaning: the encoder all-MiniLM-L6-v2, read from its files. No torch.

Six layers of BERT (Devlin et al. 2018, arXiv 1810.04805), distilled (Wang et al. 2020, arXiv 2002.10957) and trained so
that sentences of one meaning have a large cosine (Reimers and Gurevych 2019, arXiv 1908.10084). For token vectors x:

    x ← norm(x + softmax(q kᵀ / √d) v W_o)        x ← norm(x + gelu(x W_1) W_2)        sentence = mean(x) / |mean(x)|

Written out in numpy rather than run by transformers, so that a worker which embeds holds 90 MB and not all of torch,
and is ready in a second; a test compares the two. One text at a time: nothing is padded and no mask is needed. What is
left out: words after the first 256 word pieces (the length the model was trained for), batches, and training.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float32]

WIDTH = 384
"""Numbers in a vector."""
MOST_PIECES = 256
MOST_LETTERS = 8_000
"""More are never read: 256 word pieces of English have some 1,200 letters."""


@dataclass(frozen=True)
class Encoder:
    """The model, ready to read texts. `weights` by their names in the file, `tokens` the tokenizer."""

    weights: dict[str, Array]
    tokens: Any
    layers: int
    heads: int
    eps: float

    def encode(self, text: str) -> list[float]:
        """The vector of a text: WIDTH numbers, of length one."""
        import numpy as np

        x = self._embedded(self.tokens.encode(text[:MOST_LETTERS]).ids)
        for layer in range(self.layers):
            x = self._layer(f"encoder.layer.{layer}.", x)
        mean = x.mean(axis=0)
        vector: list[float] = (mean / np.linalg.norm(mean)).tolist()
        return vector

    def _embedded(self, ids: list[int]) -> Array:
        """(T, C): the sum of a table each for piece, place and sentence (always the first)."""
        words, places, kinds = (
            self.weights[f"embeddings.{name}_embeddings.weight"] for name in ("word", "position", "token_type")
        )
        return self._normed("embeddings.LayerNorm.", words[ids] + places[: len(ids)] + kinds[0])

    def _layer(self, name: str, x: Array) -> Array:
        """(T, C) → (T, C): attention of every piece to every piece, then the two dense layers."""
        from scipy.special import erf

        own = f"{name}attention."
        q, k, v = (self._split(self._dense(f"{own}self.{part}.", x)) for part in ("query", "key", "value"))  # (H, T, d)
        seen = _softmax(q @ k.transpose(0, 2, 1) / math.sqrt(q.shape[-1])) @ v  # (H, T, d)
        joined = seen.transpose(1, 0, 2).reshape(x.shape)
        x = self._normed(f"{own}output.LayerNorm.", x + self._dense(f"{own}output.dense.", joined))
        inner = self._dense(f"{name}intermediate.dense.", x)
        inner = 0.5 * inner * (1 + erf(inner / math.sqrt(2)))
        return self._normed(f"{name}output.LayerNorm.", x + self._dense(f"{name}output.dense.", inner))

    def _split(self, x: Array) -> Array:
        """(T, C) → (H, T, C / H)."""
        return x.reshape(len(x), self.heads, -1).transpose(1, 0, 2)

    def _dense(self, name: str, x: Array) -> Array:
        made: Array = x @ self.weights[f"{name}weight"].T + self.weights[f"{name}bias"]
        return made

    def _normed(self, name: str, x: Array) -> Array:
        import numpy as np

        spread = np.sqrt(x.var(axis=-1, keepdims=True) + self.eps)
        made: Array = (x - x.mean(axis=-1, keepdims=True)) / spread * self.weights[f"{name}weight"]
        return made + self.weights[f"{name}bias"]


def load(folder: Path) -> Encoder:
    """The encoder in a folder of `config.json`, `tokenizer.json` and `model.safetensors`. Raises ValueError for others.

    The tokenizer's own padding is switched off and its limit raised to what the model was trained for.
    """
    from safetensors.numpy import load_file
    from tokenizers import Tokenizer

    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    if (config["model_type"], config["hidden_act"], config["hidden_size"]) != ("bert", "gelu", WIDTH):
        raise ValueError(f"{folder.name} is not the model that is read here: BERT with gelu and vectors of {WIDTH}.")
    tokens = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokens.no_padding()
    tokens.enable_truncation(MOST_PIECES)
    return Encoder(
        weights=load_file(folder / "model.safetensors"),
        tokens=tokens,
        layers=config["num_hidden_layers"],
        heads=config["num_attention_heads"],
        eps=config["layer_norm_eps"],
    )


def _softmax(x: Array) -> Array:
    import numpy as np

    raised = np.exp(x - x.max(axis=-1, keepdims=True))
    made: Array = raised / raised.sum(axis=-1, keepdims=True)
    return made
