"""Reads a token tree with a Llama-shaped model, computing nothing twice and nothing for nothing.

    o_i = sum_j softmax_j(q_i . k_j / sqrt(d)) v_j,   j over the ancestors of token i and itself

All tokens of a tree stand in one flat list (T, D) without padding; attention goes block by block (`token_tree.py`): the
trunk's keys and a piece's own share one softmax. The last layer answers for the ends of lines only; its other tokens
give keys and values. Norms, rotary embedding and feed-forward round where the model's own modules do.

What layers add to is float32, rounded only where a product begins; that takes a quarter to a half off the distance of
bfloat16 scores to float32 ones. Two matrix products per block take less time than the fused attention kernel on
processors with bfloat16, and weights laid out once for the processor save a twentieth in bfloat16 and a fifth in
float32. In bfloat16 scores are rounded before the softmax: float32 scores cost up to a quarter more time (all measured;
docs/lab-notes.md). Left out: sliding windows, models of another build (`is_readable`).

Shapes: T tokens of the tree, D width, H heads of size d in G groups that share a key, S = H / G.
"""

from __future__ import annotations

import functools
import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from training_app.core.token_tree import Block, Tree

log = logging.getLogger(__name__)

Product = Callable[[Any], Any]

SHAPES = frozenset({"llama", "mistral", "qwen2", "qwen3"})
"""Model types whose layers are those this file writes out; each is tested against the model's own forward."""

ROTARY = frozenset({"default", "linear", "llama3", "yarn"})
"""Rotary embeddings that depend on a token's position alone, not on the length of what is read."""


def is_readable(model: Any) -> bool:
    """Whether this model's layers are of the shape this file computes."""
    config = model.config
    rotary = getattr(config, "rope_parameters", None) or {}
    return (
        config.model_type in SHAPES
        and not getattr(config, "sliding_window", None)
        and set(getattr(config, "layer_types", None) or ["full_attention"]) == {"full_attention"}
        and rotary.get("rope_type", "default") in ROTARY
    )


STEP = 64
"""Trees are filled up to a multiple of so many tokens: oneDNN keeps a program for every shape it has met."""


class TreeReader:
    """One model, ready to read trees. Keeps a second copy of its matrices where `packed_linear` can lay them out."""

    def __init__(self, model: Any) -> None:
        self.model = model
        is_packed = has_room_for_copy(model)
        self.layers = [Layer.of(layer, is_packed) for layer in model.model.layers]

    def read(self, tree: Tree) -> Any:
        """The final hidden states (E, D), in float32, behind the places `tree.end_places`."""
        import torch

        device = self.model.device
        everyone, at_ends = ([on_device(b, device) for b in blocks] for blocks in (tree.blocks(), tree.end_blocks()))
        with torch.inference_mode():
            filling = [0] * (-len(tree.tokens) % STEP)
            x = self.model.model.embed_tokens(torch.tensor([*tree.tokens, *filling], device=device))
            positions = torch.tensor([*tree.depths, *filling], device=device)[None]
            cos, sin = (part[0] for part in self.model.model.rotary_emb(x[None], positions))
            x = x.float()
            turn = Turn(cos, sin, self.model.model.layers[0].self_attn.scaling)
            for layer in self.layers[:-1]:
                x = layer.read(x, turn, everyone)
            x = self.layers[-1].read(x, turn, at_ends, torch.tensor(tree.end_places, device=device))
            return self.model.model.norm(x)

    def logits(self, tree: Tree, wanted: Sequence[int]) -> Any:
        """Logits (E, V) behind the places `tree.end_places`, those of the tokens `wanted` computed in float32."""
        return logits_behind(self.model, self.read(tree), wanted)


