"""A llama-family model written for few, large multiplications: what its own module computes, in a third of the steps.

    x ← x + W_o · attention(rope(W_q n), rope(W_k n), W_v n),  n = rmsnorm(x)
    x ← x + W_down · (silu(W_gate n) ⊙ W_up n),                n = rmsnorm(x)

Tokens come without any padding, (T, width), whatever rows they belong to; which earlier tokens each of them sees is the
business of `attend`. Query, key and value are one multiplication, gate and up another. In bfloat16 on a processor that
multiplies it natively, weights are laid out once as oneDNN wants them, instead of again at every call.

The weights are the module's own: where no other layout is needed, the module's parameters become views of the joined
ones. Left out: every architecture that is not plain llama (`supports` says which are), and training.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

FAMILY = ("llama", "mistral", "qwen2")
"""Model types whose layers are exactly the equation above; the test suite holds each against its own module."""

PLAIN_ROTATIONS = ("default", "linear", "llama3")
"""Position encodings that depend on the position alone, never on the length of the text."""

PACKED_FOR = 64
"""Rows the packed layout is meant for; any number may be multiplied."""

Attend = Callable[[int, Any, Any, Any], Any]
"""Layer, queries (T, heads, D), new keys and values (T, heads of keys, D) → attended values (T, heads · D)."""


@dataclass(frozen=True)
class Layer:
    """One layer's weights, ready to multiply, and its two norms."""

    qkv: Callable[[Any], Any]
    out: Callable[[Any], Any]
    gate_up: Callable[[Any], Any]
    down: Callable[[Any], Any]
    before_attention: Any
    before_mlp: Any


def supports(model: Any) -> bool:
    """Whether `model` is one this file computes exactly: its type, activation and positions, on the processor."""
    config = model.config
    kinds = {str((getattr(config, "rope_parameters", None) or {}).get("rope_type", "default"))}
    return (
        config.model_type in FAMILY
        and config.hidden_act in ("silu", "swish")
        and kinds <= set(PLAIN_ROTATIONS)
        and getattr(config, "sliding_window", None) is None
        and set(getattr(config, "layer_types", None) or ["full_attention"]) == {"full_attention"}
        and model.device.type == "cpu"
    )


class FusedLlama:
    """The same weights as `model` (one that `supports` accepts), read layer by layer."""

    def __init__(self, model: Any) -> None:
        self.config = model.config
        self.heads: int = self.config.num_attention_heads
        self.key_heads: int = self.config.num_key_value_heads
        self.width: int = getattr(self.config, "head_dim", None) or self.config.hidden_size // self.heads
        self.bytes_per_token: int = 2 * self.config.num_hidden_layers * self.key_heads * self.width * 4
        """Of keys and values, kept in float32."""
        self._model = model
        is_packed = _pays_to_pack(model)
        self._layers = [_layer(layer, is_packed) for layer in model.model.layers]
        self._head = _multiply([model.lm_head], is_packed)
        self._rotation: tuple[Any, Any] | None = None

    def read(self, tokens: Any, positions: Any, attend: Attend) -> Any:
        """Hidden states (T, hidden) of `tokens` (T,) at `positions` (T,)."""
        import torch

        hidden = self._model.model.embed_tokens(tokens)
        cos, sin = (part[positions].unsqueeze(1) for part in self._rotations(int(positions.max())))
        both = self.heads + self.key_heads
        for index, layer in enumerate(self._layers):
            joined = layer.qkv(layer.before_attention(hidden)).view(len(tokens), both + self.key_heads, self.width)
            turned = _rotate(joined[:, :both], cos, sin)
            seen = attend(index, turned[:, : self.heads], turned[:, self.heads :], joined[:, both:])
            hidden = hidden + layer.out(seen)
            gate, up = layer.gate_up(layer.before_mlp(hidden)).chunk(2, -1)
            hidden = hidden + layer.down(torch.nn.functional.silu(gate).mul_(up))
        return hidden

    def logits(self, hidden: Any) -> Any:
        """The next token's logits (B, V) in float32 of the last hidden states (B, hidden)."""
        return self._head(self._model.model.norm(hidden)).float()

    def _rotations(self, last: int) -> tuple[Any, Any]:
        """Cosines and sines (positions, D) by the model's own rule, computed again when the text grows beyond them."""
        import torch

        if self._rotation is None or last >= len(self._rotation[0]):
            positions = torch.arange(1 << last.bit_length())[None]
            example = self._model.model.embed_tokens.weight[:1]
            cos, sin = self._model.model.rotary_emb(example[None], positions)
            self._rotation = cos[0], sin[0]
        return self._rotation


def _rotate(states: Any, cos: Any, sin: Any) -> Any:
    """Turn queries and keys (T, heads, D) by their position."""
    import torch

    left, right = states.chunk(2, -1)
    return states * cos + torch.cat([-right, left], -1) * sin


def _layer(layer: Any, is_packed: bool) -> Layer:
    attention, mlp = layer.self_attn, layer.mlp
    return Layer(
        _multiply([attention.q_proj, attention.k_proj, attention.v_proj], is_packed),
        _multiply([attention.o_proj], is_packed),
        _multiply([mlp.gate_proj, mlp.up_proj], is_packed),
        _multiply([mlp.down_proj], is_packed),
        layer.input_layernorm,
        layer.post_attention_layernorm,
    )


def _multiply(parts: list[Any], is_packed: bool) -> Callable[[Any], Any]:
    """Several linear modules as one multiplication of the joined weights."""
    import torch

    weight, bias = parts[0].weight, parts[0].bias
    if len(parts) > 1:
        with torch.no_grad():
            weight = torch.cat([part.weight for part in parts])
            bias = None if bias is None else torch.cat([part.bias for part in parts])
    if is_packed:
        packed = torch.ops.mkldnn._reorder_linear_weight(weight.detach(), PACKED_FOR)
        pointwise = torch.ops.mkldnn._linear_pointwise
        return lambda states: pointwise(states, packed, bias, "none", [], "")
    if len(parts) > 1:
        for part, view in zip(parts, weight.split([len(part.weight) for part in parts]), strict=True):
            part.weight.data = view
    return lambda states: torch.nn.functional.linear(states, weight, bias)


def _pays_to_pack(model: Any) -> bool:
    """Whether oneDNN has a faster layout of its own for these weights, and a second copy of them leaves room enough."""
    import psutil
    import torch

    if model.dtype != torch.bfloat16 or not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return False
    size = sum(weight.numel() * weight.element_size() for weight in model.parameters())
    return bool(4 * size < psutil.virtual_memory().available)
