"""SL-CAI: supervised fine-tuning on the revisions of all rounds and on helpfulness samples (paper, sections 3.1, 3.2).

    loss = - 1/|A| · Σ_{t in A} log p(x_t | x_<t)        A: the tokens of the assistant's answers in the batch

Only answers are learnt, unless asked otherwise; prompts are context. One epoch at a constant learning rate is the
paper's setting; it starts from a pretrained model, while here any language model may be the start, one without a chat
template in the paper's transcript format. Short examples can share a row (`packing.py`).

With a LoRA rank r (arXiv 2106.09685, eq. 3) the weights W stay and W + (alpha / r) · B A is learnt, for every linear
layer but the output; at the end the product is added to W, so that the checkpoint is a whole model like any other.

What is left out: quantised weights (QLoRA), and the choice of rows, which the dataset build has made (`datasets.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from training_app.core import packing, training
from training_app.core.base_model import check_model_folder, load_model
from training_app.core.checkpoints import fresh_parameters
from training_app.core.config import SftParams
from training_app.core.device import Device, choose_device
from training_app.core.errors import BadInput
from training_app.core.events import EventLog
from training_app.core.formatting import ChatFormat, Encoded
from training_app.core.job import Job

CURVES = {
    "loss": "loss",
    "learning_rate": "learning_rate",
    "grad_norm": "grad_norm",
    "mean_token_accuracy": "token_accuracy",
    "entropy": "entropy",
}


@dataclass(frozen=True)
class Example:
    """A conversation whose last message, the assistant's, is to be learnt."""

    id: str
    messages: tuple[Mapping[str, str], ...]
    source: str

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Example:
        """Read ``{"id", "messages": [… user, assistant], "source"}``. Raises ValueError with the reason."""
        messages = row.get("messages")
        if not isinstance(messages, list) or len(messages) < 2:
            raise ValueError("messages should be a list that ends with user, assistant")
        for message in messages:
            if not isinstance(message, dict) or not all(
                isinstance(message.get(key), str) for key in ("role", "content")
            ):
                raise ValueError("every message needs the texts role and content")
        if [message["role"] for message in messages[-2:]] != ["user", "assistant"]:
            raise ValueError("messages should end with user, assistant")
        if not messages[-1]["content"].strip():
            raise ValueError("the answer to learn is empty")
        return cls(str(row.get("id", "")), tuple(messages), str(row.get("source", "")))


def run(job: Job, events: EventLog, should_stop: training.ShouldStop) -> None:
    """Fine-tune ``job.model`` on inputs.train and publish the SL-CAI checkpoint."""
    params = job.params(SftParams)
    examples = job.read_input("train", Example.from_row)
    check_model_folder(job.model)
    if training.finish_if_published(job, events):
        return
    training.prepare(job.seed)
    device = choose_device()
    form = ChatFormat.load(job.model.path)
    rows, notes = encode_all(form, examples, max_length=params.max_length)
    trainer = make_trainer(
        job, params, rows, form.tokenizer, load_model(job.model.path, device, dtype="float32"), device
    )
    fresh = {} if params.lora_rank else fresh_parameters(trainer.model, job.model.path)
    training.train(
        trainer, job, events, should_stop,
        device=device, save_steps=params.save_steps, names=CURVES, notes=[*form.notes, *notes],
    )  # fmt: skip
    results = {"rows": len(rows), "examples": len(examples)}
    if params.packing:
        results["packed_rows"] = len(trainer.train_dataset)
    model = trainer.model.merge_and_unload() if params.lora_rank else trainer.model
    training.publish(model, form.tokenizer, job, events, device=device, fresh=fresh, results=results)


def make_trainer(job: Job, params: SftParams, rows: list[Encoded], tokenizer: Any, model: Any, device: Device) -> Any:
    """TRL's SFT trainer over tokens that are already made: the loss is on what is to be learnt only."""
    from datasets import Dataset
    from trl.trainer.sft_config import SFTConfig

    arguments = training.shared_arguments(job, device, learning_rate=params.learning_rate, batch_size=params.batch_size)
    args = SFTConfig(
        **arguments,
        num_train_epochs=params.epochs,
        gradient_accumulation_steps=params.gradient_accumulation,
        max_length=params.max_length,
        completion_only_loss=params.answers_only and not params.packing,  # packed rows bring their labels
        dataset_kwargs={"skip_prepare_dataset": params.packing},
    )
    columns: list[dict[str, Any]]
    if params.packing:
        packed = packing.pack(rows, params.max_length)
        columns = [*packing.columns(packed, params.max_length, answers_only=params.answers_only)]
    else:
        columns = [
            {"input_ids": list(row.ids)} | ({"completion_mask": row.answer_mask} if params.answers_only else {})
            for row in rows
        ]
    kind = trainer_kind(packed=params.packing)
    return kind(
        model=model,
        args=args,
        train_dataset=Dataset.from_list(columns),
        processing_class=tokenizer,
        peft_config=adapters(params),
        **({"data_collator": partial(packing.collate, pad=tokenizer.pad_token_id)} if params.packing else {}),
    )


def trainer_kind(*, packed: bool) -> Any:
    """TRL's trainer; for packed rows one that counts their tokens, which TRL takes for the width of the batch."""
    from trl.trainer.sft_trainer import SFTTrainer

    class PackedSFTTrainer(SFTTrainer):
        def compute_loss(self, model: Any, inputs: dict[str, Any], *args: Any, **options: Any) -> Any:
            tokens, before = inputs.pop("tokens"), self._total_train_tokens
            loss = super().compute_loss(model, inputs, *args, **options)  # type: ignore[no-untyped-call]  # TRL's own; see kv_cache.py
            self._total_train_tokens = before + int(self.accelerator.gather_for_metrics(tokens).sum())
            self._metrics["train"]["num_tokens"] = [self._total_train_tokens]
            return loss

    return PackedSFTTrainer if packed else SFTTrainer


def adapters(params: SftParams) -> Any:
    """The adapters to be trained in place of the weights, or None."""
    if not params.lora_rank:
        return None
    from peft import LoraConfig

    return LoraConfig(
        r=params.lora_rank, lora_alpha=params.lora_alpha, lora_dropout=0.0, target_modules="all-linear",
        task_type="CAUSAL_LM",
    )  # fmt: skip


def encode_all(form: ChatFormat, examples: list[Example], *, max_length: int) -> tuple[list[Encoded], list[str]]:
    """Tokens of every example, with sentences on what was cut. Raises BadInput when no answer fits into `max_length`.

    An answer that begins within `max_length` is cut at its end; an example whose prompt alone fills it is left out.
    """
    encoded = [form.answer(example.messages[:-1], example.messages[-1]["content"]) for example in examples]
    kept = [row for row in encoded if row.answer_at < max_length]
    cut = sum(len(row.ids) > max_length for row in kept)
    notes = []
    if cut:
        notes.append(f"{cut} of {len(examples)} examples are longer than {max_length} tokens; their answers are cut.")
    if left_out := len(examples) - len(kept):
        notes.append(
            f"{left_out} of {len(examples)} examples are left out: their prompt alone has {max_length} tokens."
        )
    if not kept:
        raise BadInput(
            f"No example has an answer that begins within {max_length} tokens.", "Raise max_length, or shorten prompts."
        )
    return kept, notes
