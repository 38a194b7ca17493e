"""Whether every training algorithm learns on the bundled model, within the budget of a preset.

RL (GRPO, RLOO, PPO) gets a reward whose best answer is known: the share of an answer's words with at most three
letters, which is 1 for an answer of such words alone. Each algorithm starts from the same model, with the preset's own
options; before and after, the same prompts are answered with the same seeds, and the rise of the mean reward is given
in standard errors of the paired differences, beside the KL it cost. SL-CAI (all weights, packed, LoRA), the reward
model and DPO are trained on a few rows each: the loss must fall and the checkpoint verify.

Results: `reward_before`, `reward_after_NAME`; ratios: `standard_errors_NAME`; the rest stands in the notes.
"""

from __future__ import annotations

import json
import math
import re
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # so that it runs as a file, too

from benchmarks import _measuring
from benchmarks._measuring import Figure, Report
from training_app.core import rl, training
from training_app.core.base_model import load_model
from training_app.core.config import PRESETS, RlParams
from training_app.core.datasets import canonical_jsonl
from training_app.core.device import choose_device
from training_app.core.digests import digest_file
from training_app.core.events import EventLog, read_events
from training_app.core.formatting import ChatFormat
from training_app.core.job import read_job
from training_app.core.manifest import verify
from training_app.core.rollouts import Conversation, context_length, policy_rows, prompt_order
from training_app.core.rows import Prompt
from training_app.core.stage import FINISHED, run_job

ALGORITHMS = ("grpo", "rloo", "ppo")
SHORT = 3
ASKED = (
    "Why does bread rise?", "How do I write a short letter of thanks?", "What should I pack for a walk in the rain?",
    "Name three good habits.", "How do plants drink?", "What is a good way to say no?", "How do I sleep better?",
    "Tell me about the sea.", "What makes a good neighbour?", "How can I learn to swim?", "What is rain made of?",
    "How do I calm a child?",
)  # fmt: skip


def main() -> None:
    """Run everything and report."""
    parser = _measuring.options("algorithms", __doc__.split("\n\n")[0])
    parser.add_argument("--preset", choices=tuple(PRESETS), default="demo", help="whose budget RL gets")
    parser.add_argument("--answers", type=int, default=96, help="answers before and after, for the standard error")
    parser.add_argument("--only", nargs="*", default=[*ALGORITHMS, "supervised"], help="which parts are run")
    arguments = parser.parse_args()
    folder = arguments.model or _measuring.bundled_model()
    report = Report("algorithms", _measuring.machine(rounds=arguments.rounds), _measuring.versions())
    report.notes.append(f"{folder.name}, preset {arguments.preset}: {asdict(PRESETS[arguments.preset].rl)}")
    with tempfile.TemporaryDirectory() as name:
        for algorithm in [one for one in ALGORITHMS if one in arguments.only]:
            params = replace(PRESETS[arguments.preset].rl, algorithm=algorithm)
            reinforce(report, folder, Path(name) / algorithm, params, arguments.answers)
        if "supervised" in arguments.only:
            supervised(report, folder, Path(name))
    report.print()
    report.write(arguments.json)


def note(report: Report, sentence: str) -> None:
    """Keep a sentence of the report and print it at once: the whole takes minutes."""
    report.notes.append(sentence)
    print(f"  {sentence}", flush=True)


# -- RL ----------------------------------------------------------------------------------------------------------------


def short_words(_ids: Sequence[str], _conversations: Sequence[Conversation], answers: Sequence[str]) -> list[float]:
    """The share of words with at most `SHORT` letters; 0 for an answer without words."""
    split = [re.findall(r"[^\W\d_]+", answer) for answer in answers]
    return [sum(len(word) <= SHORT for word in words) / len(words) if words else 0.0 for words in split]


def reinforce(report: Report, folder: Path, out: Path, params: RlParams, count: int) -> None:
    """Train one algorithm on the known reward and measure it on the same prompts and seeds as the model it began as."""
    task = task_for(folder, out, params)
    before = sampled_rewards(task, count)
    with task.events:
        rl.learn(task)
    after = sampled_rewards(task, count)
    rises = [now - then for now, then in zip(after, before, strict=True)]
    error = statistics.stdev(rises) / math.sqrt(count)
    told = [event["values"] for event in read_events(out / "events.jsonl") if event["kind"] == "metric"]
    name = params.algorithm
    report.results["reward_before"] = Figure.of([statistics.fmean(before)] * 2, "of 1")
    report.results[f"reward_after_{name}"] = Figure.of([statistics.fmean(after)] * 2, "of 1")
    report.ratios[f"standard_errors_{name}"] = round(statistics.fmean(rises) / error, 2)
    note(
        report,
        f"{name}: {statistics.fmean(before):.3f} to {statistics.fmean(after):.3f} over {count} answers, "
        f"rise {statistics.fmean(rises):.4f} with standard error {error:.4f}; {len(told)} steps of "
        f"{task.prompts_per_step * params.generations} answers, KL {told[-1]['kl']:.4f} a token at the last step",
    )


