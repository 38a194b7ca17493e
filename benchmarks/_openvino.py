"""OpenVINO GenAI with the weights of a model folder: a comparator, never part of the app.

The library reads GGUF files, so the weights are written into one (float16, which holds these bfloat16 weights but for a
few of the very smallest) with the metadata of the bundled model's own file. Only the bundled model therefore.
"""

from __future__ import annotations

import importlib.util
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

NAMES = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}
CACHE_GIB = 4


def is_installed() -> bool:
    """Whether openvino-genai can be imported."""
    return importlib.util.find_spec("openvino_genai") is not None


class OpenVino:
    """A continuous-batching pipeline with prefix caching and room for `rows` texts at a time."""

    def __init__(self, folder: Path, rows: int) -> None:
        import openvino
        import openvino_genai

        from training_app.core.device import NATIVE_BFLOAT16, processor_flags

        scheduler = openvino_genai.SchedulerConfig()
        scheduler.cache_size = CACHE_GIB
        scheduler.max_num_seqs = rows
        scheduler.max_num_batched_tokens = 4096
        scheduler.enable_prefix_caching = True
        is_native = bool(processor_flags() & NATIVE_BFLOAT16)
        precision = openvino.Type.bf16 if is_native else openvino.Type.f32
        with tempfile.TemporaryDirectory() as place:
            file = write_gguf(folder, Path(place) / "model.gguf")
            self._pipeline = openvino_genai.LLMPipeline(
                str(file), "CPU", scheduler_config=scheduler, INFERENCE_PRECISION_HINT=precision
            )
        self._openvino, self._library = openvino, openvino_genai

    def generate(self, prompts: Sequence[Sequence[int]], new: int) -> list[list[int]]:
        """Greedy continuations, all prompts given at once; end token included."""
        import numpy

        config = self._library.GenerationConfig()
        config.max_new_tokens, config.do_sample = new, False
        width = max(map(len, prompts))
        ids, mask = numpy.zeros((2, len(prompts), width), dtype=numpy.int64)
        for row, prompt in enumerate(prompts):
            ids[row, width - len(prompt) :], mask[row, width - len(prompt) :] = prompt, 1
        tensors = self._library.TokenizedInputs(self._openvino.Tensor(ids), self._openvino.Tensor(mask))
        return [list(row) for row in self._pipeline.generate(tensors, config).tokens]


def write_gguf(folder: Path, target: Path) -> Path:
    """The folder's safetensors as a float16 GGUF file."""
    import gguf
    from safetensors.torch import load_file

    from training_app.core.base_model import _bundled_file

    reader = gguf.GGUFReader(_bundled_file()[0])
    writer = gguf.GGUFWriter(str(target), "llama")
    for key, field in reader.fields.items():
        if not key.startswith("GGUF.") and key != "general.architecture":
            value = 1 if key == "general.file_type" else field.contents()
            kind = field.types[0]
            writer.add_key_value(key, value, kind, field.types[-1] if kind == gguf.GGUFValueType.ARRAY else None)
    heads = {
        "attn_q": reader.fields["llama.attention.head_count"].contents(),
        "attn_k": reader.fields["llama.attention.head_count_kv"].contents(),
    }
    weights = load_file(folder / "model.safetensors")
    _put(writer, "token_embd.weight", weights["model.embed_tokens.weight"])
    _put(writer, "output_norm.weight", weights["model.norm.weight"])
    for layer in range(reader.fields["llama.block_count"].contents()):
        for ours, theirs in NAMES.items():
            weight = weights[f"model.layers.{layer}.{ours}.weight"]
            if theirs in heads:  # GGUF keeps the two halves of a rotated head interleaved
                weight = weight.view(heads[theirs], 2, -1, weight.shape[1]).transpose(1, 2).reshape(weight.shape)
            _put(writer, f"blk.{layer}.{theirs}.weight", weight)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return target


def _put(writer: Any, name: str, weight: Any) -> None:
    writer.add_tensor(name, (weight.float() if weight.ndim == 1 else weight.half()).contiguous().numpy())