def logits_behind(model: Any, hidden: Any, wanted: Sequence[int]) -> Any:
    """Logits (E, V) of final states (E, D), those of the tokens `wanted` computed in float32.

    In bfloat16 a logit of 20 is rounded to the nearest eighth. Over the whole vocabulary that averages out; in the few
    that are read it would be most of the error.
    """
    import torch

    head = model.lm_head
    with torch.inference_mode():
        logits = head(hidden.to(head.weight.dtype)).float()
        chosen = torch.tensor(sorted(set(wanted)), device=hidden.device)
        bias = None if head.bias is None else head.bias[chosen].float()
        logits[:, chosen] = torch.nn.functional.linear(hidden.float(), head.weight[chosen].float(), bias)
        return logits


@dataclass(frozen=True)
class Turn:
    """The rotary embedding of every token, (T, d) each, and the factor of scores, which queries carry."""

    cos: Any
    sin: Any
    scale: float

    def queries(self, x: Any, groups: int) -> Any:
        """(T, H d) → (G, T, S, d), each head turned by its token's position and scaled."""
        return self._turned(x, groups) * self.scale

    def keys(self, x: Any, groups: int) -> Any:
        """(T, G d) → (G, T, d), turned."""
        return self._turned(x, groups)[:, :, 0]

    def _turned(self, x: Any, groups: int) -> Any:
        import torch

        size = self.cos.shape[-1]
        half = size // 2
        x = x.view(len(x), groups, -1, size).transpose(0, 1)
        cos, sin = self.cos[:, None], self.sin[:, None]
        turned = torch.mul(x, cos, out=x.new_empty(x.shape))  # rounded after each step, as the model does
        turned[..., :half] -= x[..., half:] * sin[..., :half]
        turned[..., half:] += x[..., :half] * sin[..., half:]
        return turned


@dataclass(frozen=True)
class Layer:
    """One decoder layer: its own modules, and its matrices as functions of (T, in) → (T, out)."""

    module: Any
    q: Product
    k: Product
    v: Product
    o: Product
    gate: Product
    up: Product
    down: Product

    @classmethod
    def of(cls, layer: Any, is_packed: bool) -> Layer:
        """The layer with its matrices laid out for the processor, or as they are."""
        attention, mlp = layer.self_attn, layer.mlp
        parts = [attention.q_proj, attention.k_proj, attention.v_proj, attention.o_proj]
        parts += [mlp.gate_proj, mlp.up_proj, mlp.down_proj]
        return cls(layer, *(packed_linear(part) if is_packed else part for part in parts))

    def read(self, x: Any, turn: Turn, blocks: list[Block], only: Any = None) -> Any:
        """(T, D) → (T, D), or → (E, D) for the places `only`. The states given are overwritten."""
        normed = rms_norm(self.module.input_layernorm, x)
        q, k, v = self._heads(normed, turn)
        seen = attend(q, k, v, blocks)
        if only is not None:
            seen, x = seen[:, only], x[only]
        x += self.o(seen.transpose(0, 1).flatten(1))
        normed = rms_norm(self.module.post_attention_layernorm, x)
        x += self.down(self.module.mlp.act_fn(self.gate(normed)).mul_(self.up(normed)))
        return x

    def _heads(self, x: Any, turn: Turn) -> tuple[Any, Any, Any]:
        """Queries (G, T, S, d), keys and values (G, T, d)."""
        attention, size = self.module.self_attn, turn.cos.shape[-1]
        q, k, v = self.q(x), self.k(x), self.v(x)
        groups = k.shape[-1] // size
        if hasattr(attention, "q_norm"):
            q, k = (
                norm(y.view(len(x), -1, size)).flatten(1) for norm, y in ((attention.q_norm, q), (attention.k_norm, k))
            )
        v = v.view(len(x), groups, size).transpose(0, 1).contiguous()
        return turn.queries(q, groups), turn.keys(k, groups), v


