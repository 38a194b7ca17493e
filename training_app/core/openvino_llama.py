"""A llama-family model compiled by OpenVINO, whose keys and values stand in pages.

    x ← x + W_o · attention(rope(W_q n), rope(W_k n), W_v n),  n = rmsnorm(x)
    x ← x + W_down · (silu(W_gate n) ⊙ W_up n),                n = rmsnorm(x)

The layers are written out as an OpenVINO graph from the weights of the loaded model, so nothing is exported, converted
on disk or downloaded. OpenVINO's own pass puts paged attention (arXiv 2309.06180) in the place of each attention: a row
is a list of pages, and rows that begin alike name the same pages. What stands where is `openvino_generation`'s
business. The extra `openvino` installs the library; `fused_llama.supports` says which models have this shape.

Shapes: T new tokens of all rows side by side, R rows, D width, H heads of size d in G groups that share a key.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

COPIES = 6
"""Free memory must hold the weights so many times: the graph's float32 weights and the compiled ones."""


def is_installed() -> bool:
    """Whether OpenVINO can be imported."""
    return importlib.util.find_spec("openvino") is not None


def has_room(model: Any) -> bool:
    """Whether the compiled model fits beside the loaded one."""
    import psutil

    size = sum(weight.numel() * weight.element_size() for weight in model.parameters())
    return bool(COPIES * size <= psutil.virtual_memory().available)


@dataclass(frozen=True)
class Reading:
    """What R rows read in one go: each row's new tokens, how many tokens its pages hold already, and its pages."""

    new: Sequence[Sequence[int]]
    before: Sequence[int]
    pages: Sequence[Sequence[int]]


