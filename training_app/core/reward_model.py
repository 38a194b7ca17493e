"""The reward model: a language model with one score per conversation, learnt from soft labels (paper, section 4.2).

    d = r(prompt, A) - r(prompt, B)
    loss = mean over pairs of  - w · ( p · log s(d) + (1 - p) · log s(-d) ),    s(d) = 1 / (1 + exp(-d))

p is the probability that A is better: for an AI label the feedback model's normalised log-probs (section 4.1), 1 for a
human comparison's chosen response, 1, 0 or 1/2 where a person overrode a label. The paper found soft labels much better
than hard ones; with `soft_targets` off p is rounded. w mixes AI harmlessness and human helpfulness comparisons. The
loss is never below the entropy of p, so it does not go to zero.

What is left out: margins, centring of rewards, and chain-of-thought labels (their clamp is applied when labelling).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from training_app.core import training
from training_app.core.base_model import check_model_folder, load_classifier
from training_app.core.checkpoints import fresh_parameters
from training_app.core.config import RewardParams
from training_app.core.datasets import harmlessness_share, refuse_leak
from training_app.core.device import Device, choose_device
from training_app.core.errors import BadInput, NotFinite
from training_app.core.events import EventLog
from training_app.core.formatting import ChatFormat
from training_app.core.job import Job
from training_app.core.rows import Message, messages_of, text_of
from training_app.core.statistics import Estimate, brier, expected_calibration_error, wilson

if TYPE_CHECKING:
    import torch

CURVES = {
    "loss": "loss",
    "learning_rate": "learning_rate",
    "grad_norm": "grad_norm",
    "accuracy": "accuracy",
    "margin": "margin",
    "mean_reward": "reward",
}
SOURCES = ("ai", "human", "audit", "revision")


def soft_preference_loss(
    rewards_a: torch.Tensor, rewards_b: torch.Tensor, p: torch.Tensor, weight: torch.Tensor
) -> torch.Tensor:
    """Cross-entropy of the preference A over B against a soft target (paper, section 4.2), a scalar.

    Args:
        rewards_a, rewards_b: (B,) scores of the two responses of every pair.
        p: (B,) target probability that A is better.
        weight: (B,) weight of every pair; the mean is over pairs, not over weights, so that a pair counts the same in
            whatever batch it falls.

    B: pairs in the batch.
    """
    from torch.nn.functional import logsigmoid

    d = rewards_a - rewards_b  # (B,)
    return -(weight * (p * logsigmoid(d) + (1 - p) * logsigmoid(-d))).mean()


@dataclass(frozen=True)
class Pair:
    """Two responses to one prompt with the probability that A is better, its weight, and who said so."""

    id: str
    prompt: str
    messages: tuple[Message, ...]
    response_a: str
    response_b: str
    p_a: float
    weight: float
    source: str
    people: float | None = None
    """What auditors said of it (1: A, 0: B), kept on held-out pairs only, to measure against."""

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Pair:
        """Read a row of a preference build (`preferences.preference_rows`). Raises ValueError with the reason."""
        prompt = text_of(row, "prompt")
        p_a, weight = _number(row, "p_a"), _number(row, "weight")
        if not 0 <= p_a <= 1:
            raise ValueError(f"p_a should be between 0 and 1, not {p_a!r}")
        if not 0 <= weight < float("inf"):
            raise ValueError(f"weight should be 0 or more, not {weight!r}")
        if (source := text_of(row, "source")) not in SOURCES:
            raise ValueError(f"source should be one of {', '.join(SOURCES)}, not {source!r}")
        return cls(
            str(row.get("id", "")),
            prompt,
            messages_of(row, prompt),
            text_of(row, "response_a", may_be_empty=True),
            text_of(row, "response_b", may_be_empty=True),
            p_a,
            weight,
            source,
            None if row.get("people") is None else _number(row, "people"),
        )

    def conversation(self) -> list[dict[str, str]]:
        """The messages both responses answer."""
        return [{"role": message.role, "content": message.content} for message in self.messages]


@dataclass(frozen=True)
class EncodedPair:
    """A pair as tokens: both whole conversations, target and weight."""

    ids_a: tuple[int, ...]
    ids_b: tuple[int, ...]
    p: float
    weight: float
    source: str = "ai"
    people: float | None = None


def run(job: Job, events: EventLog, should_stop: training.ShouldStop) -> None:
    """Train a reward model from ``job.model`` on inputs.train, measure it on inputs.heldout, publish it."""
    params = job.params(RewardParams)
    pairs = job.read_input("train", Pair.from_row)
    has_heldout = job.has_input("heldout") and job.inputs["heldout"].rows != 0
    heldout = job.read_input("heldout", Pair.from_row) if has_heldout else []
    refuse_leak([_row(pair) for pair in pairs], [_row(pair) for pair in heldout])
    check_model_folder(job.model)
    if training.finish_if_published(job, events):
        return
    training.prepare(job.seed)  # seeds the new head too
    device = choose_device()
    form = ChatFormat.load(job.model.path)
    rows, left_out = encode_pairs(form, pairs, max_length=params.max_length, soft=params.soft_targets)
    measured, _ = encode_pairs(form, heldout, max_length=params.max_length, soft=True)
    if not rows:
        raise BadInput(f"No pair fits into {params.max_length} tokens.", "Raise max_length.")
    too_long = set(map(id, left_out))
    kept = [pair for pair in pairs if id(pair) not in too_long]
    warn(events, kept, left_out=len(left_out), heldout_left_out=len(heldout) - len(measured), params=params)
    scorer = Scorer(load_classifier(job.model.path, device, dtype="float32"), form)
    fresh = fresh_parameters(scorer.model, job.model.path)
    trainer = make_trainer(job, params, rows, scorer, device)
    training.train(
        trainer, job, events, should_stop,
        device=device, save_steps=params.save_steps, names=CURVES, notes=form.notes,
    )  # fmt: skip
    results = {"pairs": len(rows), "left_out": len(left_out), **quality(scorer, measured)}
    training.publish(scorer.model, form.tokenizer, job, events, device=device, fresh=fresh, results=results)


def make_trainer(job: Job, params: RewardParams, rows: Sequence[EncodedPair], scorer: Scorer, device: Device) -> Any:
    """TRL's reward trainer with the soft loss; target and weight survive its removal of columns and its collation."""
    import torch
    from datasets import Dataset
    from trl.trainer.reward_config import RewardConfig
    from trl.trainer.reward_trainer import DataCollatorForPreference, RewardTrainer

    class SoftCollator(DataCollatorForPreference):
        def torch_call(self, examples: list[dict[str, Any]]) -> dict[str, Any]:
            batch: dict[str, Any] = super().torch_call(examples)
            for name in ("p", "weight"):
                batch[name] = torch.tensor([example[name] for example in examples], dtype=torch.float32)
            return batch

    class SoftRewardTrainer(RewardTrainer):
        def _set_signature_columns_if_needed(self) -> None:
            self._signature_columns: Any = ["chosen_ids", "rejected_ids", "p", "weight"]

        def compute_loss(
            self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
        ) -> Any:
            p, weight = inputs.pop("p"), inputs.pop("weight")
            outputs = model(**inputs, use_cache=False)
            rewards_a, rewards_b = outputs.logits.float().squeeze(-1).chunk(2)  # (2B, 1) -> (B,), (B,)
            loss = soft_preference_loss(rewards_a, rewards_b, p, weight)
            self._note(inputs, rewards_a.detach(), rewards_b.detach(), p)
            return (loss, outputs) if return_outputs else loss

        def _note(self, inputs: Any, rewards_a: Any, rewards_b: Any, p: Any) -> None:
            """The curves of this step. A pair with p = 1/2 has no right side and counts in no accuracy."""
            gather = self.accelerator.gather_for_metrics
            rewards_a, rewards_b, p = gather(rewards_a), gather(rewards_b), gather(p)
            d, told = rewards_a - rewards_b, p != 0.5
            metrics = self._metrics["train"]
            if bool(told.any()):
                metrics["accuracy"].append(((d > 0) == (p > 0.5))[told].float().mean().item())
            metrics["margin"].append((d * torch.sign(p - 0.5)).mean().item())
            metrics["mean_reward"].append(torch.cat([rewards_a, rewards_b]).mean().item())
            self._total_train_tokens += int(gather(inputs["attention_mask"].sum()).sum())
            metrics["num_tokens"] = [self._total_train_tokens]

    columns = [{"chosen_ids": list(r.ids_a), "rejected_ids": list(r.ids_b), "p": r.p, "weight": r.weight} for r in rows]
    arguments = training.shared_arguments(job, device, learning_rate=params.learning_rate, batch_size=params.batch_size)
    return SoftRewardTrainer(
        model=scorer.model,
        args=RewardConfig(
            **arguments,
            num_train_epochs=params.epochs,
            gradient_accumulation_steps=params.gradient_accumulation,
            max_length=params.max_length,
        ),
        data_collator=SoftCollator(pad_token_id=scorer.form.tokenizer.pad_token_id),
        train_dataset=Dataset.from_list(columns),
        processing_class=scorer.form.tokenizer,
    )


