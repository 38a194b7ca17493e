"""Stage *evaluate*: base, SL-CAI, and what followed it side by side on prompts none of them was trained on.

* reward: mean score of the reward model, with a bootstrap interval over prompts. It is what RL maximised, so it is
  read beside the others: more reward with more boilerplate is Goodhart's law (paper, section 4.3). A run without a
  reward model (DPO, SFT alone, the judge as reward) has none, and says so;
* evasion and boilerplate: rates by rule (`signals.py`), with Wilson intervals;
* countable features, built in and the user's own (`features.py`), as rates with Wilson intervals;
* length in words, and distinct-n over all answers of a model together (a statistic of the whole: it has no interval);
* win rate against base by the judge, asked in both orders and averaged, over sampled principles; equal answers and
  even judgements count half. `same_position` is the share of judgements that stuck to a place after the swap: near 1
  the win rate says nothing.

What is undefined is null with the reason in "note". Left out: people (the paper's Elo scores), and multiple-choice
evaluations of the judge itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from constitutions_app.core.principles import Constitution
from training_app.core import training
from training_app.core.backends import Backend, GenerationRequest, open_for_stage, together_of
from training_app.core.base_model import check_model_folder
from training_app.core.config import EvaluateParams
from training_app.core.device import choose_device, judging_dtype
from training_app.core.engine import JUDGE, WRITE
from training_app.core.errors import BadInput, Stopped
from training_app.core.events import EventLog
from training_app.core.features import count, features
from training_app.core.feedback import judge
from training_app.core.generation import plan_batches, seed_for
from training_app.core.job import Job, ModelRef
from training_app.core.principle_choice import choose_principles, principles_serving
from training_app.core.reward_model import Scorer
from training_app.core.rows import Comparison, Prompt
from training_app.core.signals import distinct_n, has_boilerplate, is_evasive, without_label, word_count, words
from training_app.core.statistics import Estimate, bootstrap_mean, wilson

BASE = "base"
INSTRUMENTS = ("reward", "judge", "reference")
"""Roles of models that measure; every other role of the job is measured."""

Answers = Mapping[str, Mapping[str, Any]]
"""Prompt id → data of its "answer" record."""


@dataclass(frozen=True)
class Verdicts:
    """The judge on one model against base: 1 won, 1/2 tied, 0 lost for every prompt, and how often a place decided."""

    wins: tuple[float, ...]
    same_position: float | None


def run(job: Job, events: EventLog, should_stop: training.ShouldStop) -> None:
    """Answer, score and judge; records "answer" and "evaluation", outputs ``answers`` and ``evaluations``."""
    params = job.params(EvaluateParams)
    prompts = sorted(job.read_input("prompts", Prompt.from_row), key=lambda prompt: prompt.id)
    constitution = job.constitution()
    principles_serving(constitution, "label")
    measured = measured_models(job)
    judge_ref = job.model_for("judge")
    for ref in (*measured.values(), *([job.models["reward"]] if "reward" in job.models else [])):
        check_model_folder(ref)
    training.prepare(job.seed)
    device = choose_device()
    compared = sum(name != BASE for name in measured) if BASE in measured else 0
    events.started(
        device=device.label,
        dtype=device.dtype,
        total=len(prompts) * (len(measured) + compared),
        unit="answers and judgements",
        resumed_at=len(events.known("answer")),
    )
    scorer = Scorer.load(job.models["reward"].path, device) if "reward" in job.models else None
    for name, ref in measured.items():
        answer_all(name, ref, prompts, scorer, params, events, should_stop, seed=job.seed)
    del scorer
    if should_stop():
        raise Stopped
    measure_all(list(measured), prompts, constitution, judge_ref, job, params, events, should_stop)
    outputs = {
        "answers": events.write_output("answer", "answers"),
        "evaluations": events.write_output("evaluation", "evaluations"),
    }
    events.finished(outputs=outputs, summary={"models": events.records("evaluation")})


def measured_models(job: Job) -> dict[str, ModelRef]:
    """The models to measure by role, base first. Raises BadInput when there is none."""
    measured = {role: ref for role, ref in job.models.items() if role not in INSTRUMENTS}
    if not measured:
        raise BadInput(f"{job.file.name}: models names no model to evaluate.", "Name at least models.base.")
    return dict(sorted(measured.items(), key=lambda item: (item[0] != BASE, item[0])))


def answer_all(
    name: str,
    ref: ModelRef,
    prompts: Sequence[Prompt],
    scorer: Scorer | None,
    params: EvaluateParams,
    events: EventLog,
    should_stop: training.ShouldStop,
    *,
    seed: int,
) -> None:
    """One model's answer to every prompt, scored and looked through; a batch already recorded is not done again."""
    if all(events.has("answer", f"{name}/{prompt.id}") for prompt in prompts):
        return
    backend = open_for_stage(ref, events, WRITE, role=name)
    form = backend.format("auto")
    asked = {prompt.id: form.response(prompt.messages) for prompt in prompts}
    counted = features(params.patterns)
    for batch in plan_batches(prompts, lambda prompt: backend.length(asked[prompt.id]), params.sampling.batch_size):
        if all(events.has("answer", f"{name}/{prompt.id}") for prompt in batch):
            continue
        if should_stop():
            raise Stopped
        requests = [GenerationRequest(p.id, asked[p.id], seed_for(seed, p.id, "evaluate")) for p in batch]
        written = backend.generate(requests, params.sampling, form.stops)
        events.batch("answer", [f"{name}/{prompt.id}" for prompt in batch], together_of(backend))
        texts = [without_label(generation.text, "Assistant") for generation in written]
        rewards: Sequence[float | None] = [None] * len(batch)
        if scorer is not None:
            rewards = scorer.answers([conversation(prompt) for prompt in batch], texts)
        for prompt, generation, text, reward in zip(batch, written, texts, rewards, strict=True):
            data = {
                "model": name,
                "prompt_id": prompt.id,
                "prompt": prompt.text,
                "text": text,
                "reward": reward,
                "evasive": is_evasive(text),
                "boilerplate": has_boilerplate(text),
                "words": word_count(text),
                "features": count(text, counted),
                "finish": generation.finish,
            }
            events.record("answer", f"{name}/{prompt.id}", data)
        events.progress(len(events.known("answer")))


