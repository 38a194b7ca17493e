"""DPO-CAI: SL-CAI learns preferences directly, with a soft target for every pair (arXiv 2305.18290, eq. 7).

    d = β · [ (log π(A) - log π_ref(A)) - (log π(B) - log π_ref(B)) ]
    loss = mean over pairs of  - w · ( p · log s(d) + (1 - p) · log s(-d) ),    s(d) = 1 / (1 + exp(-d))

log π(A) sums the answer's tokens; π_ref is SL-CAI, and d is the margin of the reward that the policy stands for. With
p = 1 this is DPO; p is the probability that A is better, each pair's own: the label's (section 4.1 of the paper),
1 for a human choice, 1, 0 or 1/2 where a person overrode a label. Pairs are the reward model's own rows, or each
revision against the first answer (as Hugging Face's llm-swarm recipe has it). The paper itself has no DPO.

What is left out: other losses (IPO, KTO …), length normalisation, adapters, and pairs drawn anew from the policy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from training_app.core import training
from training_app.core.base_model import check_model_folder, load_model
from training_app.core.checkpoints import fresh_parameters
from training_app.core.config import DpoParams
from training_app.core.datasets import refuse_leak
from training_app.core.device import Device, choose_device
from training_app.core.errors import BadInput
from training_app.core.events import EventLog
from training_app.core.formatting import ChatFormat, Encoded
from training_app.core.job import Job
from training_app.core.reward_model import Pair, hard_target, quality_of, soft_preference_loss

CURVES = {
    "loss": "loss",
    "learning_rate": "learning_rate",
    "grad_norm": "grad_norm",
    "accuracy": "accuracy",
    "margin": "margin",
    "chosen": "reward_of_better",
    "rejected": "reward_of_worse",
}
EXTRA = ("p", "weight", "ref_chosen_logps", "ref_rejected_logps")
"""Columns of a row that are numbers of the pair."""


@dataclass(frozen=True)
class EncodedPair:
    """A pair as tokens: each answer after its prompt, with target, weight and who said so."""

    a: Encoded
    b: Encoded
    p: float
    weight: float
    source: str
    people: float | None = None


def run(job: Job, events: EventLog, should_stop: training.ShouldStop) -> None:
    """Train ``job.model`` on inputs.train, measure it on inputs.heldout, publish the DPO-CAI checkpoint."""
    params = job.params(DpoParams)
    pairs = job.read_input("train", Pair.from_row)
    has_heldout = job.has_input("heldout") and job.inputs["heldout"].rows != 0
    heldout = job.read_input("heldout", Pair.from_row) if has_heldout else []
    refuse_leak(map(_asked, pairs), map(_asked, heldout))
    reference_ref = job.models.get("reference", job.model)
    for ref in (job.model, reference_ref):
        check_model_folder(ref)
    if training.finish_if_published(job, events):
        return
    training.prepare(job.seed)
    device = choose_device()
    form = ChatFormat.load(job.model.path)
    rows = encode_pairs(form, pairs, max_length=params.max_length, soft=params.soft_targets)
    measured = encode_pairs(form, heldout, max_length=params.max_length, soft=True)
    if not any(row.weight for row in rows):
        raise BadInput(f"No pair with a weight fits into {params.max_length} tokens.", "Raise max_length.")
    for left_out, where in ((len(pairs) - len(rows), "training"), (len(heldout) - len(measured), "held-out")):
        if left_out:
            events.log(
                f"{left_out} {where} pairs are left out: a side has more than {params.max_length} tokens.",
                level="warning",
            )
    own = training.own_device(device)
    reference = load_model(reference_ref.path, own, dtype="float32")
    pad = form.tokenizer.pad_token_id
    near = answer_logps(reference, rows, pad, dtype=device.dtype)  # as the policy will be, so that d starts near 0
    far = answer_logps(reference, measured, pad)
    del reference  # what it says of the answers never changes
    policy = load_model(job.model.path, device, dtype="float32")
    trainer = make_trainer(job, params, rows, near, policy, form.tokenizer, device)
    fresh = fresh_parameters(policy, job.model.path)
    training.train(
        trainer, job, events, should_stop,
        device=device, save_steps=params.save_steps, names=CURVES, notes=form.notes,
    )  # fmt: skip
    found = answer_logps(policy, measured, pad)
    margins = [params.beta * ((a - ref_a) - (b - ref_b)) for (a, b), (ref_a, ref_b) in zip(found, far, strict=True)]
    results = {"pairs": len(rows), "left_out": len(pairs) - len(rows), **quality_of(margins, measured)}
    training.publish(policy, form.tokenizer, job, events, device=device, fresh=fresh, results=results)


def make_trainer(
    job: Job,
    params: DpoParams,
    rows: Sequence[EncodedPair],
    reference: Sequence[tuple[float, float]],
    policy: Any,
    tokenizer: Any,
    device: Device,
) -> Any:
    """TRL's DPO trainer with the soft loss; `reference` are the log-probabilities of both answers under π_ref."""
    import torch
    from datasets import Dataset
    from trl.trainer.dpo_config import DPOConfig
    from trl.trainer.dpo_trainer import DataCollatorForPreference, DPOTrainer

    class SoftCollator(DataCollatorForPreference):
        def torch_call(self, examples: list[dict[str, Any]]) -> dict[str, Any]:
            # TRL's collator knows one prompt for both answers; ours may end at different tokens, so each side is whole
            sides = [
                {"prompt_ids": example[f"{side}_prompt"], "chosen_ids": example[f"{side}_ids"], "rejected_ids": []}
                for side in ("chosen", "rejected")
                for example in examples
            ]
            half = super().torch_call(sides)
            count = len(sides)
            batch = {name: half[name][:count] for name in ("input_ids", "attention_mask", "completion_mask")}
            return batch | {
                name: torch.tensor([example[name] for example in examples], dtype=torch.float32) for name in EXTRA
            }

    class SoftDPOTrainer(DPOTrainer):
        def _prepare_dataset(self, dataset: Any, *_: Any) -> Any:
            return dataset  # tokens already, by the form that every stage shares

        def _precompute_ref_logps(self, dataset: Any, *_: Any) -> Any:
            return dataset  # computed already, without a copy of the reference model staying in memory

        def _set_signature_columns_if_needed(self) -> None:
            sides = [f"{side}_{part}" for side in ("chosen", "rejected") for part in ("prompt", "ids")]
            self._signature_columns: Any = [*sides, *EXTRA]

        def compute_loss(
            self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
        ) -> Any:
            extra = {name: inputs.pop(name) for name in EXTRA}
            ids, mask = inputs["input_ids"], inputs["attention_mask"]
            labels = ids.masked_fill(inputs["completion_mask"] == 0, -100)
            told = model(input_ids=ids, attention_mask=mask, labels=labels, use_cache=False, fused_lm_head=True)
            logps_a, logps_b = told.log_probs.sum(1).chunk(2)  # (2B, T), 0 outside the answers -> (B,), (B,)
            rewards_a = self.beta * (logps_a - extra["ref_chosen_logps"])
            rewards_b = self.beta * (logps_b - extra["ref_rejected_logps"])
            loss = soft_preference_loss(rewards_a, rewards_b, extra["p"], extra["weight"])
            self._note(inputs, rewards_a.detach(), rewards_b.detach(), extra["p"])
            return (loss, {}) if return_outputs else loss

        def _note(self, inputs: Any, rewards_a: Any, rewards_b: Any, p: Any) -> None:
            """The curves of this step. A pair with p = 1/2 has no right side and counts in no accuracy."""
            gather = self.accelerator.gather_for_metrics
            rewards_a, rewards_b, p = gather(rewards_a), gather(rewards_b), gather(p)
            d, told = rewards_a - rewards_b, p != 0.5
            metrics = self._metrics["train"]
            if bool(told.any()):
                metrics["accuracy"].append(((d > 0) == (p > 0.5))[told].float().mean().item())
            metrics["margin"].append((d * torch.sign(p - 0.5)).mean().item())
            is_a = p > 0.5
            metrics["chosen"].append(torch.where(is_a, rewards_a, rewards_b).mean().item())
            metrics["rejected"].append(torch.where(is_a, rewards_b, rewards_a).mean().item())
            self._total_train_tokens += int(gather(inputs["attention_mask"].sum()).sum())
            metrics["num_tokens"] = [self._total_train_tokens]

    columns = [
        {
            "chosen_prompt": list(row.a.ids[: row.a.answer_at]), "chosen_ids": list(row.a.ids[row.a.answer_at :]),
            "rejected_prompt": list(row.b.ids[: row.b.answer_at]), "rejected_ids": list(row.b.ids[row.b.answer_at :]),
            "p": row.p, "weight": row.weight,
            "ref_chosen_logps": ref_a, "ref_rejected_logps": ref_b,
        }
        for row, (ref_a, ref_b) in zip(rows, reference, strict=True)
    ]  # fmt: skip
    arguments = training.shared_arguments(job, device, learning_rate=params.learning_rate, batch_size=params.batch_size)
    return SoftDPOTrainer(
        model=policy,
        args=DPOConfig(
            **arguments,
            num_train_epochs=params.epochs,
            gradient_accumulation_steps=params.gradient_accumulation,
            max_length=None,  # pairs that are too long were left out and counted; a cut answer is another answer
            beta=params.beta,
            precompute_ref_log_probs=True,  # no second model in memory: the columns have its log-probabilities
        ),
        data_collator=SoftCollator(pad_token_id=tokenizer.pad_token_id),
        train_dataset=Dataset.from_list(columns),
        processing_class=tokenizer,
    )


