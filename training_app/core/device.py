"""Where a stage computes, and in which number format.

On CUDA everything is bfloat16, and so is writing text on a processor that multiplies bfloat16 matrices natively (AMX,
AVX-512 BF16): with AVX-512 BF16 alone a 135M model reads prompts 1.6 times and writes 1.1 times as fast as in float32.
Judging is another matter: in bfloat16 p(A) moves by up to 0.05 with the shape of the batch, in float32 by 1e-5, so a
processor judges in float32 unless it has AMX, where float32 would cost six times as much. The format is part of a
label's provenance and always recorded.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from training_app.core.errors import BadInput

NATIVE_BFLOAT16 = frozenset({"amx_bf16", "avx512_bf16"})
"""Processor flags of which one makes bfloat16 the faster format."""


@dataclass(frozen=True)
class Device:
    """`label` is for people, `torch_name` for torch ("cpu", "cuda:0"), `dtype` is "bfloat16" or "float32"."""

    label: str
    torch_name: str
    dtype: str

    @property
    def is_cuda(self) -> bool:
        """Whether this is a GPU."""
        return self.torch_name.startswith("cuda")


def choose_device(dtype: str | None = None) -> Device:
    """The CUDA device this process sees first, else the processor; `dtype` overrules the choice of number format."""
    import torch

    if dtype not in (None, "bfloat16", "float32"):
        raise BadInput(f"The number format {dtype!r} is not known; there are bfloat16 and float32.")
    if torch.cuda.is_available():
        return Device(f"cuda:0 {torch.cuda.get_device_name(0)}", "cuda:0", dtype or "bfloat16")
    threads = torch.get_num_threads()
    label = f"CPU ({processor_name()}, {threads} thread{'' if threads == 1 else 's'})"
    return Device(label, "cpu", dtype or cpu_dtype(processor_flags()))


def cpu_dtype(flags: frozenset[str]) -> str:
    """The faster number format of a processor with these flags of /proc/cpuinfo."""
    return "bfloat16" if flags & NATIVE_BFLOAT16 else "float32"


def judging_dtype() -> str | None:
    """The number format a judge is asked in on this machine; None leaves it to `choose_device`."""
    import torch

    return None if torch.cuda.is_available() or "amx_bf16" in processor_flags() else "float32"


def processor_name() -> str:
    """The processor's name as Linux gives it, or a plain "processor"."""
    return _cpuinfo("model name") or "processor"


def processor_flags() -> frozenset[str]:
    """The instruction sets Linux lists for the processor; empty where it cannot be read."""
    return frozenset(_cpuinfo("flags").split())


def _cpuinfo(field: str) -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    return next((line.split(":", 1)[1].strip() for line in lines if line.split(":", 1)[0].strip() == field), "")
