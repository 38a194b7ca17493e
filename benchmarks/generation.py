"""Critique → revision chains, 16 prompts x 4 chains, greedy: the app's backend against what one would write instead.

* `sequential`: `generate` of transformers, one text at a time (on some of the chains; its speed is per token).
* `static`: `generate` on padded batches, every size and number format tried on one batch, the best kept.
* `openvino`: OpenVINO GenAI's continuous batching with prefix caching, bfloat16 where the processor has it. It reads
  the same weights from a GGUF file written for it. Where it is not installed this part is left out, and said so.

All answer the same critique prompts; each makes its revision prompts from its own critiques. A figure is new tokens a
second, end to end. Equality comes first: in float32 the app's greedy text must be `generate`'s, token for token, on 200
prompts, except where the two best logits lie within 1e-4; those are counted.

    python -m benchmarks.generation --json FILE
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from benchmarks import _measuring as measuring
from benchmarks._openvino import OpenVino, is_installed
from constitutions_app.core.principles import from_dict
from constitutions_app.core.wordings import Wordings, wordings_for
from training_app.core.backends import GenerationRequest
from training_app.core.backends.local import LocalBackend
from training_app.core.config import Sampling
from training_app.core.device import choose_device
from training_app.core.job import ModelRef
from training_app.core.prompts import PromptFormat
from training_app.core.rows import Message

CHAINS = 4
EQUAL_WITHIN = 1e-4
STATIC_SIZES = (8, 16, 32, 64)

ANSWER = (
    "That depends on a few things, and it is worth going through them one at a time. First, think about what you "
    "want to be different afterwards, and for whom. Write it down in a sentence, because what stays unwritten "
    "tends to grow. Then look at who else is touched by it, what they know already, and what they would say if "
    "they were asked. Often the plain way, a short and honest conversation, costs least and lasts longest. If "
    "that is not possible, find someone whose work it is to help with such matters and describe the situation "
    "without leaving out the awkward parts. Keep a record of what was said and when. Above all, do not do "
    "anything in a hurry that cannot be undone, and sleep over it once before you start. If somebody could be "
    "hurt, stop there and get help first."
)


@dataclass(frozen=True)
class Chain:
    """One conversation held against one principle; `critique` and `revision` give the texts a model is sent."""

    prompt: str
    answer: str
    wordings: Wordings
    form: PromptFormat

    @property
    def critique(self) -> str:
        """The critique prompt."""
        return self.form.critique([Message("user", self.prompt)], self.answer, self.wordings)

    def revision(self, critique: str) -> str:
        """The revision prompt; begins with the critique prompt."""
        return self.form.revision([Message("user", self.prompt)], self.answer, self.wordings, critique)


Write = Callable[[Sequence[Chain]], int]
"""Does the chains' critiques, then their revisions; returns the new tokens."""


def chains_of(form: PromptFormat, prompts: int) -> list[Chain]:
    """`prompts` x `CHAINS` chains: prompts of the starter set, each against the next four starter principles."""
    starter = measuring.ROOT / "constitutions_app" / "starter" / "harmless_assistant.yaml"
    constitution = from_dict(yaml.safe_load(starter.read_text(encoding="utf-8")))
    wordings = [wordings_for(principle) for principle in constitution.principles]
    lines = (measuring.ROOT / "training_app" / "starter" / "red_team.jsonl").read_text(encoding="utf-8").splitlines()
    texts = [json.loads(line)["text"] for line in lines[:prompts]]
    return [
        Chain(text, f"You ask: {text} {ANSWER}", wordings[(CHAINS * number + chain) % len(wordings)], form)
        for number, text in enumerate(texts)
        for chain in range(CHAINS)
    ]


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