def measure_all(
    names: Sequence[str],
    prompts: Sequence[Prompt],
    constitution: Constitution,
    judge_ref: ModelRef,
    job: Job,
    params: EvaluateParams,
    events: EventLog,
    should_stop: training.ShouldStop,
) -> None:
    """One "evaluation" record a model; the judge is loaded when there is something to compare."""
    recorded = events.records("answer")
    answers = {name: {prompt.id: recorded[f"{name}/{prompt.id}"] for prompt in prompts} for name in names}
    template = str(job.judge.get("template") or "paper")
    done, backend = len(recorded), None
    for name in names:
        if events.has("evaluation", name):
            continue
        if should_stop():
            raise Stopped
        verdicts = None
        if name != BASE and BASE in answers:
            backend = backend or open_judge(judge_ref, events)
            verdicts = compare(
                prompts, answers[name], answers[BASE], constitution, backend, params, template=template, seed=job.seed
            )
            done += len(prompts)
        events.record("evaluation", name, measure(name, answers[name], verdicts, params, seed=job.seed))
        events.progress(done)


def open_judge(ref: ModelRef, events: EventLog) -> Backend:
    """The judge, asked in the number format labels are asked in."""
    return open_for_stage(ref, events, JUDGE, role="judge", dtype=judging_dtype())


