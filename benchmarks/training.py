"""What the app costs beside a plain TRL script, and how much of the machine its training uses.

* **Overhead.** SFT of 200 steps, interleaved: a plain TRL script (`_plain_trl.py`) on the rows of the app's own dataset
  build, and a run through the app (lease, job, PostgreSQL, live events, sealed resume states, a published and verified
  checkpoint). Wall time, start to end. The losses must be equal before any time counts.
* **GRPO** in the same way, script against stage program; answers are drawn, so only tokens a second are compared.
* **Share of the peak.** Useful tokens a second times the arithmetic one token needs, over the matrix product measured
  in this run: 6 N for SFT; for GRPO 2 N each to write, to score and for the reference, and 6 N to train (N parameters).
* **Metrics.** A stage that reports 100 times a second for half a minute: every point must be in the database.

    python -m benchmarks.training --json FILE
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import _measuring as measuring

SAME_LOSS = 2e-3
BATCH, LENGTH, ANSWER = 2, 96, 72
GRPO_PROMPTS, GRPO_ANSWERS, GRPO_LENGTH = 2, 4, 32
TEXT = (
    "That depends on what you want to be different afterwards, and for whom. Write it down in a sentence, because what "
    "stays unwritten tends to grow. Then ask who else is touched by it and what they would say. Often the plain way, a "
    "short and honest conversation, costs least and lasts longest. Do nothing in a hurry that cannot be undone."
)


@dataclass(frozen=True)
class Place:
    """Where everything of this benchmark lies, the model, and how long it trains."""

    folder: Path
    model: Path
    steps: int
    grpo_steps: int

    @property
    def rows(self) -> int:
        return self.steps * BATCH


# -- jobs --------------------------------------------------------------------------------------------------------------


def _keep(last: dict[str, dict[str, Any]], name: str, train: Callable[[], dict[str, Any]]) -> None:
    """Trains once and keeps what came of it."""
    last[name] = train()


def write_lines(path: Path, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Rows as JSONL; returns how a job names the file."""
    from training_app.core.digests import digest_file

    path.write_text("".join(json.dumps(row, sort_keys=True) + "\n" for row in rows), encoding="utf-8")
    return {"path": str(path), "digest": digest_file(path), "rows": len(rows)}


def conversation(number: int) -> list[dict[str, str]]:
    words = TEXT.split()
    start = number % 17
    return [
        {"role": "user", "content": f"Question {number}: how should I go about it?"},
        {"role": "assistant", "content": f"{number}. " + " ".join(words[start:] + words[:start])},
    ]


def job(place: Place, name: str, stage: str, inputs: Mapping[str, Any], params: Mapping[str, Any],
        models: Mapping[str, Path] | None = None) -> Path:  # fmt: skip
    """A job file in a folder of its own."""
    out = place.folder / name
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    body = {
        "schema": 1, "stage": stage, "run": "benchmark", "seed": 7, "out": ".", "inputs": inputs, "params": params,
        "model": {"path": str(place.model), "name": place.model.name},
        "models": {role: {"path": str(path), "name": role} for role, path in (models or {}).items()},
    }  # fmt: skip
    (out / "job.json").write_text(json.dumps(body), encoding="utf-8")
    return out / "job.json"


def sft_params(place: Place) -> dict[str, Any]:
    """What the app and the script are both told."""
    plain_sft = {"packing": False, "lora_rank": 0, "answers_only": True, "save_steps": 50}
    return {"epochs": 1.0, "learning_rate": 2e-5, "batch_size": BATCH, "max_length": LENGTH, **plain_sft}


# -- the candidates: each returns its losses or tokens -----------------------------------------------------------------


def run_program(words: Sequence[str], log: Path, **environment: str) -> None:
    """Run a program to its end. Raises RuntimeError with the end of its log."""
    with log.open("ab") as output:
        code = subprocess.run(
            [sys.executable, *words], cwd=measuring.ROOT, stdout=output, stderr=subprocess.STDOUT, check=False,
            stdin=subprocess.DEVNULL, env={**os.environ, **environment},
        ).returncode  # fmt: skip
    if code:
        raise RuntimeError(f"{' '.join(words)} ended with {code}: {log.read_text(errors='replace')[-3000:]}")


