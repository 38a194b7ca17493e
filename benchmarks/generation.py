"""Critique → revision chains, 16 prompts x 4 chains, greedy: the app's backend against what one would write instead.

* `sequential`: `generate` of transformers, one text at a time (on some of the chains; its speed is per token).
* `static`: `generate` on padded batches. The number format is chosen on one batch of 16, then every size in it; the
  fastest is timed in the rounds, on `--static-chains` (its batches do not know of each other).
* `openvino`: OpenVINO GenAI's continuous batching with prefix caching, bfloat16 where the processor has it. It reads
  the same weights from a GGUF file written for it. Where it is not installed this part is left out, and said so.

All answer the same critique prompts; each makes its revision prompts from its own critiques. Every round has
conversations of its own, because OpenVINO GenAI remembers those of rounds before and would not read them again. A
figure is new tokens a second, end to end. Equality comes first, on some of these chains: in float32 the app's greedy
text must be `generate`'s, token for token, except where the two best logits lie within 1e-4; else nothing is timed. All
200 prompts are `benchmarks.equality`'s business.

    python -m benchmarks.generation --json FILE
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import _measuring as measuring
from benchmarks._chains import EQUAL_WITHIN, Chain, batched, chains_of
from benchmarks._openvino import OpenVino, is_installed
from benchmarks.equality import greedy
from training_app.core.backends import GenerationRequest
from training_app.core.backends.local import LocalBackend
from training_app.core.config import Sampling
from training_app.core.device import choose_device
from training_app.core.job import ModelRef

STATIC_SIZES = (8, 16, 32, 64)
FORMAT_SIZE = 16
"""Rows of the batch on which the number format of the static batches is chosen."""

Write = Callable[[Sequence[Chain]], int]
"""Does the chains' critiques, then their revisions; returns the new tokens."""


# -- the candidates ----------------------------------------------------------------------------------------------------


def app(backend: LocalBackend, sampling: Sampling) -> Write:
    """The app's own way: one batch, critiques first, then revisions that extend them."""

    def write(chains: Sequence[Chain]) -> int:
        def ask(prompts: Sequence[str], *, extends: bool) -> list[Any]:
            requests = [GenerationRequest(str(number), prompt, number) for number, prompt in enumerate(prompts)]
            return backend.generate(requests, sampling, (), extends=extends)

        critiques = ask([chain.critique for chain in chains], extends=False)
        prompts = [chain.revision(critique.text) for chain, critique in zip(chains, critiques, strict=True)]
        return sum(text.tokens for text in [*critiques, *ask(prompts, extends=True)])

    return write


def library(backend: LocalBackend, new: int, size: int) -> Write:
    """`generate` of transformers on batches of `size` (1: one by one)."""

    def write(chains: Sequence[Chain]) -> int:
        tokens = 0
        for start in range(0, len(chains), size):
            batch = chains[start : start + size]
            critiques = batched(backend, [backend.encode(chain.critique) for chain in batch], new)
            texts = [backend.tokenizer.decode(ids, skip_special_tokens=True).strip() for ids in critiques]
            again = [backend.encode(chain.revision(text)) for chain, text in zip(batch, texts, strict=True)]
            tokens += sum(map(len, [*critiques, *batched(backend, again, new)]))
        return tokens

    return write


def openvino(engine: OpenVino, backend: LocalBackend, new: int) -> Write:
    """OpenVINO GenAI, all chains given at once."""

    def write(chains: Sequence[Chain]) -> int:
        critiques = engine.generate([backend.encode(chain.critique) for chain in chains], new)
        texts = [backend.tokenizer.decode(ids, skip_special_tokens=True).strip() for ids in critiques]
        again = [backend.encode(chain.revision(text)) for chain, text in zip(chains, texts, strict=True)]
        return sum(map(len, [*critiques, *engine.generate(again, new)]))

    return write


# -- the run -----------------------------------------------------------------------------------------------------------