def rms_norm(norm: Any, x: Any) -> Any:
    """x / sqrt(mean(x²) + eps) · weight of (T, D) states, as the model's own module, in fewer passes."""
    import torch

    wide = x.float()
    size = torch.linalg.vector_norm(wide, dim=-1, keepdim=True)
    scale = size.square_().div_(x.shape[-1]).add_(norm.variance_epsilon).rsqrt_()
    return (wide * scale).to(norm.weight.dtype).mul_(norm.weight)


# -- attention ---------------------------------------------------------------------------------------------------------


def attend(q: Any, k: Any, v: Any, blocks: list[Block]) -> Any:
    """(G, T, S, d): what each asking token of `blocks` reads from keys and values (G, T, d); zero for the others."""
    import torch

    seen = torch.zeros_like(q)
    for block in blocks:
        answer = block_attention(q[:, block.queries], k, v, block)
        seen[:, block.queries.flatten()[block.real]] = answer[:, block.real]
    return seen


def block_attention(q: Any, k: Any, v: Any, block: Block) -> Any:
    """Queries (G, n, Q, S, d) → what they read (G, n Q, S, d); keys and values (G, T, d)."""
    import torch
    import torch.nn.functional as F

    groups, n, width, shared, size = q.shape
    trunk, own = len(block.trunk), block.keys.shape[1]
    scores = q.new_empty((groups, n * width * shared, trunk + own))
    by_piece = scores.view(groups * n, width * shared, trunk + own)
    own_k, own_v = (x[:, block.keys].view(groups * n, own, size) for x in (k, v))
    if trunk:
        trunk_k, trunk_v = (x[:, block.trunk] for x in (k, v))
        torch.bmm(q.view(groups, -1, size), trunk_k.transpose(1, 2), out=scores[:, :, :trunk])
    torch.bmm(q.view(groups * n, -1, size), own_k.transpose(1, 2), out=by_piece[:, :, trunk:])
    scores.view(groups, n, width, shared, -1)[..., trunk:].masked_fill_(block.hidden[:, :, None], -math.inf)
    weights = scores.softmax(-1)
    answer = torch.bmm(weights.view(by_piece.shape)[:, :, trunk:], own_v)
    if trunk:
        answer = answer.view(groups, -1, size)
        if own <= trunk // 4:  # a whole row times values that end in zeros is faster than a copy of its beginning
            answer.baddbmm_(weights, F.pad(trunk_v, (0, 0, 0, own)))
        else:
            answer.baddbmm_(weights[:, :, :trunk], trunk_v)
    return answer.view(groups, n * width, shared, size)


def on_device(block: Block, device: Any) -> Block:
    """The same block as tensors where the model is."""
    import torch

    parts = (block.trunk, block.queries, block.keys, block.hidden, block.real)
    return Block(*(torch.from_numpy(part).to(device) for part in parts))


# -- matrices ----------------------------------------------------------------------------------------------------------


def has_room_for_copy(model: Any) -> bool:
    """Whether the weights stand in ordinary memory and a second copy takes at most a quarter of what is free."""
    import psutil

    size = sum(part.numel() * part.element_size() for part in model.parameters())
    return bool(model.device.type == "cpu" and 4 * size <= psutil.virtual_memory().available)


def packed_linear(linear: Any) -> Product:
    """The product x W^T + b with W laid out once for this processor (oneDNN), or the module itself where that fails.

    The operators are torch's own for frozen weights, not public: any refusal means the ordinary product.
    """
    import torch

    try:
        weight = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach(), None)
        product = functools.partial(_packed_product, weight, linear.bias)
        product(linear.weight.new_zeros((2, linear.in_features)))
    except (AttributeError, NotImplementedError, RuntimeError) as refusal:
        _say_once(str(refusal))
        plain: Callable[[Any], Any] = linear
        return plain
    return product


@functools.cache
def _say_once(refusal: str) -> None:
    """One line in the log for each reason, not one for each matrix."""
    log.info("Weights are not laid out for this processor, so judging is slower: %s", refusal)


def _packed_product(weight: Any, bias: Any, x: Any) -> Any:
    import torch

    return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