def plain(place: Place, kind: str, rows: Sequence[Mapping[str, Any]], arguments: Mapping[str, Any],
          reward: Path | None = None) -> Callable[[], dict[str, Any]]:  # fmt: skip
    """The TRL script of one kind."""
    from training_app.core.device import choose_device

    device = choose_device()
    folder = place.folder / f"plain-{kind}"
    folder.mkdir(exist_ok=True)
    settings = {
        "kind": kind, "model": str(place.model), "rows": write_lines(folder / "rows.jsonl", rows)["path"],
        "reward": str(reward), "out": str(folder / "out"), "bf16": device.dtype == "bfloat16", "cuda": device.is_cuda,
        "arguments": {"seed": 7, **arguments},
    }  # fmt: skip
    (folder / "settings.json").write_text(json.dumps(settings), encoding="utf-8")

    def train() -> dict[str, Any]:
        shutil.rmtree(folder / "out", ignore_errors=True)
        script = str(measuring.ROOT / "benchmarks" / "_plain_trl.py")
        result = folder / "result.json"
        run_program([script, str(folder / "settings.json"), str(result)], folder / "log.txt")
        found: dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))
        return found

    return train


def stage_alone(make: Callable[[], Path]) -> Callable[[], dict[str, Any]]:
    """The app's stage program by hand."""

    def train() -> dict[str, Any]:
        file = make()
        run_program(["-m", "training_app.core.stage", str(file)], file.parent / "log.txt")
        return told_by(file.parent)

    return train


def told_by(folder: Path) -> dict[str, Any]:
    """Losses and tokens of a stage, from its events."""
    from training_app.core.events import read_events

    events = read_events(folder / "events.jsonl")
    tokens = [event["tokens"] for event in events if event["kind"] == "progress" and event.get("tokens")]
    losses = [event["values"]["loss"] for event in events if event["kind"] == "metric" and "loss" in event["values"]]
    return {"losses": losses, "tokens": max(tokens, default=0)}


def through_the_app(place: Place) -> Callable[[], dict[str, Any]]:
    """A launched run of which SFT alone is left to do, taken up as a worker takes it up."""
    from training_app.runner import run_once

    def train() -> dict[str, Any]:
        run = launched_run(place)
        if run_once(run.pk) != "succeeded":
            run.refresh_from_db()
            raise RuntimeError(run.reason)
        stage = run.stages.get(slug="sft")
        stage.run = run
        return told_by(stage.folder)

    return train


def launched_run(place: Place) -> Any:
    """A run whose first two stages are done: the revisions are made up, so that SFT has as many rows as the script."""
    from constitutions_app.models import PrincipleVersion
    from tests.training_app.factories import published_version
    from tests.training_app.scenes import engineer, red_team
    from training_app.actions import launch_run
    from training_app.models import Prompt, Trace, TraceStep

    texts = tuple(conversation(number)[0]["content"] for number in range(place.rows))
    known = Prompt.objects.filter(prompt_set__slug="red").first()
    prompts = known.prompt_set if known else red_team((*texts, "One held out?", "Another held out?"))
    run = launch_run(
        user=engineer(), version=_version(published_version), base_model=place.model.name, prompt_sets=[prompts],
        preset="demo", seed=7,
        overrides={"sft": sft_params(place), "revise": {"rounds": 1}, "heldout_fraction": 0.001},
    )  # fmt: skip
    principle = PrincipleVersion.objects.filter(version=run.version)[0]
    by_text = {prompt.text: prompt for prompt in Prompt.objects.filter(prompt_set=prompts)}
    traces = Trace.objects.bulk_create(
        Trace(run=run, prompt=by_text[text], initial_response="Of course.") for text in texts
    )
    TraceStep.objects.bulk_create(
        TraceStep(trace=trace, round=1, principle=principle, revision=conversation(number)[1]["content"])
        for number, trace in enumerate(traces)
    )
    run.stages.filter(slug__in=("generate", "revise")).update(state="succeeded")
    run.stages.filter(position__gt=3).delete()
    return run


def _version(make: Callable[[Any], Any]) -> Any:
    from constitutions_app.models import Version
    from tests.training_app.scenes import engineer

    return Version.objects.first() or make(engineer())


# -- the parts ---------------------------------------------------------------------------------------------------------


