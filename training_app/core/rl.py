"""RL-CAI: the policy learns to earn reward, held near SL-CAI by a KL penalty (paper, section 4.2). Three algorithms.

For every prompt G answers are drawn from the policy π and rewarded (`rewards.py`); u = π/π_old is 1 here for the first
two, since every step draws anew (one update per rollout), so that a save never falls inside a rollout:

* **GRPO** (arXiv 2402.03300, eq. 3-4; TRL): the group's mean takes the place of a value head, KL stands in the loss:

      A_i = (r_i - mean r) / (std r + 1e-4)
      loss = - 1/Σ|o_i| · Σ_i Σ_t [ min(u A_i, clip(u, 0.8, 1.2) A_i) - β · (π_ref/π - log(π_ref/π) - 1) ]

* **RLOO** (arXiv 2402.14740, eq. 6; TRL): every answer is held against the others of its group, KL in the reward:

      R_i = r_i - β log(π(o_i)/π_ref(o_i)),   A_i = R_i - mean_{j≠i} R_j,   loss = - mean_i u_i A_i

* **PPO**, the paper's, with value head and GAE, in a file of its own: `ppo.py`.

What is left out: several updates per rollout with GRPO and RLOO, vLLM, and more than one reward.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from training_app.core import rewards, training
from training_app.core.base_model import check_model_folder, load_model
from training_app.core.checkpoints import fresh_parameters
from training_app.core.config import RlParams
from training_app.core.device import Device, choose_device
from training_app.core.events import EventLog
from training_app.core.formatting import ChatFormat
from training_app.core.job import Job
from training_app.core.rewards import Reward
from training_app.core.rollouts import context_length, policy_rows, prompt_order, record_rollouts, split_step
from training_app.core.rows import Prompt

CURVES = {
    "loss": "loss",
    "learning_rate": "learning_rate",
    "grad_norm": "grad_norm",
    "reward": "reward",
    "reward_std": "reward_std",
    "kl": "kl",
    "entropy": "entropy",
    "completions/mean_length": "completion_length",
    "completions/clipped_ratio": "cut_off",
}
RewardFunction = Callable[..., list[float | None]]
"""Prompts and answers → one number each (TRL would also take None, "no opinion")."""


@dataclass(frozen=True)
class Task:
    """All that an algorithm is given. `rows` are those of `policy_rows`, `order` the places each step takes."""

    job: Job
    params: RlParams
    device: Device
    events: EventLog
    should_stop: training.ShouldStop
    policy: Any
    tokenizer: Any
    rows: Sequence[Mapping[str, Any]]
    order: Sequence[int]
    prompts_per_step: int
    reward: Reward
    notes: Sequence[str]


def run(job: Job, events: EventLog, should_stop: training.ShouldStop) -> None:
    """Train ``job.model`` on inputs.prompts against the reward of the job and publish the RL-CAI checkpoint."""
    params = job.params(RlParams)
    prompts = job.read_input("prompts", Prompt.from_row)
    for model in (job.model, job.models.get("reference", job.model)):
        check_model_folder(model)
    rewards.check_reward(job, params)
    if training.finish_if_published(job, events):
        return
    training.prepare(job.seed)
    device = choose_device()
    form = ChatFormat.load(job.model.path)
    form.tokenizer.padding_side = "left"  # answers continue on the right
    policy = load_model(job.model.path, device, dtype="float32")
    rows, notes = policy_rows(form, prompts, room=context_length(policy) - params.max_completion_length)
    prompts_per_step = min(params.prompts_per_step, len(rows))
    if prompts_per_step < params.prompts_per_step:
        notes.append(f"There are only {len(rows)} prompts: a step takes {prompts_per_step} of them.")
    kinds = [str(row["kind"]) for row in rows]
    order = prompt_order(kinds, prompts_per_step, params.steps, job.seed, helpful_share=params.helpful_share)
    reward = rewards.open_reward(job, params, device, events)
    fresh = fresh_parameters(policy, job.model.path)
    task = Task(
        job, params, device, events, should_stop, policy, form.tokenizer, rows, order, prompts_per_step, reward,
        [*form.notes, *notes],
    )  # fmt: skip
    learn(task)
    results = {
        "algorithm": params.algorithm,
        "prompts": len(rows),
        "rollouts": params.steps * prompts_per_step * params.generations,
    }
    training.publish(policy, form.tokenizer, job, events, device=device, fresh=fresh, results=results)


def learn(task: Task) -> None:
    """Train the task's policy by its algorithm."""
    if task.params.algorithm == "ppo":
        from training_app.core import ppo

        ppo.learn(task)
        return
    training.train(
        make_trainer(task), task.job, task.events, task.should_stop,
        device=task.device, save_steps=task.params.save_steps, names=CURVES, notes=task.notes,
    )  # fmt: skip


def make_trainer(task: Task) -> Any:
    """TRL's trainer: one rollout of `prompts_per_step` x `generations` answers per optimizer step."""
    from datasets import Dataset
    from trl.trainer.grpo_config import GRPOConfig
    from trl.trainer.grpo_trainer import GRPOTrainer
    from trl.trainer.rloo_config import RLOOConfig
    from trl.trainer.rloo_trainer import RLOOTrainer

    params, job = task.params, task.job
    micro, accumulation = split_step(task.prompts_per_step * params.generations, training.world_size())
    arguments = {
        **training.shared_arguments(job, task.device, learning_rate=params.learning_rate, batch_size=micro),
        "max_steps": params.steps,
        "gradient_accumulation_steps": accumulation,
        "steps_per_generation": accumulation,  # a rollout is one optimizer step, so every save is a rollout boundary
        "num_iterations": 1,
        "num_generations": params.generations,
        "max_completion_length": params.max_completion_length,
        "temperature": params.temperature,
        "beta": params.beta,
        "shuffle_dataset": False,  # TRL's own shuffling starts anew after a resume; ours is `prompt_order`
    }
    task.policy.config.name_or_path = str(job.models.get("reference", job.model).path)  # TRL loads the reference there
    given = {
        "model": task.policy,
        "reward_funcs": for_trl(task.reward, task.events),
        "train_dataset": Dataset.from_list([dict(row) for row in task.rows]).select(task.order),
        "processing_class": task.tokenizer,
    }
    if params.algorithm == "rloo":
        return RLOOTrainer(args=RLOOConfig(**arguments), **given)
    return GRPOTrainer(args=GRPOConfig(**arguments, loss_type="dapo"), **given)


def for_trl(reward: Reward, events: EventLog) -> RewardFunction:
    """The reward as TRL asks for it: finite or the stage fails; the newest answers are recorded."""

    def rewarded(
        prompts: Sequence[Any],
        completions: Sequence[Any],
        *,
        id: Sequence[str],
        conversation: Sequence[Sequence[Mapping[str, str]]],
        trainer_state: Any,
        **_: Any,
    ) -> list[float | None]:
        texts = [str(turns[0]["content"]) for turns in completions]
        earned = reward(id, conversation, texts)
        if trainer_state.is_world_process_zero:
            record_rollouts(events, trainer_state.global_step + 1, conversation, texts, earned)
        return [*earned]

    return rewarded