def task_for(folder: Path, out: Path, params: RlParams) -> rl.Task:
    """What the stage `rl` gives an algorithm, with the known reward in place of a reward model."""
    prompts = [{"id": f"q{n}", "text": text, "kind": "helpful"} for n, text in enumerate(ASKED)]
    job = read_job(job_file(out, "rl", folder, {"prompts": prompts}, asdict(params)))
    training.prepare(job.seed)
    device = choose_device()
    form = ChatFormat.load(folder)
    form.tokenizer.padding_side = "left"
    policy = load_model(folder, device, dtype="float32")
    read = [Prompt.from_row(row) for row in prompts]
    rows, notes = policy_rows(form, read, room=context_length(policy) - params.max_completion_length)
    per_step = min(params.prompts_per_step, len(rows))
    order = prompt_order([str(row["kind"]) for row in rows], per_step, params.steps, job.seed)
    return rl.Task(
        job, params, device, EventLog(job.out), lambda: False, policy, form.tokenizer, rows, order, per_step,
        short_words, notes,
    )  # fmt: skip


def sampled_rewards(task: rl.Task, count: int) -> list[float]:
    """The rewards of `count` answers, prompt after prompt, drawn with the same seeds every time."""
    import torch

    task.policy.eval()
    rewards: list[float] = []
    size = len(task.rows)
    for start in range(0, count, size):
        torch.manual_seed(start)
        asked = task.tokenizer.apply_chat_template(
            [list(row["prompt"]) for row in task.rows][: count - start], add_generation_prompt=True, tokenize=True,
            padding=True, return_dict=True, return_tensors="pt",
        ).to(task.policy.device)  # fmt: skip
        with torch.inference_mode(), torch.autocast(
            task.policy.device.type, torch.bfloat16, enabled=task.device.dtype == "bfloat16"
        ):  # fmt: skip
            ids = task.policy.generate(
                **asked, do_sample=True, temperature=task.params.temperature, top_k=0,
                max_new_tokens=task.params.max_completion_length,
            )  # fmt: skip
        texts = task.tokenizer.batch_decode(ids[:, asked["input_ids"].shape[1] :], skip_special_tokens=True)
        rewards += short_words([], [], texts)
    return rewards


# -- SL-CAI, reward model, DPO -----------------------------------------------------------------------------------------


def supervised(report: Report, folder: Path, out: Path) -> None:
    """Each supervised stage as a program would run it, on a few rows, to a checkpoint that verifies."""
    said = [(text, f"Thank you. {text[:-1]}: see.") for text in ASKED]
    messages = [
        {"id": f"r{n}", "source": "revision",
         "messages": [{"role": "user", "content": text}, {"role": "assistant", "content": answer}]}
        for n, (text, answer) in enumerate(said)
    ]  # fmt: skip
    pairs = [
        {"id": f"p{n}", "prompt": text, "response_a": "Thank you for asking, friend.", "response_b": "No.",
         "p_a": 0.8, "weight": 1.0, "source": "ai"}
        for n, text in enumerate(ASKED)
    ]  # fmt: skip
    sft = {"learning_rate": 5e-5, "batch_size": 4, "max_length": 256, "epochs": 2.0}
    preferences = {"learning_rate": 2e-5, "batch_size": 4, "max_length": 256, "epochs": 2.0}
    parts: Mapping[str, tuple[str, list[dict[str, Any]], dict[str, Any]]] = {
        "sft": ("sft", messages, sft),
        "sft_packed": ("sft", messages, sft | {"packing": True, "batch_size": 1}),
        "sft_lora": ("sft", messages, sft | {"lora_rank": 16, "learning_rate": 1e-3}),
        "reward": ("reward", pairs, preferences),
        "dpo": ("dpo", pairs, preferences),
    }
    for name, (stage, rows, params) in parts.items():
        file = job_file(out / name, stage, folder, {"train": rows}, params)
        code = run_job(file, lambda: False)
        told = [event["values"] for event in read_events(file.parent / "events.jsonl") if event["kind"] == "metric"]
        found = verify(file.parent / "checkpoint")
        report.ratios[f"loss_first_to_last_{name}"] = round(told[0]["loss"] / told[-1]["loss"], 2)
        note(
            report,
            f"{name}: {'finished' if code == FINISHED else 'failed'}, {len(told)} steps, loss {told[0]['loss']:.4f} to "
            f"{told[-1]['loss']:.4f}, checkpoint {'verified' if found.ok else found.problems[0].sentence}",
        )


def job_file(
    out: Path, stage: str, folder: Path, inputs: Mapping[str, Sequence[Mapping[str, Any]]], params: Mapping[str, Any]
) -> Path:
    """A job of its own folder, as the app writes them, without a constitution."""
    out.mkdir(parents=True)
    named = {}
    for name, rows in inputs.items():
        path = out / f"{name}.jsonl"
        path.write_text(canonical_jsonl(rows), encoding="utf-8")
        named[name] = {"path": path.name, "digest": digest_file(path), "rows": len(rows)}
    job = {
        "schema": 1, "stage": stage, "run": "benchmark", "seed": 7, "out": ".", "inputs": named, "params": dict(params),
        "model": {"path": str(folder.resolve()), "name": folder.name},
    }  # fmt: skip
    file = out / "job.json"
    file.write_text(json.dumps(job, sort_keys=True, indent=2), encoding="utf-8")
    return file


if __name__ == "__main__":
    main()