def measure_sft(report: measuring.Report, place: Place, rounds: int) -> None:
    from training_app.core.formatting import ChatFormat
    from training_app.core.sft import Example, encode_all

    rows = rows_of_a_run(place)
    encoded, _ = encode_all(ChatFormat.load(place.model), [Example.from_row(row) for row in rows], max_length=LENGTH)
    tokens = [{"input_ids": list(row.ids), "completion_mask": row.answer_mask} for row in encoded]
    useful = sum(min(len(row.ids), LENGTH) for row in encoded)
    params = sft_params(place)
    arguments = {
        "num_train_epochs": 1, "learning_rate": params["learning_rate"], "per_device_train_batch_size": BATCH,
        "max_length": LENGTH, "save_strategy": "steps", "save_steps": params["save_steps"], "save_total_limit": 2,
    }  # fmt: skip
    last: dict[str, dict[str, Any]] = {}
    candidates = {"script": plain(place, "sft", tokens, arguments), "app": through_the_app(place)}
    times = measuring.interleaved(
        {name: partial(_keep, last, name, train) for name, train in candidates.items()},
        rounds=rounds, warm_up=False,
    )  # fmt: skip
    worst = max(abs(one - other) for one, other in zip(last["script"]["losses"], last["app"]["losses"], strict=True))
    report.notes.append(
        f"SFT, {len(last['app']['losses'])} steps: losses of app and script differ by {worst:.2g} at most"
    )
    if worst > SAME_LOSS:
        raise RuntimeError(f"The app and the script do not train the same: losses differ by {worst:g}.")
    for name, seconds in times.items():
        report.results[f"sft_{name}"] = seconds
        report.results[f"sft_{name}_tokens"] = seconds.per(useful, "tokens/s")
    over = 100 * (times["app"].median / times["script"].median - 1)
    report.notes.append(f"SFT, {place.steps} steps: the app takes {over:+.1f} % of the script's wall time more")
    report.ratio("sft_app_over_script", baseline=times["script"], candidate=times["app"])
    share_of_peak(report, "sft_app", 6 * useful / times["app"].median, place)