def encode_pairs(
    form: ChatFormat, pairs: Sequence[Pair], *, max_length: int, soft: bool
) -> tuple[list[EncodedPair], list[Pair]]:
    """(pairs as tokens, pairs with a side over `max_length` tokens): a cut answer would be another answer."""
    encoded: list[EncodedPair] = []
    left_out: list[Pair] = []
    for pair in pairs:
        conversation = pair.conversation()
        ids_a = form.answer(conversation, pair.response_a).ids
        ids_b = form.answer(conversation, pair.response_b).ids
        if max(len(ids_a), len(ids_b)) > max_length:
            left_out.append(pair)
        else:
            target = pair.p_a if soft else hard_target(pair.p_a)
            encoded.append(EncodedPair(ids_a, ids_b, target, pair.weight, pair.source, pair.people))
    return encoded, left_out


def hard_target(p: float) -> float:
    """The side p leans to as 0 or 1; an even p stays 1/2."""
    return 0.5 if p == 0.5 else float(p > 0.5)


def warn(
    events: EventLog, pairs: Sequence[Pair], *, left_out: int, heldout_left_out: int, params: RewardParams
) -> None:
    """Say what a reader of the loss must know: pairs left out, and a loss that is mostly about harmlessness."""
    for count, where in ((left_out, "training"), (heldout_left_out, "held-out")):
        if count:
            events.log(
                f"{count} {where} pairs are left out: a side has more than {params.max_length} tokens.", level="warning"
            )
    share = harmlessness_share({"source": pair.source, "weight": pair.weight} for pair in pairs)
    if share is None:
        raise BadInput("No pair has any weight.", "Give the human comparisons or the AI labels a weight above 0.")
    if share > 0.5:
        events.log(
            f"Harmlessness labels carry {share:.0%} of the loss weight; above half, models turn evasive. "
            "Add human helpfulness comparisons or raise human_weight.",
            level="warning",
        )