def batched(backend: LocalBackend, prompts: Sequence[Sequence[int]], new: int) -> list[list[int]]:
    """Greedy `generate` on left-padded prompts; new tokens up to the end token."""
    import torch

    pad, width = backend.tokenizer.pad_token_id, max(map(len, prompts))
    ids = torch.tensor([[pad] * (width - len(prompt)) + list(prompt) for prompt in prompts])
    mask = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts])
    with torch.inference_mode():
        written = backend.model.generate(
            ids, attention_mask=mask, max_new_tokens=new, do_sample=False, pad_token_id=pad
        )[:, width:]
    return [up_to_end(row, backend.tokenizer.eos_token_id) for row in written.tolist()]


def up_to_end(tokens: list[int], end: int) -> list[int]:
    """The tokens with the first end token, without what pads them."""
    return tokens[: tokens.index(end) + 1] if end in tokens else tokens


def openvino(engine: OpenVino, backend: LocalBackend, new: int) -> Write:
    """OpenVINO GenAI, all chains given at once."""

    def write(chains: Sequence[Chain]) -> int:
        critiques = engine.generate([backend.encode(chain.critique) for chain in chains], new)
        texts = [backend.tokenizer.decode(ids, skip_special_tokens=True).strip() for ids in critiques]
        again = [backend.encode(chain.revision(text)) for chain, text in zip(chains, texts, strict=True)]
        return sum(map(len, [*critiques, *engine.generate(again, new)]))

    return write


# -- equality ----------------------------------------------------------------------------------------------------------


def equality(backend: LocalBackend, chains: Sequence[Chain], count: int, new: int = 16) -> tuple[int, int]:
    """Of `count` prompts: texts that differ although the two best logits are apart, and where they are not."""
    prompts = [backend.encode(chain.critique)[-200 + number % 150 :] for number, chain in enumerate(chains)]
    prompts = [prompts[number % len(prompts)][: 40 + number % 100] for number in range(count)]
    requests = [GenerationRequest(str(n), backend.tokenizer.decode(ids), n) for n, ids in enumerate(prompts)]
    wrong = close = 0
    for start in range(0, count, 50):
        part = requests[start : start + 50]
        ids = [backend.encode(request.prompt) for request in part]
        rows = backend.generator.generate(ids, [0] * len(ids), Sampling(temperature=0, max_new_tokens=new), ())
        for prompt, row in zip(ids, rows, strict=True):
            expected = batched(backend, [prompt], new)[0]
            if row.tokens != expected:
                is_close = first_gap(backend, prompt, row.tokens, expected) <= EQUAL_WITHIN
                close, wrong = close + is_close, wrong + (not is_close)
        backend.generator.forget()
    return wrong, close


def first_gap(backend: LocalBackend, prompt: Sequence[int], one: Sequence[int], other: Sequence[int]) -> float:
    """How far apart the two best logits lie where two continuations part."""
    import torch

    same = next((n for n, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]), 0)
    with torch.inference_mode():
        logits = backend.model(torch.tensor([[*prompt, *one[:same]]]), logits_to_keep=1).logits[0, -1].float()
    first, second = logits.topk(2).values.tolist()
    return float(first - second)


# -- the run -----------------------------------------------------------------------------------------------------------


def main() -> None:
    """Measure, print and write."""
    parser = measuring.options("generation", __doc__ or "")
    parser.add_argument("--prompts", type=int, default=16)
    parser.add_argument("--new-tokens", type=int, default=48)
    parser.add_argument("--sequential-chains", type=int, default=2, help="chains done one by one in each round")
    parser.add_argument("--static-sizes", type=int, nargs="*", default=list(STATIC_SIZES))
    parser.add_argument("--equal-prompts", type=int, default=200, help="prompts held against generate in float32")
    options = parser.parse_args()
    folder = options.model or measuring.bundled_model()
    report = measuring.Report(
        "generation", measuring.machine(rounds=options.rounds), measuring.versions(["openvino", "openvino-genai"])
    )
    ref = ModelRef(Path(folder), Path(folder).name)
    backends = {dtype: LocalBackend.load(ref, choose_device(dtype)) for dtype in ("float32", "bfloat16")}
    chains = chains_of(backends["float32"].format("auto"), options.prompts)
    if options.equal_prompts:
        wrong, close = equality(backends["float32"], chains, options.equal_prompts)
        report.notes.append(
            f"float32 greedy against generate on {options.equal_prompts} prompts: {wrong} differ, "
            f"{close} more where the two best logits lie within {EQUAL_WITHIN:g}"
        )
        print(report.notes[-1], flush=True)
        report.results["greedy_texts_that_differ"] = measuring.Figure.of([wrong], "texts")
        report.results["greedy_texts_within_tolerance"] = measuring.Figure.of([close], "texts")
    candidates = candidates_of(options, backends, chains, folder, report)
    measure(report, candidates, chains, options)
    counts(report, backends[choose_device().dtype], chains, options)
    report.print()
    report.write(options.json)


