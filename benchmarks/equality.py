"""Whether what is fast says the same as what is plain, on the bundled model's own weights. Nothing is timed.

Writing, in float32: 100 critique prompts of varied length and the 100 revision prompts that extend them, greedy, held
against `generate` of transformers one by one, token for token. Where two texts part although the two best logits lie
within 1e-4, that is counted as close; anything else is wrong.

Judging: 500 random items (comparisons under two principles in both orders, a third of them in each template), held
against the plain forward of each item alone. In float32 every layout must stay within 1e-4 in log-probability. In
bfloat16 every layout is held against two things: the plain bfloat16 forward, and the plain float32 forward, from which
the plain bfloat16 forward itself is some way off. That distance is what the number format costs.

    python -m benchmarks.equality --json FILE

Ends with status 1 where a text is wrong or a float32 score is off by more than 1e-4.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # so that it runs as a file, too

from benchmarks import _measuring as measuring
from benchmarks._chains import CHAINS, EQUAL_WITHIN, Chain, batched, chains_of, first_gap
from benchmarks._comparisons import starter
from benchmarks._measuring import Figure, Report
from constitutions_app.core.wordings import derived_wordings
from training_app.core.aggregate import sigmoid
from training_app.core.backends import OptionScore, Question
from training_app.core.backends.local import LocalBackend
from training_app.core.config import Sampling
from training_app.core.device import choose_device
from training_app.core.job import ModelRef
from training_app.core.prompts import OPTIONS, comparison
from training_app.core.rows import Message
from training_app.core.scoring import Scorer, layouts_for

TEMPLATES = ("paper", "principle_last", "chat")
AT_ONCE = 50
Pair = tuple[float, float]


def main() -> None:
    """Compare, print and write."""
    parser = measuring.options("equality", __doc__ or "")
    parser.add_argument("--prompts", type=int, default=200, help="prompts written on, half critiques, half revisions")
    parser.add_argument("--new-tokens", type=int, default=16)
    parser.add_argument("--items", type=int, default=500, help="questions judged, in all templates together")
    options = parser.parse_args()
    folder = options.model or measuring.bundled_model()
    report = Report("equality", measuring.machine(rounds=1), measuring.versions())
    exact = load(folder, "float32")
    wrong = 0
    if options.prompts:
        wrong = writing(report, exact, options.prompts, options.new_tokens)
    if options.items:
        wrong += judging(report, exact, load(folder, "bfloat16"), options.items)
    report.print()
    report.write(options.json)
    raise SystemExit(min(1, wrong))


def load(folder: Path, dtype: str) -> LocalBackend:
    """The model in one number format."""
    return LocalBackend.load(ModelRef(folder, folder.name), choose_device(dtype))


# -- writing -----------------------------------------------------------------------------------------------------------


def writing(report: Report, backend: LocalBackend, count: int, new: int) -> int:
    """Greedy texts against the library's; returns how many are wrong."""
    chains = chains_of(backend.format("auto"), -(-count // (2 * CHAINS)), words=lambda number: 5 + 37 * number % 110)
    chains = chains[: count // 2]
    wrong, close, tokens = greedy(backend, chains, new)
    for name, value in (("wrong", wrong), ("close", close), ("compared", 2 * len(chains))):
        report.results[f"greedy_texts_{name}"] = Figure.of([value], "texts")
    report.results["greedy_tokens_compared"] = Figure.of([tokens], "tokens")
    report.notes.append(
        f"float32 greedy against generate, {2 * len(chains)} prompts: {wrong} wrong, {close} close ({EQUAL_WITHIN:g})"
    )
    print(report.notes[-1], flush=True)
    return wrong


def greedy(backend: LocalBackend, chains: Sequence[Chain], new: int) -> tuple[int, int, int]:
    """Critiques and the revisions that extend them: how many texts are wrong, how many close, tokens compared."""
    wrong = close = tokens = 0
    for start in range(0, len(chains), AT_ONCE):
        part = chains[start : start + AT_ONCE]
        critiques = continued(backend, [chain.critique for chain in part], new)
        texts = [backend.tokenizer.decode(found, skip_special_tokens=True).strip() for _, found in critiques]
        asked = [chain.revision(text) for chain, text in zip(part, texts, strict=True)]
        for prompt, found in [*critiques, *continued(backend, asked, new)]:
            expected = batched(backend, [prompt], new)[0]
            tokens += len(expected)
            if found != expected:
                is_close = first_gap(backend, prompt, found, expected) <= EQUAL_WITHIN
                close, wrong = close + is_close, wrong + (not is_close)
        backend.generator.forget()
    return wrong, close, tokens


def continued(backend: LocalBackend, texts: Sequence[str], new: int) -> list[tuple[list[int], list[int]]]:
    """The tokens of each prompt and the greedy ones behind it, as the app writes them."""
    prompts = [backend.encode(text) for text in texts]
    rows = backend.generator.generate(prompts, [0] * len(prompts), Sampling(temperature=0, max_new_tokens=new), ())
    return [(prompt, row.tokens) for prompt, row in zip(prompts, rows, strict=True)]


# -- judging -----------------------------------------------------------------------------------------------------------


def judging(report: Report, exact: LocalBackend, rough: LocalBackend, count: int) -> int:
    """Every layout in both number formats; returns how many float32 layouts are off by more than is allowed."""
    wrong = 0
    for template in TEMPLATES:
        asked = items(exact, template, -(-count // len(TEMPLATES)))
        truth, plain = (one_by_one(backend, asked) for backend in (exact, rough))
        off(report, f"bfloat16_plain_forward_{template}", plain, truth)
        for layout in layouts_for(exact.model):
            found = scored(exact, layout, asked)
            wrong += off(report, f"float32_{layout}_{template}", found, truth) > EQUAL_WITHIN
            found = scored(rough, layout, asked)
            off(report, f"bfloat16_{layout}_{template}", found, truth)
            off(report, f"bfloat16_{layout}_{template}_vs_plain_bfloat16", found, plain)
        print(f"judged {len(asked)} items in the template {template}", flush=True)
    return wrong


def items(backend: LocalBackend, template: str, count: int) -> list[Question]:
    """Random comparisons of varied length, each under two principles of the starter and in both orders."""
    draw = random.Random(template)
    form = backend.format("auto")
    texts = [entry["text"] for entry in starter("harmless_assistant")["principles"]]
    asked, known = [derived_wordings(text) for text in texts], sorted({word for text in texts for word in text.split()})

    def prose(most: int) -> str:
        return " ".join(draw.choices(known, k=draw.randint(3, most)))

    found: list[Question] = []
    while len(found) < count:
        talk, first, second = [Message("user", prose(60))], prose(45), prose(45)
        for wording in draw.sample(asked, 2):
            for one, other in ((first, second), (second, first)):
                prompt = comparison(form, template, talk, wording.comparison_question, one, other)
                found.append(Question(prompt, OPTIONS))
    return found[:count]


def one_by_one(backend: LocalBackend, asked: Sequence[Question]) -> list[Pair]:
    """What one writes first: every prompt by itself, the log-probabilities of A and B behind "… ("."""
    import torch

    letters = [backend.encode(letter)[0] for letter in "AB"]
    found = []
    with torch.inference_mode():
        for question in asked:
            ids = torch.tensor([backend.encode(question.prompt + " (")], device=backend.model.device)
            logits = backend.model(input_ids=ids, use_cache=False, logits_to_keep=1).logits
            first, second = logits[0, -1].float().log_softmax(-1)[letters].tolist()
            found.append((first, second))
    return found


def scored(backend: LocalBackend, layout: str, asked: Sequence[Question]) -> list[Pair]:
    """The same through the app's scorer in one layout."""
    scores: list[OptionScore] = Scorer(backend.model, layout=layout).score(asked, backend.encode_all)
    return [(score.first, score.second) for score in scores]


def off(report: Report, name: str, found: Sequence[Pair], truth: Sequence[Pair]) -> float:
    """Keep median, least and most |difference| in log-probability and in p(A); returns the most in log-probability."""
    logs = [abs(x - y) for one, other in zip(found, truth, strict=True) for x, y in zip(one, other, strict=True)]
    shares = [abs(p_of(one) - p_of(other)) for one, other in zip(found, truth, strict=True)]
    report.results[f"off_{name}"] = Figure.of(logs, "log p")
    report.results[f"off_{name}_p"] = Figure.of(shares, "p(A)")
    return max(logs)


def p_of(pair: Pair) -> float:
    """p(A) of two log-probabilities."""
    return sigmoid(pair[0] - pair[1])


if __name__ == "__main__":
    main()