class PagedLlama:
    """The compiled model and its pages. `page` tokens stand in one page."""

    def __init__(self, model: Any) -> None:
        import openvino
        import torch
        from openvino._offline_transformations import paged_attention_transformation

        graph = _Graph(model).build()
        paged_attention_transformation(graph)
        kind = openvino.Type.bf16 if model.dtype == torch.bfloat16 else openvino.Type.f32
        compiled = openvino.Core().compile_model(
            graph,
            "CPU",
            {
                "INFERENCE_PRECISION_HINT": kind,
                "KV_CACHE_PRECISION": kind,
                "PERFORMANCE_HINT": "LATENCY",
                "INFERENCE_NUM_THREADS": torch.get_num_threads(),
                "ENABLE_CPU_PINNING": False,  # every process would take the same cores
            },
        )
        self._openvino = openvino
        self._request = compiled.create_infer_request()
        self._caches = {port.any_name: port for port in compiled.inputs if "_cache." in port.any_name}
        shapes = [[int(size.to_string()) for size in list(port.partial_shape)[1:]] for port in self._caches.values()]
        self.page = shapes[0][1]
        self.bytes_per_page = sum(math.prod(shape) for shape in shapes) * kind.size
        self.pages = 0

    def make_room(self, pages: int) -> None:
        """Have at least so many pages; those that are there keep what they hold."""
        if pages <= self.pages:
            return
        for name, port in self._caches.items():
            shape = [int(size.to_string()) for size in list(port.partial_shape)[1:]]
            larger = self._openvino.Tensor(port.element_type, self._openvino.Shape([pages, *shape]))
            if self.pages:
                held = self._openvino.Tensor(larger, [0, 0, 0, 0], [self.pages, *shape])
                self._request.get_tensor(name).copy_to(held)
            self._request.set_tensor(name, larger)
        self.pages = pages

    def read(self, reading: Reading) -> Any:
        """Write the rows' new tokens into their pages; returns the logits (R, V), float32, behind each row's last."""
        import numpy as np
        import torch

        counts = [len(tokens) for tokens in reading.new]
        ends = np.cumsum(counts)
        held = [
            pages[: -(-(before + count) // self.page)]
            for pages, before, count in zip(reading.pages, reading.before, counts, strict=True)
        ]
        positions = [np.arange(before, before + n) for before, n in zip(reading.before, counts, strict=True)]
        longest = max(before + n for before, n in zip(reading.before, counts, strict=True))
        self._set("input_ids", np.concatenate([np.asarray(tokens) for tokens in reading.new]), "int64")
        self._set("position_ids", np.concatenate(positions), "int64")
        self._set("past_lens", reading.before, "int32")
        self._set("subsequence_begins", [0, *ends], "int32")
        self._set("block_indices", [page for pages in held for page in pages], "int32")
        self._set("block_indices_begins", [0, *np.cumsum([len(pages) for pages in held])], "int32")
        self._set("max_context_len", longest, "int32")
        self._set("wanted", ends - 1, "int64")
        self._request.infer()
        return torch.from_numpy(self._request.get_tensor("logits").data[:, 0].copy()).float()

    def _set(self, name: str, values: Any, kind: str) -> None:
        import numpy as np

        self._request.set_tensor(name, self._openvino.Tensor(np.asarray(values, dtype=kind)))


class _Graph:
    """Writes the layers of `model` as an OpenVINO graph of the shape its pass for paged attention looks for."""

    def __init__(self, model: Any) -> None:
        import openvino.opset13 as ops
        from openvino import Type

        self.ops = ops
        self.kinds = Type
        self.model = model
        config = model.config
        self.heads: int = config.num_attention_heads
        self.groups: int = config.num_key_value_heads
        self.size: int = getattr(config, "head_dim", None) or config.hidden_size // self.heads
        self.states: list[Any] = []

    def build(self) -> Any:
        """Token ids, positions and the places `wanted` (R,) of them → logits of those places."""
        import openvino

        ops, inner = self.ops, self.model.model
        ids, mask, positions = (
            self._input(name, [-1, -1], self.kinds.i64) for name in ("input_ids", "attention_mask", "position_ids")
        )
        beams, wanted = self._input("beam_idx", [-1], self.kinds.i32), self._input("wanted", [-1], self.kinds.i64)
        self.beams, self.rows = beams, ops.gather(ops.shape_of(ids), self._whole(0), self._whole(0))
        self.mask = ops.unsqueeze(ops.convert(mask, self.kinds.f32), self._whole(1, 2))
        self.cos, self.sin = self._turns(positions)
        x = ops.gather(self._weight(inner.embed_tokens.weight), ids, self._whole(0))
        for number, layer in enumerate(inner.layers):
            x = self._layer(number, layer, x)
        x = self._norm(inner.norm, ops.gather(x, wanted, self._whole(0)))
        logits = ops.result(self._multiply(self.model.lm_head, x))
        logits.output(0).set_names({"logits"})
        return openvino.Model([logits], self.states, [ids, mask, positions, beams, wanted], "llama")

    def _layer(self, number: int, layer: Any, x: Any) -> Any:
        ops, attention, mlp = self.ops, layer.self_attn, layer.mlp
        normed = self._norm(layer.input_layernorm, x)
        q, k = (
            self._turned(self._by_head(self._multiply(part, normed), heads))
            for part, heads in ((attention.q_proj, self.heads), (attention.k_proj, self.groups))
        )
        v = self._by_head(self._multiply(attention.v_proj, normed), self.groups)
        k, v = (self._kept(f"past.{number}.{name}", new) for name, new in (("key", k), ("value", v)))
        seen = ops.scaled_dot_product_attention(q, k, v, self.mask, self._number(attention.scaling))
        seen = ops.reshape(
            ops.transpose(seen, self._whole(0, 2, 1, 3)), self._whole(0, 0, self.heads * self.size), True
        )
        x = ops.add(x, self._multiply(attention.o_proj, seen))
        normed = self._norm(layer.post_attention_layernorm, x)
        inside = ops.multiply(ops.swish(self._multiply(mlp.gate_proj, normed)), self._multiply(mlp.up_proj, normed))
        return ops.add(x, self._multiply(mlp.down_proj, inside))

    def _kept(self, name: str, new: Any) -> Any:
        """New keys or values behind the old ones, for every head of queries; the pass turns this into pages."""
        ops, (groups, size) = self.ops, (self.groups, self.size)
        shape = ops.concat([self.rows, self._whole(groups), self._whole(0), self._whole(size)], 0)
        empty = ops.broadcast(self._number(0), shape)
        past = ops.gather(
            ops.read_value(empty, name, self.kinds.f32, [-1, groups, -1, size]), self.beams, self._whole(0)
        )
        both = ops.concat([past, new], 2)
        self.states.append(ops.assign(both, name))
        if self.heads == groups:
            return both
        length = ops.gather(ops.shape_of(both), self._whole(2), self._whole(0))
        parts = [self.rows, self._whole(groups), self._whole(self.heads // groups), length, self._whole(size)]
        wide = ops.broadcast(ops.unsqueeze(both, self._whole(2)), ops.concat(parts, 0), "BIDIRECTIONAL")
        return ops.reshape(wide, self._whole(0, self.heads, -1, size), True)

    def _turns(self, positions: Any) -> tuple[Any, Any]:
        """Cosines and sines of every position, by the model's own frequencies."""
        ops = self.ops
        frequencies = ops.constant(self.model.model.rotary_emb.inv_freq.float().numpy()[None, None])
        angles = ops.multiply(ops.unsqueeze(ops.convert(positions, self.kinds.f32), self._whole(2)), frequencies)
        both = ops.concat([angles, angles], 2)
        scale = self._number(self.model.model.rotary_emb.attention_scaling)
        cos, sin = (ops.unsqueeze(ops.multiply(turn(both), scale), self._whole(1)) for turn in (ops.cos, ops.sin))
        return cos, sin

    def _turned(self, x: Any) -> Any:
        ops, half = self.ops, self.size // 2
        left, right = (
            ops.slice(x, self._whole(start), self._whole(start + half), self._whole(1), self._whole(3))
            for start in (0, half)
        )
        crossed = ops.concat([ops.multiply(right, self._number(-1)), left], 3)
        return ops.add(ops.multiply(x, self.cos), ops.multiply(crossed, self.sin))

    def _by_head(self, x: Any, heads: int) -> Any:
        ops = self.ops
        split = ops.reshape(x, self._whole(0, 0, heads, self.size), True)
        return ops.transpose(split, self._whole(0, 2, 1, 3))

    def _norm(self, norm: Any, x: Any) -> Any:
        ops = self.ops
        mean = ops.reduce_mean(ops.power(x, self._number(2)), self._whole(-1), True)
        root = ops.sqrt(ops.add(mean, self._number(norm.variance_epsilon)))
        return ops.multiply(ops.multiply(x, ops.divide(self._number(1), root)), self._vector(norm.weight))

    def _multiply(self, linear: Any, x: Any) -> Any:
        product = self.ops.matmul(x, self._weight(linear.weight), False, True)
        return product if linear.bias is None else self.ops.add(product, self._vector(linear.bias))

    def _input(self, name: str, shape: list[int], kind: Any) -> Any:
        parameter = self.ops.parameter(shape, kind, name=name)
        parameter.output(0).set_names({name})
        return parameter

    def _weight(self, weight: Any) -> Any:
        """A matrix as float32; bfloat16 ones are kept as they are and widened in the graph."""
        import openvino
        import torch

        weight = weight.detach().contiguous()
        if weight.dtype != torch.bfloat16:
            return self.ops.constant(weight.float().numpy())
        bits = openvino.Tensor(weight.view(torch.int16).numpy(), weight.shape, openvino.Type.bf16)
        return self.ops.convert(self.ops.constant(bits), self.kinds.f32)

    def _vector(self, values: Any) -> Any:
        return self.ops.constant(values.detach().float().numpy()[None, None])

    def _number(self, value: float) -> Any:
        import numpy as np

        return self.ops.constant(np.float32(value))

    def _whole(self, *values: int) -> Any:
        import numpy as np

        return self.ops.constant(np.array(values, dtype=np.int64))