def rows_of_a_run(place: Place) -> list[dict[str, Any]]:
    """The rows that the app's own dataset build gives SFT: the script is to train on the very same."""
    from training_app.jobs import write_job
    from training_app.models import RunStage

    run = launched_run(place)
    written = write_job(run, RunStage.objects.get(run=run, slug="sft"))
    body = json.loads(written.path.read_text(encoding="utf-8"))
    lines = (written.path.parent / body["inputs"]["train"]["path"]).read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def measure_grpo(report: measuring.Report, place: Place, rounds: int) -> None:
    reward = reward_model(place)
    prompts = [{"id": f"q{n}", "text": conversation(n)[0]["content"], "kind": "red_team"} for n in range(16)]
    inputs = {"prompts": write_lines(place.folder / "prompts.jsonl", prompts)}
    shared = {"learning_rate": 1e-6, "beta": 0.04, "temperature": 1.0, "max_completion_length": GRPO_LENGTH}
    params = {**shared, "steps": place.grpo_steps, "generations": GRPO_ANSWERS, "prompts_per_step": GRPO_PROMPTS,
              "save_steps": max(place.grpo_steps // 2, 1)}  # fmt: skip
    accumulation = GRPO_PROMPTS * GRPO_ANSWERS // 4
    arguments = {
        **shared, "max_steps": place.grpo_steps, "num_generations": GRPO_ANSWERS, "per_device_train_batch_size": 4,
        "gradient_accumulation_steps": accumulation, "steps_per_generation": accumulation, "loss_type": "dapo",
        "save_strategy": "steps", "save_steps": params["save_steps"],
    }  # fmt: skip
    rows = [{"prompt": [{"role": "user", "content": row["text"]}]} for row in prompts]
    candidates = {
        "script": plain(place, "grpo", rows, arguments, reward),
        "stage": stage_alone(lambda: job(place, "rl", "rl", inputs, params, {"reward": reward})),
    }
    last: dict[str, dict[str, Any]] = {}
    times = measuring.interleaved(
        {name: partial(_keep, last, name, train) for name, train in candidates.items()},
        rounds=rounds, warm_up=False,
    )  # fmt: skip
    for name, seconds in times.items():
        report.results[f"grpo_{name}"] = seconds
        report.results[f"grpo_{name}_tokens"] = seconds.per(last[name]["tokens"], "tokens/s")
    report.ratio("grpo_stage_over_script", baseline=times["script"], candidate=times["stage"])
    share_of_peak(report, "grpo_stage", 12 * last["stage"]["tokens"] / times["stage"].median, place)


def reward_model(place: Place) -> Path:
    """The bundled model with a fresh head: what it prefers does not matter here."""
    from training_app.core.base_model import load_classifier, load_tokenizer
    from training_app.core.device import Device

    folder = place.folder / "reward"
    load_classifier(place.model, Device("CPU", "cpu", "float32")).save_pretrained(folder)
    load_tokenizer(place.model).save_pretrained(folder)
    return folder


def share_of_peak(report: measuring.Report, name: str, tokens_arithmetic_per_s: float, place: Place) -> None:
    """Note which share of the measured matrix product `tokens_arithmetic_per_s` (multiples of N) is."""
    from training_app.core.device import choose_device

    peak = report.machine["ceilings"][f"matmul_{choose_device().dtype}_gflops"]
    reached = tokens_arithmetic_per_s * parameters(place.model) / 1e9
    report.results[f"{name}_gflops"] = measuring.Figure(
        round(reached, 1), round(reached, 1), round(reached, 1), "GFLOP/s"
    )
    report.notes.append(f"{name}: {reached:.0f} GFLOP/s, {100 * reached / peak:.1f} % of the measured matrix product")


def parameters(model: Path) -> int:
    """Numbers in the model's safetensors files, from their headers."""
    from math import prod

    from safetensors import safe_open

    total = 0
    for path in model.glob("*.safetensors"):
        with safe_open(path, framework="pt") as file:
            total += sum(prod(file.get_slice(name).get_shape()) for name in file.keys())  # noqa: SIM118 (no mapping)
    return total


def measure_metrics(report: measuring.Report, place: Place) -> None:
    """100 events a second through the runner into PostgreSQL; all of them, and how far behind at the end."""
    from dataclasses import replace

    from benchmarks._metric_stage import PER_SECOND, SECONDS, VALUES
    from training_app.models import MetricPoint, RunStage
    from training_app.runner import Conduct, run_once

    run = launched_run(place)
    words = [sys.executable, "-m", "benchmarks._metric_stage"]
    began = time.monotonic()
    run_once(run.pk, conduct=replace(Conduct(), command=lambda stage, file: [*words, str(file), "--lifeline"]))
    whole = time.monotonic() - began
    stage = RunStage.objects.get(run=run, slug="sft")
    points = MetricPoint.objects.filter(stage=stage, name__in=VALUES).count()
    wanted = PER_SECOND * SECONDS * len(VALUES)
    report.results["metric_points_kept"] = measuring.Figure(points, points, points, f"of {wanted}")
    took = float(stage.summary.get("took_s") or 0.0)
    report.notes.append(
        f"metrics: {PER_SECOND} events a second for {took:.1f} s, {points} of {wanted} points kept, "
        f"everything ended {whole - took:.1f} s after the last (start and end of the process included)"
    )
    if points != wanted:
        raise RuntimeError(f"{wanted - points} metric points were lost.")


# -- all of it ---------------------------------------------------------------------------------------------------------


def main() -> None:
    parser = measuring.options("training", (__doc__ or "").partition("\n\n")[0])
    parser.add_argument("--steps", type=int, default=200, help="optimizer steps of SFT")
    parser.add_argument("--grpo-steps", type=int, default=20, help="optimizer steps of GRPO")
    parser.add_argument("--only", choices=("sft", "grpo", "metrics"), help="one part alone")
    parser.set_defaults(rounds=3)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="cai-training-"))
    model = options.model or measuring.bundled_model()
    services = own_app(folder, model)
    place = Place(folder, model, options.steps, options.grpo_steps)
    try:
        report = measuring.Report("training", measuring.machine(), measuring.versions(["trl"]))
        parts: dict[str, Callable[[], None]] = {
            "metrics": lambda: measure_metrics(report, place),
            "sft": lambda: measure_sft(report, place, options.rounds),
            "grpo": lambda: measure_grpo(report, place, options.rounds),
        }
        for name, part in parts.items():
            if options.only in (None, name):
                part()
        report.print()
        report.write(options.json)
    finally:
        services.release()
        shutil.rmtree(folder, ignore_errors=True)


def own_app(folder: Path, model: Path) -> Any:
    """The app with a database of its own, so that no figure depends on what a person's own holds."""
    for name in ("DATABASE_URL", "CELERY_BROKER_URL", "ARTIFACT_ROOT"):
        os.environ.pop(name, None)
    own = {"VAR_DIR": str(folder / "var"), "MODELS_ROOT": str(model.parent), "HTTPS": "0", "COLLECTED_STATIC": "0"}
    os.environ |= {**own, "DJANGO_SETTINGS_MODULE": "cai_web.settings", "LOG_LEVEL": "WARNING"}
    import django

    django.setup()
    from django.conf import settings
    from django.core.management import call_command

    settings.OWN_SERVICES.ensure()
    call_command("migrate", interactive=False, verbosity=0)
    return settings.OWN_SERVICES


if __name__ == "__main__":
    main()