def candidates_of(
    options: Any, backends: dict[str, LocalBackend], chains: Sequence[Chain], folder: Path, report: measuring.Report
) -> dict[str, Write]:
    """Everybody, each in the number format that suits it best."""
    new, sampling = options.new_tokens, Sampling(temperature=0, max_new_tokens=options.new_tokens)
    found: dict[str, Write] = {}
    found["app"] = app(backends[choose_device().dtype], sampling)
    for name, sizes in (("sequential", [1]), ("static", options.static_sizes)):
        rates: dict[tuple[str, int], float] = {}
        for dtype, backend in backends.items():
            for size in sizes:
                rates[dtype, size] = rate(library(backend, new, size), chains[:size])
                print(f"{name} {dtype} {size}: {rates[dtype, size]:.1f} new tokens/s", flush=True)
        if rates:
            dtype, size = max(rates, key=lambda pair: rates[pair])
            report.notes.append(f"{name}: best of {len(rates)} tried is {dtype} in batches of {size}")
            found[name] = library(backends[dtype], new, size)
    if is_installed():
        found["openvino"] = openvino(OpenVino(folder, len(chains)), backends["float32"], new)
    else:
        report.notes.append("OpenVINO GenAI is not installed (make setup-dev); it was left out.")
    return found


def rate(write: Write, chains: Sequence[Chain]) -> float:
    """New tokens a second in one try of one batch."""
    start = time.perf_counter()
    tokens = write(chains)
    return tokens / (time.perf_counter() - start)


def measure(report: measuring.Report, candidates: dict[str, Write], chains: Sequence[Chain], options: Any) -> None:
    """Rounds in turn; a figure is new tokens a second, a ratio that of the seconds per new token."""
    tokens = dict.fromkeys(candidates, 0)

    def work(name: str) -> Callable[[], None]:
        some = chains[: options.sequential_chains] if name == "sequential" else chains

        def once() -> None:
            tokens[name] = candidates[name](some)

        return once

    seconds = measuring.interleaved({name: work(name) for name in candidates}, rounds=options.rounds, warm_up=False)
    each = {
        name: measuring.Figure(f.median / tokens[name], f.min / tokens[name], f.max / tokens[name], "s per token")
        for name, f in seconds.items()
    }
    for name, figure in seconds.items():
        report.results[f"{name}_new_tokens"] = figure.per(tokens[name], "tokens/s")
    for name in candidates:
        if name != "app":
            report.ratio(f"generation_vs_{name}", baseline=each[name], candidate=each["app"])


def counts(report: measuring.Report, backend: LocalBackend, chains: Sequence[Chain], options: Any) -> None:
    """How many prompt tokens were computed in one run of all chains, and how many did not have to be."""
    generator = backend.generator
    generator.computed = generator.reused = 0
    app(backend, Sampling(temperature=0, max_new_tokens=2))(chains)
    report.results["prompt_tokens_computed"] = measuring.Figure.of([generator.computed], "tokens")
    report.results["prompt_tokens_reused"] = measuring.Figure.of([generator.reused], "tokens")


if __name__ == "__main__":
    main()
