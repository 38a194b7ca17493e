"""How fast a judge labels, against the plain loop of one forward per principle and order.

Each comparison is judged under 16 principles in both orders. The loop gets the same number format, `logits_to_keep=1`
and its tokens for nothing; of its 32 forwards, all equally long, `--forwards` are timed and scaled. The labelling path
is `LocalBackend.score_options` as the stage calls it, tokenizing included. Principles are worded as the app derives
them from the starter constitution, so they begin alike; "no_shared_wording" is the same without that. Exactness comes
first. Then: tokens a second against the best plain prefill (of transformers' own forward, and apart from it OpenVINO's
where that judges) and the matrix peak, 64 principles against 16, agreement of
the two layouts on the starter's scenarios, and (`--memory 20000`) the memory of a long job.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # so that it runs as a file, too

from benchmarks import _measuring
from benchmarks._chains import EQUAL_WITHIN
from benchmarks._comparisons import Size, matrix, principles, scenarios
from benchmarks._label_memory import peak_of_labelling
from benchmarks._measuring import Figure, Report
from training_app.core.aggregate import sigmoid
from training_app.core.backends import OptionScore, Question
from training_app.core.backends.local import LocalBackend
from training_app.core.device import choose_device
from training_app.core.job import ModelRef
from training_app.core.openvino_llama import PagedLlama, Reading
from training_app.core.prompts import OPTIONS, PromptFormat, comparison
from training_app.core.rows import Message

SMALL, LARGE = Size(200, 150, 40), Size(400, 300, 40)
CASES = (
    ("principle_last", SMALL, 16),
    ("principle_last", LARGE, 16),
    ("paper", SMALL, 16),
    ("principle_last", SMALL, 64),
)
PREFILLS = ((16, 128), (8, 256), (4, 512))
"""Rows and tokens of the plain forwards among which the best prefill is looked for."""


def main() -> None:
    """Run everything and report."""
    parser = _measuring.options("labelling", __doc__.split("\n\n")[0])
    parser.add_argument("--dtype", choices=("bfloat16", "float32"), default="bfloat16", help="number format of both")
    parser.add_argument("--forwards", type=int, default=4, help="forwards of the loop that are timed, of its 32")
    parser.add_argument(
        "--memory", type=int, default=0, help="comparisons of the long job (20000; minutes); 0: leave out"
    )
    arguments = parser.parse_args()
    folder = arguments.model or _measuring.bundled_model()
    backend = load(folder, arguments.dtype)
    report = Report("labelling", _measuring.machine(rounds=arguments.rounds), _measuring.versions())
    engine = backend.judging_engine or "torch"
    report.notes.append(f"{folder.name} in {arguments.dtype}, layout {backend.scorer.layout}, judged with {engine}")
    exactness(report, backend, load(folder, "float32"), arguments.forwards)
    speed(report, backend, arguments.rounds, arguments.forwards)
    agreement(report, backend)
    if arguments.memory:
        memory(report, arguments.memory)
    report.print()
    report.write(arguments.json)


def load(folder: Path, dtype: str) -> LocalBackend:
    """The judge."""
    return LocalBackend.load(ModelRef(folder, folder.name), choose_device(dtype))


# -- speed -------------------------------------------------------------------------------------------------------------


def speed(report: Report, backend: LocalBackend, rounds: int, forwards: int) -> None:
    """Loop, labelling and plain prefill in the same rounds."""
    asked = {name_of(*case): asked_of(backend, *case) for case in CASES}
    asked["no_shared_wording_200_150_40"] = asked_of(backend, "principle_last", SMALL, 16, is_shared=False)
    work: dict[str, Callable[[], object]] = {}
    paged = PagedLlama(backend.model, head=False) if backend.judging_engine else None
    for name, questions in asked.items():
        work[f"label_{name}"] = partial(backend.score_options, questions)
        if not name.endswith("64_principles"):
            ids = [backend.encode(question.prompt + " (") for question in questions[:forwards]]
            work[f"loop_{name}"] = partial(loop, backend, ids)
    for rows, width in PREFILLS:
        work[f"prefill_{rows}x{width}"] = partial(prefill, backend, rows, width)
        if paged:
            work[f"openvino_prefill_{rows}x{width}"] = partial(prefill_in_pages, paged, rows, width)
    seconds = _measuring.interleaved(work, rounds=rounds)
    for name, questions in asked.items():
        labelled = report.results[f"label_{name}"] = seconds[f"label_{name}"]
        shared = computed(backend, questions)
        report.results[f"tokens_{name}"] = labelled.per(shared, "tokens/s")
        if f"loop_{name}" in seconds:
            looped = report.results[f"loop_{name}"] = scaled(seconds[f"loop_{name}"], len(questions) / forwards)
            report.ratio(f"labelling_{name}", baseline=looped, candidate=labelled)
        each = sum(len(backend.encode(question.prompt + " (")) for question in questions)
        report.notes.append(
            f"{name}: {each} tokens one by one, {shared} with sharing ({each / shared:.2f} x by counting)"
        )
    against_ceilings(report, backend, {name: seconds[name] for name in seconds if "prefill_" in name})


def name_of(template: str, size: Size, count: int) -> str:
    """For example "paper_200_150_40"."""
    return f"{template}_{size.name}" + ("" if count == 16 else f"_{count}_principles")


def asked_of(backend: LocalBackend, template: str, size: Size, count: int, *, is_shared: bool = True) -> list[Question]:
    """One comparison under so many principles, in both orders."""
    return matrix(template, size, principles(count, size, backend.encode, is_shared=is_shared), backend.encode)


def loop(backend: LocalBackend, rows: Sequence[Sequence[int]]) -> list[list[float]]:
    """What one writes first: every prompt by itself, the log-probabilities of A and B behind it."""
    import torch

    letters = [backend.encode(letter)[0] for letter in "AB"]
    found = []
    with torch.inference_mode():
        for row in rows:
            ids = torch.tensor([row], device=backend.model.device)
            logits = backend.model(input_ids=ids, use_cache=False, logits_to_keep=1).logits
            found.append(logits[0, -1].float().log_softmax(-1)[letters].tolist())
    return found


def prefill(backend: LocalBackend, rows: int, width: int) -> None:
    """A plain forward over full rows, without attention masks and without any output."""
    import torch

    ids = torch.arange(rows * width, device=backend.model.device).view(rows, width) % 1000 + 1000
    with torch.inference_mode():
        backend.model.model(input_ids=ids, use_cache=False)


def prefill_in_pages(model: PagedLlama, rows: int, width: int) -> None:
    """The same with OpenVINO: rows that share nothing, each in pages of its own."""
    each = -(-width // model.page)
    model.make_room(rows * each)
    ids = [[(row * width + place) % 1000 + 1000 for place in range(width)] for row in range(rows)]
    model.read(Reading(ids, [0] * rows, [range(row * each, (row + 1) * each) for row in range(rows)]))


def computed(backend: LocalBackend, questions: Sequence[Question]) -> int:
    """Tokens the labelling path reads for these questions."""
    before = backend.scorer.computed
    backend.score_options(questions)
    return backend.scorer.computed - before


def scaled(figure: Figure, factor: float) -> Figure:
    """The figure of `factor` times the work."""
    return Figure(figure.median * factor, figure.min * factor, figure.max * factor, figure.unit)


def against_ceilings(report: Report, backend: LocalBackend, prefills: dict[str, Figure]) -> None:
    """Labelling's tokens a second as a share of the best prefill; its share of the matrix peak; 64 principles."""
    tokens_of = {f"{rows}x{width}": rows * width for rows, width in PREFILLS}
    for name, figure in prefills.items():
        report.results[name] = figure.per(tokens_of[name.rpartition("_")[2]], "tokens/s")
    case = name_of(*CASES[0])
    tokens = report.results[f"tokens_{case}"].median
    for kind, ratio in (("prefill", "best_prefill"), ("openvino_prefill", "openvinos_own_best_prefill")):
        rates = [report.results[name].median for name in prefills if name.startswith(f"{kind}_")]
        if rates:
            report.ratios[f"labelling_tokens_vs_{ratio}"] = round(tokens / max(rates), 3)
    peak = report.machine["ceilings"][f"matmul_{backend.dtype}_gflops"] * 1e9
    matrices = sum(part.numel() for name, part in backend.model.named_parameters() if ".layers." in name)
    report.ratios["labelling_share_of_matmul_peak"] = round(2 * matrices * tokens / peak, 3)
    more = report.results[f"label_{name_of(*CASES[3])}"].median / report.results[f"label_{case}"].median
    report.results["cost_of_64_principles_over_16"] = Figure(more, more, more, "x")
    report.ratios["labelling_64_principles_vs_four_times_16"] = round(4 / more, 3)


