"""One stage in several processes: the `accelerate launch` file it is started with, and who of them may write.

The file lies beside the job, so what the worker did can be done by hand::

    accelerate launch --config_file accelerate.yaml -m training_app.core.stage job.json

* "ddp": every process has the whole model and a share of the batch; gradients are averaged.
* "fsdp2": weights, gradients and optimiser state are cut into as many pieces as there are processes.
* "deepspeed": ZeRO stage 2, weights whole, gradients and optimiser state cut. Needs the package deepspeed.

On a processor (gloo) accelerate ignores the last two. Which process is the first is read from the environment that
torch's launcher sets, because events and the lock of the stage are needed before torch is imported. What is left out:
one stage over several machines (several machines work on several runs), tensor and context parallelism.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import yaml

LAUNCH = "accelerate.yaml"

FSDP2: dict[str, Any] = {
    "fsdp_version": 2,
    "fsdp_auto_wrap_policy": "TRANSFORMER_BASED_WRAP",
    "fsdp_reshard_after_forward": True,
    "fsdp_state_dict_type": "SHARDED_STATE_DICT",
    "fsdp_offload_params": False,
    "fsdp_cpu_ram_efficient_loading": False,
    "fsdp_activation_checkpointing": False,
}
DEEPSPEED: dict[str, Any] = {
    "zero_stage": 2,
    "offload_optimizer_device": "none",
    "offload_param_device": "none",
    "zero3_init_flag": False,
    "gradient_clipping": 1.0,
}
TYPES = {"ddp": "MULTI_GPU", "fsdp2": "FSDP", "deepspeed": "DEEPSPEED"}


def launch_settings(*, processes: int, sharding: str = "ddp", on_cpu: bool = False) -> dict[str, Any]:
    """What `accelerate launch` is told: `processes` on this machine, sharing as `sharding` says."""
    settings: dict[str, Any] = {
        "compute_environment": "LOCAL_MACHINE",
        "distributed_type": "MULTI_GPU" if on_cpu else TYPES[sharding],
        "use_cpu": on_cpu,
        "num_machines": 1,
        "machine_rank": 0,
        "num_processes": processes,
        "main_process_port": 0,
        "main_training_function": "main",
        "mixed_precision": "no",  # the trainer's own arguments decide
        "rdzv_backend": "static",
        "same_network": True,
        "downcast_bf16": "no",
        "debug": False,
    }
    if sharding == "fsdp2" and not on_cpu:
        settings["fsdp_config"] = FSDP2
    if sharding == "deepspeed" and not on_cpu:
        settings["deepspeed_config"] = DEEPSPEED
    return settings


def write_launch_file(folder: Path, *, processes: int, sharding: str = "ddp", on_cpu: bool = False) -> Path | None:
    """Put the launch file beside a job, or away where one process does it alone; returns its path or None."""
    path = folder / LAUNCH
    if processes <= 1:
        path.unlink(missing_ok=True)
        return None
    settings = launch_settings(processes=processes, sharding=sharding, on_cpu=on_cpu)
    path.write_text(yaml.safe_dump(settings, sort_keys=True), encoding="utf-8")
    return path


def whole(model: Any) -> Any:
    """The model in one piece where FSDP2 has cut its weights, else the model itself. Every process takes part."""
    from torch.distributed.fsdp import FSDPModule
    from torch.distributed.tensor import DTensor

    if not any(isinstance(parameter, DTensor) for parameter in model.parameters()):
        return model
    state = {
        name: value.full_tensor().cpu() if isinstance(value, DTensor) else value
        for name, value in model.state_dict().items()
    }
    kind: Any = next(one for one in type(model).__mro__ if not issubclass(one, FSDPModule))
    made = kind(model.config)
    made.load_state_dict(state)
    made.tie_weights()
    return made


def rank() -> int:
    """The number of this process among those the launcher started; 0 for the first, and where there is only one."""
    return int(os.environ.get("RANK", "0"))