class Scorer:
    """Scores conversations with a reward model, one number each, the longest first and never NaN."""

    def __init__(self, model: Any, form: ChatFormat, *, batch_size: int = 8) -> None:
        self.model = model
        self.form = form
        self.batch_size = batch_size
        # The score is read off the last token that is not padding, so the model must know which one that is.
        model.config.get_text_config().pad_token_id = form.tokenizer.pad_token_id

    @classmethod
    def load(cls, folder: Path, device: Device, *, batch_size: int = 8) -> Scorer:
        """The reward model of a checkpoint folder, in float32 (differences of scores are small)."""
        return cls(load_classifier(folder, device, dtype="float32"), ChatFormat.load(folder), batch_size=batch_size)

    def answers(self, prompts: Sequence[Sequence[Mapping[str, str]]], answers: Sequence[str]) -> list[float]:
        """One score for every answer to its conversation."""
        pairs = zip(prompts, answers, strict=True)
        return self.tokens([self.form.answer(prompt, answer).ids for prompt, answer in pairs])

    def tokens(self, rows: Sequence[Sequence[int]]) -> list[float]:
        """One score for every row of token ids. Raises NotFinite when a score is no number."""
        import torch

        longest = int(self.model.config.get_text_config().max_position_embeddings)
        order = sorted(range(len(rows)), key=lambda index: -len(rows[index]))
        scores = [0.0] * len(rows)
        was_training = self.model.training
        self.model.eval()
        with torch.inference_mode():
            for start in range(0, len(order), self.batch_size):
                part = order[start : start + self.batch_size]
                batch = self._batch([list(rows[index])[-longest:] for index in part])  # the end of what is too long
                for index, score in zip(part, self.model(**batch, use_cache=False).logits[:, 0].tolist(), strict=True):
                    scores[index] = float(score)
        self.model.train(was_training)
        if not all(math.isfinite(score) for score in scores):
            raise NotFinite("The reward model gave a score that is not a number.", "Train the reward model again.")
        return scores

    def _batch(self, rows: list[list[int]]) -> dict[str, torch.Tensor]:
        """(B, T) token ids padded on the right, and their mask."""
        import torch

        width = max(len(row) for row in rows)
        pad = self.form.tokenizer.pad_token_id
        ids = torch.tensor([row + [pad] * (width - len(row)) for row in rows])
        mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows])
        return {"input_ids": ids.to(self.model.device), "attention_mask": mask.to(self.model.device)}