# -- exactness and agreement -------------------------------------------------------------------------------------------


def exactness(report: Report, backend: LocalBackend, exact: LocalBackend, forwards: int) -> None:
    """Largest difference of log-probabilities: float32 against the float32 loop, then both paths against that.

    Ends the run where float32 labelling is not the loop's, so that nothing wrong is timed.
    """
    for case in (CASES[0], CASES[2]):
        questions = asked_of(backend, *case)[:forwards]
        rows = [backend.encode(question.prompt + " (") for question in questions]
        truth = loop(exact, rows)
        found = {
            "float32_labelling": pairs(exact.score_options(questions)),
            f"{backend.dtype}_labelling": pairs(backend.score_options(questions)),
            f"{backend.dtype}_loop": loop(backend, rows),
        }
        for name, values in found.items():
            gaps = [
                abs(x - y) for one, other in zip(values, truth, strict=True) for x, y in zip(one, other, strict=True)
            ]
            report.results[f"off_{name}_{name_of(*case)}"] = Figure(
                sorted(gaps)[len(gaps) // 2], min(gaps), max(gaps), "log p"
            )
            if name.startswith("float32_labelling") and max(gaps) > EQUAL_WITHIN:
                raise SystemExit(f"Labelling in float32 is {max(gaps):.1e} off the loop, so nothing is timed.")


def pairs(scores: Sequence[OptionScore]) -> list[list[float]]:
    """Scores as the loop gives them."""
    return [[score.first, score.second] for score in scores]


def agreement(report: Report, backend: LocalBackend) -> None:
    """How often both templates choose the same response on the starter's scenarios, and the expected one."""
    chosen = {template: choices(backend, template) for template in ("paper", "principle_last")}
    expected = [entry["expected"] for entry, asked in scenarios() for _ in asked]
    same = share(a == b for a, b in zip(*chosen.values(), strict=True))
    right = {name: share(a == b for a, b in zip(found, expected, strict=True)) for name, found in chosen.items()}
    report.results["agreement_of_layouts"] = Figure(same, same, same, "share")
    report.notes.append(
        f"layouts agree on {same:.0%} of {len(expected)} scenario questions; expected response: "
        + ", ".join(f"{name} {value:.0%}" for name, value in right.items())
        + " (a coin: 50 %); the paper's layout stays the default"
    )


def choices(backend: LocalBackend, template: str) -> list[str]:
    """The response chosen for each scenario and principle, both orders averaged."""
    asked = [
        Question(comparison(PromptFormat(), template, [Message("user", entry["prompt"])], question, *shown), OPTIONS)
        for entry, wordings in scenarios()
        for question in wordings
        for shown in ((entry["response_a"], entry["response_b"]), (entry["response_b"], entry["response_a"]))
    ]
    first = [sigmoid(score.first - score.second) for score in backend.score_options(asked)]
    return ["a" if ab + 1 - ba > 1 else "b" for ab, ba in zip(first[::2], first[1::2], strict=True)]


def share(truths: Any) -> float:
    """Share of the truths that hold."""
    found = [bool(truth) for truth in truths]
    return sum(found) / len(found)


# -- memory ------------------------------------------------------------------------------------------------------------


def memory(report: Report, count: int) -> None:
    """Peak memory of a job of `count` comparisons and of 200, with a two-layer model: there data weighs most."""
    few, many = (Figure(peak, peak, peak, "MB") for peak in map(peak_of_labelling, (200, count)))
    report.results |= {"memory_of_200_comparisons": few, f"memory_of_{count}_comparisons": many}
    report.notes.append(
        f"memory: {count} comparisons take {many.median / few.median:.3f} x that of 200 (two-layer model)"
    )


if __name__ == "__main__":
    main()
