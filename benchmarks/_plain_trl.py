"""What one would write with TRL alone, and nothing of this app: the baseline of `benchmarks/training.py`.

    python benchmarks/_plain_trl.py SETTINGS.json RESULT.json

SETTINGS: {"kind": "sft" or "grpo", "model", "rows" (a JSONL file), "reward" (grpo), "out", "bf16", "arguments"}.
RESULT: {"losses": [...], "tokens": n, "train_s": seconds inside `train()`}.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

os.environ |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the app's stages do; else both would measure spinning threads


def main(settings_file: Path, result_file: Path) -> None:
    settings = json.loads(settings_file.read_text(encoding="utf-8"))
    rows = [json.loads(line) for line in Path(settings["rows"]).read_text(encoding="utf-8").splitlines()]
    trainer = (sft if settings["kind"] == "sft" else grpo)(settings, rows)
    began = time.perf_counter()
    trainer.train()
    train_s = time.perf_counter() - began
    trainer.save_model(settings["out"])
    logs = [entry for entry in trainer.state.log_history if "loss" in entry]
    tokens = max((int(entry.get("num_tokens") or 0) for entry in logs), default=0)
    result = {"losses": [entry["loss"] for entry in logs], "tokens": tokens, "train_s": train_s}
    result_file.write_text(json.dumps(result), encoding="utf-8")


def sft(settings: dict[str, Any], rows: list[dict[str, Any]]) -> Any:
    """TRL's SFT trainer over the tokens in the rows."""
    import torch
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl.trainer.sft_config import SFTConfig
    from trl.trainer.sft_trainer import SFTTrainer

    return SFTTrainer(
        model=AutoModelForCausalLM.from_pretrained(settings["model"], dtype=torch.float32),
        args=SFTConfig(**common(settings), completion_only_loss=True),
        train_dataset=Dataset.from_list(rows),
        processing_class=AutoTokenizer.from_pretrained(settings["model"]),
    )


def grpo(settings: dict[str, Any], rows: list[dict[str, Any]]) -> Any:
    """TRL's GRPO trainer with a sequence classifier as the reward."""
    import torch
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl.trainer.grpo_config import GRPOConfig
    from trl.trainer.grpo_trainer import GRPOTrainer

    tokenizer = AutoTokenizer.from_pretrained(settings["model"], padding_side="left")
    model = AutoModelForCausalLM.from_pretrained(settings["model"], dtype=torch.float32)
    model.config.name_or_path = settings["model"]
    return GRPOTrainer(
        model=model,
        reward_funcs=settings["reward"],
        args=GRPOConfig(**common(settings), shuffle_dataset=False),
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer,
    )


def common(settings: dict[str, Any]) -> dict[str, Any]:
    """The arguments both have, those of the settings laid over them."""
    return {
        "output_dir": settings["out"], "bf16": settings["bf16"], "use_cpu": not settings.get("cuda", False),
        "activation_checkpointing": settings.get("cuda", False), "lr_scheduler_type": "constant", "weight_decay": 0.0,
        "logging_steps": 1, "report_to": [], "disable_tqdm": True, "dataloader_pin_memory": False,
        **settings["arguments"],
    }  # fmt: skip


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