def quality(score: Scorer, pairs: Sequence[EncodedPair]) -> dict[str, Any]:
    """How well the sigmoid of d predicts p on held-out pairs; see `quality_of`."""
    rewards = score.tokens([ids for pair in pairs for ids in (pair.ids_a, pair.ids_b)])
    return quality_of([a - b for a, b in zip(rewards[::2], rewards[1::2], strict=True)], pairs)


class Judged(Protocol):
    """What a margin is measured against: a pair's target, who said so, and what people said of it."""

    @property
    def p(self) -> float: ...
    @property
    def source(self) -> str: ...
    @property
    def people(self) -> float | None: ...


def quality_of(margins: Sequence[float], pairs: Sequence[Judged]) -> dict[str, Any]:
    """Accuracy with its interval and calibration against p, and agreement with people, where they said something.

    "human" are the human comparisons among the pairs, "audits" the AI labels that people gave a verdict on.
    """
    predicted = [1 / (1 + math.exp(-max(-700.0, min(700.0, margin)))) for margin in margins]
    targets = [pair.p for pair in pairs]
    accuracy = _agreement(margins, targets)
    human = [(margin, pair.p) for margin, pair in zip(margins, pairs, strict=True) if pair.source == "human"]
    audited = [(margin, pair.people) for margin, pair in zip(margins, pairs, strict=True) if pair.people is not None]
    return {
        "heldout": {
            "pairs": len(pairs),
            "accuracy": accuracy.value,
            "accuracy_interval": accuracy.interval_list(),
            "ece": expected_calibration_error(predicted, targets),
            "brier": brier(predicted, targets),
            "note": accuracy.note if pairs else "there are no held-out pairs",
            "human": _told(human),
            "audits": _told(audited),
        }
    }


def _agreement(margins: Sequence[float], targets: Sequence[float]) -> Estimate:
    """How often the sign of the margin is the side the target leans to; even targets have no side."""
    told = [(margin, p) for margin, p in zip(margins, targets, strict=True) if p != 0.5]
    return wilson(sum(1.0 if (m > 0) == (p > 0.5) else 0.0 for m, p in told), len(told))


def _told(judged: Sequence[tuple[float, float]]) -> dict[str, Any]:
    found = _agreement([margin for margin, _ in judged], [p for _, p in judged])
    return {
        "pairs": len(judged), "agreement": found.value, "interval": found.interval_list(),
        "note": found.note if judged else "people said nothing of held-out pairs",
    }  # fmt: skip


def _row(pair: Pair) -> dict[str, Any]:
    return {"id": pair.id, "prompt": pair.prompt, "messages": pair.conversation()}


def _number(row: Mapping[str, Any], name: str) -> float:
    value = row.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{name} should be a number, not {value!r}")
    return float(value)
