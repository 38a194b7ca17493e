"""Every option of every stage, with its default, and the three presets a run starts from.

The paper's values (arXiv 2212.08073, sections 3.2 and 4) are the defaults of preset ``full``; ``demo`` is what two CPU
cores finish in under a quarter of an hour with a 135M model. The launch form shows exactly these values, `job.json`
carries them, and `manifest.json` repeats them.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, TypeVar

Params = TypeVar("Params")

STAGE_SLUGS = ("generate", "revise", "sft", "sample", "label", "reward", "rl", "dpo", "evaluate")
"""Stages of a run in the order they are done; which of them a run has follows from its method (`RunConfig.stages`)."""


@dataclass(frozen=True)
class Sampling:
    """How text is drawn. The paper samples at temperature 1 throughout (section 3.2)."""

    temperature: float = 1.0
    top_p: float = 1.0
    max_new_tokens: int = 256
    batch_size: int = 64
    """Texts computed together, fixed by the job file: as many as a processor writes well at a time (`sharing`)."""


@dataclass(frozen=True)
class WriteParams:
    """New red-team prompts by few-shot from a seed set (section 3.2); a run of its own, no part of the pipeline."""

    count: int = 100
    shown: int = 5
    aim: str = "none"
    """"none" (paper), or "principle": each prompt is written for one principle, drawn by weight."""
    max_similarity: float = 0.5
    """Greatest Jaccard similarity of character 4-grams to any other prompt."""
    attempts: int = 4
    """Tries for each prompt wanted, at most."""
    format: str = "auto"
    sampling: Sampling = field(default_factory=lambda: Sampling(max_new_tokens=64))


@dataclass(frozen=True)
class GenerateParams:
    """An initial response to every prompt (section 3.1)."""

    sampling: Sampling = field(default_factory=Sampling)


@dataclass(frozen=True)
class ReviseParams:
    """Critique and revision (section 3.1): rounds per prompt, exemplars shown, transcript or chat format."""

    rounds: int = 4
    exemplars: int = 4
    draw: str = "each_round"
    """Which principle a round is held against: "each_round" (paper), "without_replacement" or "in_order"."""
    critique: bool = True
    """Off: the answer is revised without a critique (section 3.5's ablation)."""
    format: str = "auto"
    """"paper" (transcript), "chat" (the model's template), or "auto": chat where the model has a template."""
    sampling: Sampling = field(default_factory=Sampling)


@dataclass(frozen=True)
class SftParams:
    """SL-CAI: supervised fine-tuning on revisions of all rounds and helpfulness samples (section 3.2)."""

    epochs: float = 1.0
    learning_rate: float = 2e-5
    batch_size: int = 8
    gradient_accumulation: int = 1
    max_length: int = 1024
    answers_only: bool = True
    """Off: prompts are learnt too, as in pretraining."""
    packing: bool = False
    """Several short examples in one row, each of them blind to the others (`packing.py`)."""
    lora_rank: int = 0
    """0 trains every weight; above it, low-rank adapters of that rank (arXiv 2106.09685), merged at the end."""
    lora_alpha: int = 32
    """The adapters' change is scaled by alpha / rank."""
    rounds: str = "all"
    """"all" trains on the revisions of every round (paper), "last" on the final ones only."""
    drop_critique_as_revision: bool = True
    drop_language_switch: bool = True
    drop_truncated: bool = False
    drop_no_op: bool = False
    drop_preamble: bool = False
    drop_refusal: bool = False
    """The quality gate: revisions with these flags are not trained on. Empty ones never are."""
    overridden_steps: str = "drop"
    """What becomes of a revision that people override: "drop" or "keep"."""
    verdicts_needed: int = 1
    """People who must name the same outcome before it counts; an adjudication always does."""
    save_steps: int = 50

    @property
    def dropped_flags(self) -> tuple[str, ...]:
        """The flags that keep a revision out of training; "empty" always does."""
        options = asdict(self)
        return ("empty", *(name.removeprefix("drop_") for name, on in options.items() if name[:5] == "drop_" and on))


@dataclass(frozen=True)
class SampleParams:
    """Two responses to every prompt from the SL-CAI model (section 4.1)."""

    sampling: Sampling = field(default_factory=Sampling)


@dataclass(frozen=True)
class LabelParams:
    """AI preferences (section 4.1): one principle sampled per comparison, both orders asked and averaged."""

    template: str = "paper"
    ask: str = "sampled"
    """"sampled" (paper), "every" principle on every comparison, or all "together" in one prompt."""
    principles_per_comparison: int = 1
    aggregation: str = "mean"
    """How several principles' labels on one comparison become its target: "mean", "majority" or "product"."""
    exemplars: int = 0
    """Worked comparisons before the question, made of the constitution's worked examples (paper: five)."""
    neither: bool = False
    """A third option: neither, or the principle does not apply."""
    cot_samples: int = 0
    """Chains of thought drawn per order and averaged; 0 asks without any."""
    cot_tokens: int = 256
    human_comparisons: int = 0
    """So many human comparisons of the run's sets are judged too: what people chose there measures the judge."""
    clamp_low: float | None = None
    clamp_high: float | None = None
    """Bounds of the target; empty: 0.4 to 0.6 with chain of thought (paper), none without."""
    batch_size: int = 16

    @property
    def clamp(self) -> tuple[float, float] | None:
        """The bounds in effect, or None."""
        if self.clamp_low is None and self.clamp_high is None:
            return COT_CLAMP if self.cot_samples else None
        return (
            0.0 if self.clamp_low is None else self.clamp_low,
            1.0 if self.clamp_high is None else self.clamp_high,
        )


COT_CLAMP = (0.4, 0.6)
"""Chain of thought drives p to 0 and 1; clamped so, RL-CAI was best (section 4.1)."""


@dataclass(frozen=True)
class RewardParams:
    """Preference model on soft labels mixed with human helpfulness comparisons (section 4.2)."""

    epochs: float = 1.0
    learning_rate: float = 2e-5
    batch_size: int = 8
    gradient_accumulation: int = 1
    max_length: int = 1024
    soft_targets: bool = True
    human_weight: float = 1.0
    drop_irrelevant: bool = True
    """Leave out labels that are more likely "neither" than not."""
    overridden_labels: str = "override"
    """An override replaces p(A) ("override"), leaves the label out ("drop") or makes its row count less ("weight")."""
    overridden_weight: float = 0.5
    """With "weight": what the row of an overridden label weighs, against 1."""
    verdicts_needed: int = 1
    heldout_fraction: float = 0.1
    save_steps: int = 50


@dataclass(frozen=True)
class RlParams:
    """Reinforcement learning with a KL penalty to SL-CAI (section 4.2): PPO as in the paper, GRPO or RLOO."""

    algorithm: str = "grpo"
    """"grpo" (2402.03300), "rloo" (2402.14740) or "ppo" (1707.06347, the paper's)."""
    reward: str = "model"
    """"model": the reward model (paper). "judge": p that the judge prefers an answer to the base model's own."""
    judge_principles: int = 1
    """Principles each prompt is judged under, with reward "judge"."""
    helpful_share: float | None = None
    """Share of helpfulness prompts in every step; empty: as the sets come."""
    steps: int = 200
    learning_rate: float = 1e-6
    beta: float = 0.04
    generations: int = 8
    prompts_per_step: int = 8
    max_completion_length: int = 256
    temperature: float = 1.0
    ppo_epochs: int = 4
    """Passes over each step's answers; the options from here on are PPO's."""
    minibatches: int = 1
    """Updates in each pass."""
    clip: float = 0.2
    """How far a token's probability ratio, and a value, may move before it counts no further."""
    gae_lambda: float = 0.95
    discount: float = 1.0
    value_weight: float = 0.1
    """Of the value head's loss, against 1 for the policy's."""
    normalise_reward: bool = True
    """Rewards less their running mean, by their running deviation."""
    save_steps: int = 25


@dataclass(frozen=True)
class DpoParams:
    """DPO (arXiv 2305.18290) from SL-CAI with soft targets, in place of reward model and RL or beside them."""

    pairs: str = "labels"
    """"labels": the rows of the reward model. "revisions": the last kept revision against the initial response."""
    epochs: float = 1.0
    learning_rate: float = 5e-7
    batch_size: int = 8
    gradient_accumulation: int = 1
    max_length: int = 1024
    beta: float = 0.1
    soft_targets: bool = True
    heldout_fraction: float = 0.1
    save_steps: int = 50


@dataclass(frozen=True)
class EvaluateParams:
    """Base, SL-CAI and RL-CAI on the same held-out prompts."""

    sampling: Sampling = field(default_factory=Sampling)
    judge_principles: int = 1
    bootstrap: int = 1000
    patterns: str = ""
    """Further features to count, one "name: regular expression" a line (`features.py`)."""


@dataclass(frozen=True)
class RunConfig:
    """Everything a run is told, stage by stage."""

    heldout_fraction: float = 0.25
    """Share of the prompts kept out of training for `evaluate`, chosen by digest, never by chance."""
    max_prompts: int | None = None
    processes: int | None = None
    """Processes (GPUs) that train together; None: as many as the worker was told to use (`GPUS_PER_STAGE`)."""
    sharding: str = "ddp"
    """What they share: "ddp" the batch alone, "fsdp2" the weights too, "deepspeed" the optimiser's state (ZeRO-2)."""
    method: str = "rl"
    """What follows SL-CAI: "rl" (paper), "dpo", "both", or "sft_only". SL-CAI is evaluated beside whatever follows."""
    audits: bool = True
    """Whether people's verdicts change what is trained on; off is the arm "AI labels only" of a comparison."""
    generate: GenerateParams = field(default_factory=GenerateParams)
    revise: ReviseParams = field(default_factory=ReviseParams)
    sft: SftParams = field(default_factory=SftParams)
    sample: SampleParams = field(default_factory=SampleParams)
    label: LabelParams = field(default_factory=LabelParams)
    reward: RewardParams = field(default_factory=RewardParams)
    rl: RlParams = field(default_factory=RlParams)
    dpo: DpoParams = field(default_factory=DpoParams)
    evaluate: EvaluateParams = field(default_factory=EvaluateParams)

    @property
    def stages(self) -> tuple[str, ...]:
        """The slugs of the stages this run has, in their order: those its method needs and no other."""
        return stages_for(self.method, reward=self.rl.reward, pairs=self.dpo.pairs)

    def params_for(self, stage: str) -> dict[str, Any]:
        """The options of one stage as plain JSON data."""
        params: dict[str, Any] = asdict(getattr(self, stage))
        return params


def stages_for(method: str, *, reward: str, pairs: str) -> tuple[str, ...]:
    """The stages of a run by its method, by what rewards RL and by what DPO learns from."""
    rl, dpo = method in ("rl", "both"), method in ("dpo", "both")
    scored = rl and reward == "model"
    labelled = scored or (dpo and pairs == "labels")
    unneeded = {"sample": not labelled, "label": not labelled, "reward": not scored, "rl": not rl, "dpo": not dpo}
    return tuple(slug for slug in STAGE_SLUGS if not unneeded.get(slug))


def read_params(kind: type[Params], data: dict[str, Any]) -> Params:
    """Plain JSON data back into its dataclass; unknown names raise ValueError naming them."""
    raise_unknown(kind, data)
    values = {
        name: read_params(Sampling, value) if name == "sampling" and isinstance(value, dict) else value
        for name, value in data.items()
    }
    return kind(**values)


def raise_unknown(kind: type, data: dict[str, Any]) -> None:
    """Raise ValueError when `data` names an option that `kind` does not have."""
    known = {part.name for part in fields(kind)}
    if unknown := sorted(set(data) - known):
        raise ValueError(f"Unknown option {unknown[0]!r}; known are {', '.join(sorted(known))}.")


_SHORT = Sampling(temperature=0.6, top_p=0.9, max_new_tokens=64)
"""At the paper's temperature of 1 a 135M model writes close to noise; this a person can read."""

PRESETS: dict[str, RunConfig] = {
    "demo": RunConfig(
        generate=GenerateParams(_SHORT),
        revise=ReviseParams(rounds=2, exemplars=2, sampling=_SHORT),
        sft=SftParams(learning_rate=5e-5, batch_size=4, max_length=384, save_steps=12),
        sample=SampleParams(_SHORT),
        reward=RewardParams(learning_rate=5e-5, batch_size=4, max_length=384, save_steps=8),
        rl=RlParams(
            steps=8,
            learning_rate=5e-5,
            generations=4,
            prompts_per_step=3,
            max_completion_length=48,
            save_steps=4,
            gae_lambda=1.0,  # PPO's value head has eight steps to learn from: too few to be trusted
        ),
        dpo=DpoParams(learning_rate=5e-6, batch_size=4, max_length=384, save_steps=8),
        evaluate=EvaluateParams(_SHORT),
    ),
    "small": RunConfig(
        generate=GenerateParams(Sampling(max_new_tokens=128)),
        revise=ReviseParams(rounds=4, sampling=Sampling(max_new_tokens=128)),
        sft=SftParams(epochs=2.0, batch_size=8, max_length=768),
        sample=SampleParams(Sampling(max_new_tokens=128)),
        reward=RewardParams(epochs=2.0, max_length=768),
        rl=RlParams(steps=100, generations=4, prompts_per_step=4, max_completion_length=128),
        dpo=DpoParams(learning_rate=1e-6, max_length=768),
        evaluate=EvaluateParams(Sampling(max_new_tokens=128)),
    ),
    "full": RunConfig(),
}


def with_overrides(config: RunConfig, changes: dict[str, dict[str, Any]]) -> RunConfig:
    """`config` with some options of some stages replaced, e.g. ``{"rl": {"steps": 20}}``."""
    for stage, values in changes.items():
        if stage not in STAGE_SLUGS:
            raise ValueError(f"Unknown stage {stage!r}; stages are {', '.join(STAGE_SLUGS)}.")
        raise_unknown(type(getattr(config, stage)), values)
        config = replace(config, **{stage: replace(getattr(config, stage), **values)})
    return config
