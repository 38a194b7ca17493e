"""A llama-family model compiled by OpenVINO, whose keys and values stand in pages.

    x ← x + W_o · attention(rope(W_q n), rope(W_k n), W_v n),  n = rmsnorm(x)
    x ← x + W_down · (silu(W_gate n) ⊙ W_up n),                n = rmsnorm(x)

The layers are written out as an OpenVINO graph from the weights of the loaded model, so nothing is exported, converted
on disk or downloaded. OpenVINO's own pass puts paged attention (arXiv 2309.06180) in the place of each attention: a row
is a list of pages, and rows that begin alike name the same pages. What stands where is the business of
`openvino_generation` (writing) and `paged_reader` (judging). From the last attention on, only the places that are asked
for are computed. The extra `openvino` installs the library; `fused_llama.supports` says which models have this shape.

Shapes: T new tokens of all rows side by side, R rows, D width, H heads of size d in G groups that share a key.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

COPIES = 6
"""Free memory must hold the weights so many times: the graph's float32 weights and the compiled ones."""

MEMORY_SHARE = 0.7
"""Share of the free memory that pages may take."""


def is_installed() -> bool:
    """Whether OpenVINO can be imported."""
    return importlib.util.find_spec("openvino") is not None


def has_room(model: Any) -> bool:
    """Whether the compiled model fits beside the loaded one."""
    import psutil

    size = sum(weight.numel() * weight.element_size() for weight in model.parameters())
    return bool(COPIES * size <= psutil.virtual_memory().available)


def version() -> str:
    """Name and version, recorded with what it computed."""
    return f"OpenVINO {importlib.metadata.version('openvino')}"


@dataclass(frozen=True)
class Reading:
    """What R rows read in one go: each row's new tokens, how many tokens its pages hold already, and its pages.

    `asked`: places of the new tokens, all rows side by side, that are answered; where none are named, each row's last.
    """

    new: Sequence[Sequence[int]]
    before: Sequence[int]
    pages: Sequence[Sequence[int]]
    asked: Sequence[int] = ()


class PagedLlama:
    """The compiled model and its pages. `page` tokens stand in one page.

    Answers with logits (V), or, without its `head`, with what comes out of the last layer (D), before the last norm.
    """

    def __init__(self, model: Any, *, head: bool = True) -> None:
        import openvino
        import torch
        from openvino._offline_transformations import paged_attention_transformation

        graph = _Graph(model).build(head=head)
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
        """Have at least so many pages; those that are there keep what they hold. Raises MemoryError."""
        import psutil

        if pages <= self.pages:
            return
        needed, free = pages * self.bytes_per_page, psutil.virtual_memory().available
        if needed > MEMORY_SHARE * free:  # refused while that is still possible
            raise MemoryError(f"Keys and values of this batch need {needed / 2**30:.1f} GiB.")
        for name, port in self._caches.items():
            shape = [int(size.to_string()) for size in list(port.partial_shape)[1:]]
            larger = self._openvino.Tensor(port.element_type, self._openvino.Shape([pages, *shape]))
            if self.pages:
                held = self._openvino.Tensor(larger, [0, 0, 0, 0], [self.pages, *shape])
                self._request.get_tensor(name).copy_to(held)
            self._request.set_tensor(name, larger)
        self.pages = pages

    def copy_pages(self, sources: Sequence[int], targets: Sequence[int]) -> None:
        """Have each target page hold what its source holds."""
        for name in self._caches:
            held = self._request.get_tensor(name).data  # bfloat16 appears as float16; only bytes are moved
            held[list(targets)] = held[list(sources)]

    def read(self, reading: Reading) -> Any:
        """Write the rows' new tokens into their pages; returns the answers (R, V or D), float32, behind those asked."""
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
        self._set("wanted", reading.asked if len(reading.asked) else ends - 1, "int64")
        self._request.infer()
        return torch.from_numpy(self._request.get_tensor("answers").data[:, 0].copy()).float()

    def steps(self) -> list[Any]:
        """What is computed one after the other, as OpenVINO put it together."""
        return list(self._request.get_compiled_model().get_runtime_model().get_ops())

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

    def build(self, *, head: bool) -> Any:
        """Token ids, positions and the places `wanted` (R,) of them → logits, or last states, of those places."""
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
        last = len(inner.layers) - 1
        for number, layer in enumerate(inner.layers):
            x = self._layer(number, layer, x, wanted if number == last else None)
        if head:
            x = self._multiply(self.model.lm_head, self._norm(inner.norm, x))
        answers = ops.result(x)
        answers.output(0).set_names({"answers"})
        return openvino.Model([answers], self.states, [ids, mask, positions, beams, wanted], "llama")

    def _layer(self, number: int, layer: Any, x: Any, only: Any) -> Any:
        """One layer for all tokens, or from its attention on for the places `only`."""
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
        if only is not None:
            x, seen = (ops.gather(part, only, self._whole(0)) for part in (x, seen))
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
        """Cosines and sines of every position, looked up in tables made by the model's own rule.

        Computed in the graph they would be wrong: in bfloat16 a position beyond 256 is rounded to an even one.
        """
        import torch

        ops = self.ops
        every = torch.arange(self.model.config.max_position_embeddings)[None]
        tables = self.model.model.rotary_emb(torch.zeros(1), every)
        cos, sin = (ops.gather(ops.constant(table[0].numpy()), positions, self._whole(0)) for table in tables)
        return ops.unsqueeze(cos, self._whole(1)), ops.unsqueeze(sin, self._whole(1))

    def _turned(self, x: Any) -> Any:
        """Turned by its position, in the very steps that OpenVINO knows as one (held by a test)."""
        ops, half = self.ops, self.size // 2
        parts = ops.variadic_split(x, self._whole_number(3), self._whole(half, half))
        crossed = ops.concat([ops.multiply(parts.output(1), self._number(-1)), parts.output(0)], -1)
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

    def _whole_number(self, value: int) -> Any:
        import numpy as np

        return self.ops.constant(np.int64(value))

    def _whole(self, *values: int) -> Any:
        import numpy as np

        return self.ops.constant(np.array(values, dtype=np.int64))
