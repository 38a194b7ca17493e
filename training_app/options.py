"""Every option of a run in people's words: its label, what it does, and whether it is one that people often change.

The options themselves and their defaults are the dataclasses of `core/config.py`; a test holds that each of them is
described here. Written for the launch form and for the configuration shown on a run's page.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from types import UnionType
from typing import Any, get_args, get_type_hints

from training_app.core.config import STAGE_SLUGS, RunConfig, Sampling, WriteParams
from training_app.core.params import AT_LEAST, AT_MOST, CHOICES, LARGEST
from training_app.plots import number

STAGE_NAMES: Mapping[str, str] = {
    "generate": "Generate",
    "revise": "Revise",
    "sft": "SL-CAI",
    "sample": "Sample",
    "label": "Label",
    "reward": "Reward model",
    "rl": "RL-CAI",
    "dpo": "DPO-CAI",
    "evaluate": "Evaluate",
    "write": "Write prompts",
}

STAGE_DOES: Mapping[str, str] = {
    "generate": "The base model answers every prompt.",
    "revise": "The model criticises and rewrites its answers to red-team prompts, one principle a round.",
    "sft": "Supervised fine-tuning on the revisions and on helpful answers.",
    "sample": "The SL-CAI model answers every prompt twice.",
    "label": "The judge is asked which answer fits a principle better, in both orders.",
    "reward": "A model learns to predict the AI labels and the human comparisons.",
    "rl": "Reinforcement learning against the reward model or the judge, held near SL-CAI.",
    "dpo": "SL-CAI learns the preferences themselves, without a reward model.",
    "evaluate": "Base, SL-CAI and what was trained from it answer prompts that no stage trained on.",
    "write": "The model writes new red-team prompts after examples; what is like another is left out.",
}

STAGE_DOING: Mapping[str, str] = {
    "generate": "generating",
    "revise": "revising",
    "sft": "training SL-CAI",
    "sample": "sampling",
    "label": "labelling",
    "reward": "training the reward model",
    "rl": "training RL-CAI",
    "dpo": "training DPO-CAI",
    "evaluate": "evaluating",
    "write": "writing prompts",
}

ESSENTIAL = frozenset(
    {
        "heldout_fraction", "max_prompts", "method", "audits", "generate.sampling.max_new_tokens", "revise.rounds",
        "revise.exemplars",
        "sft.epochs", "sft.learning_rate", "sample.sampling.max_new_tokens", "label.template",
        "label.principles_per_comparison", "reward.epochs", "reward.learning_rate", "reward.soft_targets",
        "rl.algorithm", "rl.reward", "rl.steps", "rl.beta", "rl.generations", "dpo.pairs", "dpo.epochs",
        "dpo.learning_rate", "dpo.beta", "evaluate.sampling.max_new_tokens", "evaluate.judge_principles",
    }
)  # fmt: skip
"""What is shown at once; everything else stands behind "Advanced"."""

WORDS: Mapping[str, tuple[str, str]] = {
    "heldout_fraction": ("Held out", "Share of the prompts kept from training. Chosen by digest, not by chance."),
    "max_prompts": ("Most prompts per set", "Leave empty to use every prompt."),
    "processes": ("GPUs together", "Each training stage uses so many at once. Empty: as the worker was told."),
    "sharding": ("GPUs share", "The batch alone, the weights as well (FSDP2), or the optimiser's state (DeepSpeed)."),
    "method": ("After SL-CAI", "Reinforcement learning is the paper's way. SL-CAI is evaluated beside what follows."),
    "audits": ("Train on verdicts", "Off: people's verdicts on critiques and labels change nothing in training."),
    "temperature": ("Temperature", "1 draws as the model believes; lower is more repetitive. The paper uses 1."),
    "top_p": ("Top p", "1 leaves every token possible."),
    "max_new_tokens": ("Longest answer", "In tokens. Longer answers are cut and flagged."),
    "batch_size": ("Batch size", "Items worked on together. Lower it when memory runs out."),
    "rounds": ("Rounds", "Critiques and revisions per red-team prompt. The paper uses 4."),
    "exemplars": ("Worked examples", "Shown to the model before its own critique and revision."),
    "draw": ("Principles", "Each round: drawn anew, as in the paper. In order: one round for every principle."),
    "critique": ("Critique first", "Off: revise without a critique, the paper's ablation."),
    "drop_critique_as_revision": ("Drop critiques", "Revisions that criticise instead of answering."),
    "drop_language_switch": ("Drop switched languages", "Revisions in another language than the answer before."),
    "drop_truncated": ("Drop cut revisions", "Those that ended because they were too long."),
    "drop_no_op": ("Drop unchanged revisions", "Those that say the same words as the answer before."),
    "drop_preamble": ("Drop announced revisions", "Those that begin like “Here is the revised response”."),
    "drop_refusal": ("Drop refusals", "Revisions that decline. The paper keeps them."),
    "format": ("Format", "Paper: a plain transcript. Chat: the model's own template. Auto: chat where there is one."),
    "count": ("Prompts wanted", "The new set holds at most so many."),
    "shown": ("Seed prompts shown", "Drawn anew for every new prompt."),
    "aim": ("Written for", "A principle: each new prompt bears on one, drawn by weight, and is tagged with it."),
    "max_similarity": ("Most similarity", "1 keeps all but equal texts; lower leaves out what is like another."),
    "attempts": ("Attempts per prompt", "At most so many tries for each prompt wanted."),
    "epochs": ("Epochs", "Times every row is seen."),
    "learning_rate": ("Learning rate", "The largest step of the optimiser."),
    "gradient_accumulation": ("Gradient accumulation", "Batches gathered before one step of the optimiser."),
    "max_length": ("Longest row", "In tokens. Longer rows are cut, or dropped and counted."),
    "save_steps": ("Save every", "In steps. A killed stage goes on from the last save."),
    "template": ("Prompt template", "Principle last is faster with many principles; the paper puts it first."),
    "principles_per_comparison": ("Principles per comparison", "Each one sampled by its weight, and each one label."),
    "ask": ("Principles asked", "Sampled is the paper's way. Every: each principle judges each comparison."),
    "aggregation": ("Principles become one by", "Where several judged one comparison. Can be changed later."),
    "label.exemplars": ("Worked comparisons", "Shown before the question, made of the version's worked examples."),
    "neither": ("Offer “neither”", "A third answer for principles that do not apply."),
    "cot_samples": ("Chains of thought", "Drawn per order and averaged. 0: the judge answers at once."),
    "cot_tokens": ("Longest chain of thought", "In tokens."),
    "human_comparisons": ("Human comparisons judged", "So many are labelled too: their people measure the judge."),
    "clamp_low": ("Clamp from", "Lowest p(A) trained on. Empty: 0.4 with chain of thought, else no clamp."),
    "clamp_high": ("Clamp to", "Highest p(A) trained on. Empty: 0.6 with chain of thought, else no clamp."),
    "drop_irrelevant": ("Drop irrelevant labels", "Those where “neither” is likelier than not."),
    "overridden_steps": ("Overridden revisions", "Drop: what people override is not trained on. Keep: it is."),
    "overridden_labels": ("Overridden labels", "They take people's choice, or are dropped, or weigh less."),
    "overridden_weight": ("Weight of overridden rows", "Where overridden labels weigh less; others weigh 1."),
    "verdicts_needed": ("People who must agree", "So many must name the same outcome. An adjudication always counts."),
    "soft_targets": ("Train on probabilities", "Off: each label counts as a plain choice of A or B."),
    "human_weight": ("Weight of human comparisons", "Against 1 for an AI label."),
    "reward.heldout_fraction": ("Held out", "Share of the pairs that measures the reward model and does not train it."),
    "dpo.heldout_fraction": ("Held out", "Share of the pairs that measures DPO-CAI and does not train it."),
    "answers_only": ("Learn answers only", "Off: the prompts are learnt too."),
    "packing": ("Pack short rows", "Several examples in one row, blind to one another: less padding, the same loss."),
    "lora_rank": ("LoRA rank", "0 trains all weights. 8 to 64: small adapters, merged into the model at the end."),
    "lora_alpha": ("LoRA alpha", "The adapters count alpha / rank times."),
    "algorithm": ("Algorithm", "PPO is the paper's. GRPO and RLOO compare answers instead of learning a value."),
    "reward": ("Reward", "The judge: how likely it prefers an answer to the base model's. Slower, no reward model."),
    "rl.judge_principles": ("Principles per judged answer", "With the judge as reward, in both orders."),
    "helpful_share": ("Share of helpful prompts", "In every step, from 0 to 1. Empty: as the sets come."),
    "ppo_epochs": ("PPO passes", "Over the answers of each step."),
    "minibatches": ("PPO updates a pass", "Parts that the answers of a step are cut into."),
    "clip": ("PPO clip", "How far the probability of a token may move in one step before it counts no further."),
    "gae_lambda": ("GAE lambda", "1 trusts the rewards, 0 the value head."),
    "discount": ("Discount", "Of later rewards, per token. 1: none."),
    "value_weight": ("Value weight", "Of the value head's loss in PPO."),
    "normalise_reward": ("Normalise rewards", "PPO sees them less their running mean, by their deviation."),
    "pairs": ("Pairs", "AI labels: what a reward model would learn from. Or each revision against the first answer."),
    "dpo.beta": ("DPO beta", "Higher stays nearer to SL-CAI."),
    "steps": ("Steps", "Updates of the policy."),
    "beta": ("KL weight", "How strongly the policy is held near SL-CAI. 0 lets it go."),
    "generations": ("Answers per prompt", "Compared with one another at each step; at least 2."),
    "prompts_per_step": ("Prompts per step", "Drawn anew for every step, each answered as often as said above."),
    "max_completion_length": ("Longest answer", "In tokens."),
    "judge_principles": ("Principles per judged pair", "Used for the win rate, in both orders."),
    "bootstrap": ("Bootstrap resamples", "For the intervals of means."),
    "patterns": ("Count also", "Features of answers, one “name: regular expression” a line; case does not matter."),
    "sft.rounds": ("Revisions trained on", "All: those of every round, as in the paper. Last: the final ones only."),
}  # fmt: skip

CHOICE_WORDS: Mapping[str, str] = {
    "auto": "auto", "paper": "paper", "chat": "chat", "principle_last": "principle last", "all": "all rounds",
    "last": "last round only", "each_round": "drawn each round", "without_replacement": "drawn without repeats",
    "in_order": "all in order", "sampled": "sampled by weight", "every": "every principle",
    "together": "all in one prompt", "mean": "mean", "majority": "majority", "product": "product",
    "drop": "drop", "keep": "keep", "override": "take people's choice", "weight": "weigh less",
    "none": "nothing in particular", "principle": "one principle each", "rl": "reinforcement learning", "dpo": "DPO",
    "both": "both, from the same SL-CAI", "sft_only": "nothing", "grpo": "GRPO", "rloo": "RLOO", "ppo": "PPO",
    "model": "reward model", "judge": "judge", "labels": "AI labels", "revisions": "revision against first answer",
    "ddp": "the batch (DDP)", "fsdp2": "weights too (FSDP2)", "deepspeed": "optimiser too (DeepSpeed ZeRO-2)",
}  # fmt: skip
OWN_CHOICES: Mapping[str, tuple[str, ...]] = {"sft.rounds": ("all", "last")}


@dataclass(frozen=True)
class Option:
    """One option: its path in the configuration ("rl.beta", "generate.sampling.top_p"), its words and its type."""

    path: str
    label: str
    help: str
    essential: bool
    kind: type
    optional: bool
    choices: tuple[str, ...]
    at_least: float | None
    at_most: float | None

    @property
    def stage(self) -> str:
        """The stage it belongs to; "" for those of the whole run."""
        return self.path.partition(".")[0] if "." in self.path else ""

    def value_in(self, config: Mapping[str, Any]) -> Any:
        """Its value in a configuration as plain data; None where an older configuration does not have it."""
        value: Any = config
        for part in self.path.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
        return value

    def words(self, value: Any) -> str:
        """A value as the launch form calls it: "GRPO", "not set" where it is left empty, "yes", "0.04"."""
        if value is None:
            return "not set"
        if isinstance(value, bool):
            return "yes" if value else "no"
        if isinstance(value, int | float):
            return number(value)
        return CHOICE_WORDS.get(str(value), str(value)) if self.choices else str(value)


def all_options() -> tuple[Option, ...]:
    """Every option, those of the whole run first, then stage by stage in the order they are done."""
    hints = get_type_hints(RunConfig)
    whole = [_option(part.name, hints[part.name]) for part in fields(RunConfig) if part.name not in STAGE_SLUGS]
    return (*whole, *(option for slug in STAGE_SLUGS for option in _options_of(hints[slug], slug)))


def write_options() -> tuple[Option, ...]:
    """The options of writing red-team prompts, a run of its own."""
    return tuple(_options_of(WriteParams, "write"))


def _options_of(kind: Any, where: str) -> Iterator[Option]:
    hints = get_type_hints(kind)
    for part in fields(kind):
        path = f"{where}.{part.name}"
        if hints[part.name] is Sampling:
            yield from _options_of(Sampling, path)
        else:
            yield _option(path, hints[part.name])


def _option(path: str, hint: Any) -> Option:
    name = path.rpartition(".")[2]
    stage_and_name = f"{path.partition('.')[0]}.{name}"
    label, help_text = WORDS.get(stage_and_name) or WORDS[name]
    allowed = get_args(hint) if isinstance(hint, UnionType) else (hint,)
    kind = next(part for part in allowed if part is not type(None))
    is_number = kind in (int, float)
    return Option(
        path=path,
        label=label,
        help=help_text,
        essential=path in ESSENTIAL,
        kind=kind,
        optional=type(None) in allowed,
        choices=(OWN_CHOICES.get(path) or CHOICES.get(name, ())) if kind is str else (),
        at_least=AT_LEAST.get(name) if is_number else None,
        at_most=AT_MOST.get(name, LARGEST) if is_number else None,
    )