def sequence_logps(model: Any, ids: Any, mask: Any, answer: Any) -> Any:
    """(B,) log-probability of every row's answer: the sum over the tokens (B, T) that `answer` marks."""
    logits = model(input_ids=ids, attention_mask=mask, use_cache=False).logits[:, :-1].float()  # (B, T - 1, V)
    logps = logits.log_softmax(-1).gather(-1, ids[:, 1:, None]).squeeze(-1)
    return (logps * answer[:, 1:]).sum(1)


def answer_logps(
    model: Any, rows: Sequence[EncodedPair], pad: int, *, dtype: str = "float32"
) -> list[tuple[float, float]]:
    """The log-probabilities of both answers of every pair, one pair at a time, computed in `dtype`."""
    import torch

    found = []
    was_training = model.training
    model.eval()
    autocast = torch.autocast(model.device.type, torch.bfloat16, enabled=dtype == "bfloat16")
    with torch.inference_mode(), autocast:
        for row in rows:
            width = max(len(row.a.ids), len(row.b.ids))
            sides = (row.a, row.b)
            ids = torch.tensor([[*side.ids, *[pad] * (width - len(side.ids))] for side in sides])
            mask = torch.tensor([[1] * len(side.ids) + [0] * (width - len(side.ids)) for side in sides])
            answer = torch.tensor([side.answer_mask + [0] * (width - len(side.ids)) for side in sides])
            device = model.device
            a, b = sequence_logps(model, ids.to(device), mask.to(device), answer.to(device)).tolist()
            found.append((float(a), float(b)))
    model.train(was_training)
    return found


def encode_pairs(form: ChatFormat, pairs: Sequence[Pair], *, max_length: int, soft: bool) -> list[EncodedPair]:
    """Pairs as tokens, without those of which a side has more than `max_length`."""
    encoded = []
    for pair in pairs:
        conversation = pair.conversation()
        a, b = form.answer(conversation, pair.response_a), form.answer(conversation, pair.response_b)
        if max(len(a.ids), len(b.ids)) <= max_length:
            p = pair.p_a if soft else hard_target(pair.p_a)
            encoded.append(EncodedPair(a, b, p, pair.weight, pair.source, pair.people))
    return encoded


def _asked(pair: Pair) -> dict[str, Any]:
    return {"id": pair.id, "prompt": pair.prompt, "messages": pair.conversation()}