def main() -> None:
    """Measure, print and write."""
    parser = measuring.options("generation", __doc__ or "")
    parser.add_argument("--prompts", type=int, default=16)
    parser.add_argument("--new-tokens", type=int, default=48)
    parser.add_argument("--sequential-chains", type=int, default=2, help="chains done one by one in each round")
    parser.add_argument("--static-sizes", type=int, nargs="*", default=list(STATIC_SIZES))
    parser.add_argument("--static-chains", type=int, default=32, help="chains the static batches do in each round")
    parser.add_argument("--equal-chains", type=int, default=8, help="chains held against generate first, in float32")
    options = parser.parse_args()
    folder = options.model or measuring.bundled_model()
    report = measuring.Report(
        "generation", measuring.machine(rounds=options.rounds), measuring.versions(["openvino", "openvino-genai"])
    )
    ref = ModelRef(Path(folder), Path(folder).name)
    backends = {dtype: LocalBackend.load(ref, choose_device(dtype)) for dtype in ("float32", "bfloat16")}
    chains = chains_of(backends["float32"].format("auto"), options.prompts)
    compare(report, backends["float32"], chains[:: max(1, len(chains) // options.equal_chains)], options.new_tokens)
    candidates = candidates_of(options, backends, chains, folder, report)
    report.notes.append(f"the app writes with {backends[choose_device().dtype].engine or 'torch'}")
    rounds = [
        chains_of(backends["float32"].format("auto"), options.prompts, mark=f"{n + 1}. ") for n in range(options.rounds)
    ]
    measure(report, candidates, rounds, options)
    counts(report, backends[choose_device().dtype], chains, options)
    report.print()
    report.write(options.json)


def compare(report: measuring.Report, backend: LocalBackend, chains: Sequence[Chain], new: int) -> None:
    """Both texts of these chains against the library's; ends the run where one is wrong."""
    wrong, close, tokens = greedy(backend, chains, new)
    said = f"{2 * len(chains)} texts, {tokens} tokens in float32: {wrong} wrong, {close} close ({EQUAL_WITHIN:g})"
    print(said, flush=True)
    if wrong:
        raise SystemExit(f"The app's greedy texts are not those of generate, so nothing is timed. {said}")
    report.notes.append(f"equal to generate before anything was timed: {said}")


def candidates_of(
    options: Any, backends: dict[str, LocalBackend], chains: Sequence[Chain], folder: Path, report: measuring.Report
) -> dict[str, Write]:
    """Everybody, each in the number format that suits it best."""
    new, sampling = options.new_tokens, Sampling(temperature=0, max_new_tokens=options.new_tokens)
    found: dict[str, Write] = {"app": app(backends[choose_device().dtype], sampling)}
    found["sequential"], said = best_of(backends, list(backends), [1], chains, new)
    report.notes.append(f"sequential: {said}")
    if options.static_sizes:
        formats = {dtype: rate(library(backend, new, FORMAT_SIZE), chains[:FORMAT_SIZE])
                   for dtype, backend in backends.items()}  # fmt: skip
        dtype = max(formats, key=lambda name: formats[name])
        found["static"], said = best_of(backends, [dtype], options.static_sizes, chains, new)
        tried = ", ".join(f"{name} {speed:.0f}" for name, speed in formats.items())
        report.notes.append(f"static: number formats in batches of {FORMAT_SIZE}: {tried} new tokens/s; {said}")
    if is_installed():
        found["openvino"] = openvino(OpenVino(folder, len(chains)), backends["float32"], new)
    else:
        report.notes.append("OpenVINO GenAI is not installed (make setup-dev); it was left out.")
    return found


def best_of(
    backends: dict[str, LocalBackend], dtypes: Sequence[str], sizes: Sequence[int], chains: Sequence[Chain], new: int
) -> tuple[Write, str]:
    """The fastest `generate` of these formats and batch sizes, each tried on one batch, and what was seen."""
    tried = {
        (dtype, size): rate(library(backends[dtype], new, size), chains[:size]) for dtype in dtypes for size in sizes
    }
    dtype, size = max(tried, key=lambda pair: tried[pair])
    said = ", ".join(f"{name} x {count}: {speed:.1f}" for (name, count), speed in tried.items())
    print(f"generate, new tokens/s: {said}", flush=True)
    return library(backends[dtype], new, size), f"batches tried, new tokens/s: {said}"


def rate(write: Write, chains: Sequence[Chain]) -> float:
    """New tokens a second in one try of one batch."""
    start = time.perf_counter()
    tokens = write(chains)
    return tokens / (time.perf_counter() - start)


def measure(
    report: measuring.Report, candidates: dict[str, Write], rounds: Sequence[Sequence[Chain]], options: Any
) -> None:
    """Rounds in turn, each on its own chains; figures are new tokens a second, ratios those of seconds per token."""
    some = {"sequential": options.sequential_chains, "static": options.static_chains}
    each: dict[str, list[float]] = {name: [] for name in candidates}

    def once(name: str) -> None:
        each[name].append(1 / rate(candidates[name], rounds[len(each[name])][: some.get(name)]))

    measuring.interleaved({name: partial(once, name) for name in candidates}, rounds=len(rounds), warm_up=False)
    figures = {name: measuring.Figure.of(values, "s per token") for name, values in each.items()}
    for name, figure in figures.items():
        report.results[f"{name}_new_tokens"] = figure.per(1, "tokens/s")
    for name in candidates:
        if name != "app":
            report.ratio(f"generation_vs_{name}", baseline=figures[name], candidate=figures["app"])


def counts(report: measuring.Report, backend: LocalBackend, chains: Sequence[Chain], options: Any) -> None:
    """How many prompt tokens were computed in one run of all chains, and how many did not have to be."""
    generator = backend.generator
    generator.computed = generator.reused = 0
    app(backend, Sampling(temperature=0, max_new_tokens=2))(chains)
    report.results["prompt_tokens_computed"] = measuring.Figure.of([generator.computed], "tokens")
    report.results["prompt_tokens_reused"] = measuring.Figure.of([generator.reused], "tokens")


if __name__ == "__main__":
    main()