def compare(
    prompts: Sequence[Prompt],
    ours: Answers,
    base: Answers,
    constitution: Constitution,
    backend: Backend,
    params: EvaluateParams,
    *,
    template: str,
    seed: int,
) -> Verdicts:
    """Whether the judge prefers `ours` to `base`, prompt by prompt: mean p over its principles and both orders."""
    principles = principles_serving(constitution, "label")
    pairs = [
        Comparison(prompt.id, prompt.text, ours[prompt.id]["text"], base[prompt.id]["text"], prompt.messages)
        for prompt in prompts
    ]
    different = [pair for pair in pairs if pair.response_a != pair.response_b]
    asked = [
        (pair, principle)
        for pair in different
        for principle in choose_principles(principles, seed, pair.id, params.judge_principles)
    ]
    size = params.sampling.batch_size
    labels = [
        label for start in range(0, len(asked), size) for label in judge(asked[start : start + size], backend, template)
    ]
    preferred: dict[str, list[float]] = {}
    for label in labels:
        preferred.setdefault(label.comparison_id, []).append(label.p_a)
    means = [sum(p) / len(p) if (p := preferred.get(pair.id)) else 0.5 for pair in pairs]
    return Verdicts(
        wins=tuple(0.5 if mean == 0.5 else float(mean > 0.5) for mean in means),
        same_position=sum(label.same_position for label in labels) / len(labels) if labels else None,
    )


def measure(
    name: str, answers: Answers, verdicts: Verdicts | None, params: EvaluateParams, *, seed: int
) -> dict[str, Any]:
    """The data of one "evaluation" record: every number with its interval, every null with its reason."""
    rows = list(answers.values())
    texts = [str(row["text"]) for row in rows]
    notes: list[str] = []

    def told(estimate: Estimate, what: str) -> Estimate:
        if estimate.note:
            notes.append(f"{what}: {estimate.note}.")
        return estimate

    rewards = [float(row["reward"]) for row in rows if row["reward"] is not None]
    reward = _mean(rewards, params, seed) if rewards else Estimate(None, None, 0, "the run has no reward model")
    reward = told(reward, "reward")
    length = told(_mean([float(row["words"]) for row in rows], params, seed), "length")
    evasion = wilson(sum(bool(row["evasive"]) for row in rows), len(rows))
    boilerplate = wilson(sum(bool(row["boilerplate"]) for row in rows), len(rows))
    win = wilson(sum(verdicts.wins), len(verdicts.wins)) if verdicts else None
    if win is None:
        reason = "base is not compared with itself" if name == BASE else "the job names no base model to compare with"
        notes.append(f"win rate: {reason}.")
    elif verdicts and verdicts.same_position is None:
        notes.append("same position: every answer equals base's, so the judge was not asked.")
    distinct: dict[int, float | None] = {}
    for n in (1, 2):
        distinct[n] = distinct_n(texts, n) if any(len(words(text)) >= n for text in texts) else None
        if distinct[n] is None:
            notes.append(f"distinct-{n}: no answer has {n} word{'s' if n > 1 else ''}.")
    return {
        "model": name,
        "n": len(rows),
        "reward_mean": reward.value,
        "reward_interval": reward.interval_list(),
        "evasion_rate": evasion.value,
        "evasion_interval": evasion.interval_list(),
        "boilerplate_rate": boilerplate.value,
        "boilerplate_interval": boilerplate.interval_list(),
        "length_mean": length.value,
        "length_interval": length.interval_list(),
        "distinct_1": distinct[1],
        "distinct_2": distinct[2],
        "win_rate_vs_base": win.value if win else None,
        "win_interval": win.interval_list() if win else None,
        "same_position": verdicts.same_position if verdicts else None,
        "features": _counted([str(row["text"]) for row in rows], params.patterns),
        "note": " ".join(notes),
    }


def _counted(texts: Sequence[str], patterns: str) -> dict[str, dict[str, Any]]:
    """By feature: the share of the answers that have it, with its interval."""
    found = {}
    for name, has in features(patterns).items():
        rate = wilson(sum(map(has, texts)), len(texts))
        found[name] = {"rate": rate.value, "interval": rate.interval_list()}
    return found


def conversation(prompt: Prompt) -> list[dict[str, str]]:
    """The prompt's messages as plain objects."""
    return [{"role": message.role, "content": message.content} for message in prompt.messages]


def _mean(values: Sequence[float], params: EvaluateParams, seed: int) -> Estimate:
    return bootstrap_mean(values, seed=seed, resamples=params.bootstrap)
