"""RL-CAI: GRPO against the reward model with a KL penalty to SL-CAI (paper, section 4.2, which uses PPO).

For every prompt G answers are drawn from the policy π at temperature 1 and scored by the reward model:

    A_i = (r_i - mean r) / (std r + 1e-4)                                   advantages within a prompt's group
    loss = - 1/Σ|o_i| · Σ_i Σ_t [ min(u A_i, clip(u, 0.8, 1.2) A_i) - β · (π_ref/π - log(π_ref/π) - 1) ]

u = π/π_old is 1 here, since every step draws anew (one update per rollout), and the last term is an unbiased estimate
of KL(π ‖ π_ref) with π_ref the SL-CAI model. So a save never falls inside a rollout, whose buffer a checkpoint does not
hold. The group's mean takes the place of PPO's value head; docs/method.md says what that changes.

What is left out: PPO itself, several updates per rollout, vLLM, and rewards other than one reward model.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from training_app.core import training
from training_app.core.base_model import check_model_folder, load_model
from training_app.core.checkpoints import fresh_parameters
from training_app.core.config import RlParams
from training_app.core.device import Device, choose_device
from training_app.core.errors import BadInput
from training_app.core.events import EventLog
from training_app.core.formatting import ChatFormat
from training_app.core.generation import seed_for
from training_app.core.job import Job
from training_app.core.reward_model import Scorer
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

SHOWN_ROLLOUTS = 4
"""Rollouts of every step that are recorded for people to read: the first answer to that many prompts."""

MICRO_BATCH = 4
"""Answers per forward and backward pass; the rest of a step is accumulated, so memory does not grow with the step."""


def run(job: Job, events: EventLog, should_stop: training.ShouldStop) -> None:
    """Train ``job.model`` on inputs.prompts against ``models.reward`` and publish the RL-CAI checkpoint."""
    params = job.params(RlParams)
    prompts = job.read_input("prompts", Prompt.from_row)
    reference, reward = job.models.get("reference", job.model), job.model_for("reward")
    for model in (job.model, reference, reward):
        check_model_folder(model)
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
    scorer = Scorer.load(reward.path, training.own_device(device))
    policy.config.name_or_path = str(reference.path)  # where TRL loads the reference model from
    trainer = make_trainer(
        job, params, rows, form.tokenizer, policy, device,
        prompts_per_step=prompts_per_step, reward=make_reward(scorer, events),
    )  # fmt: skip
    fresh = fresh_parameters(policy, job.model.path)
    training.train(
        trainer, job, events, should_stop,
        device=device, save_steps=params.save_steps, names=CURVES, notes=[*form.notes, *notes],
    )  # fmt: skip
    results = {"prompts": len(rows), "rollouts": params.steps * prompts_per_step * params.generations}
    training.publish(policy, form.tokenizer, job, events, device=device, fresh=fresh, results=results)


def make_trainer(
    job: Job,
    params: RlParams,
    rows: Sequence[Mapping[str, Any]],
    tokenizer: Any,
    policy: Any,
    device: Device,
    *,
    prompts_per_step: int,
    reward: RewardFunction,
) -> Any:
    """TRL's GRPO trainer: one rollout of `prompts_per_step` x `generations` answers per optimizer step."""
    from datasets import Dataset
    from trl.trainer.grpo_config import GRPOConfig
    from trl.trainer.grpo_trainer import GRPOTrainer

    micro, accumulation = split_step(prompts_per_step * params.generations, training.world_size())
    return GRPOTrainer(
        model=policy,
        reward_funcs=reward,
        args=GRPOConfig(
            **training.shared_arguments(job, device, learning_rate=params.learning_rate, batch_size=micro),
            max_steps=params.steps,
            gradient_accumulation_steps=accumulation,
            steps_per_generation=accumulation,  # a rollout is one optimizer step, so every save is a rollout boundary
            num_iterations=1,
            num_generations=params.generations,
            max_completion_length=params.max_completion_length,
            temperature=params.temperature,
            beta=params.beta,
            loss_type="dapo",
            shuffle_dataset=False,  # TRL's own shuffling starts anew after a resume; ours is `prompt_order`
        ),
        train_dataset=Dataset.from_list([dict(row) for row in rows]).select(
            prompt_order(len(rows), prompts_per_step, params.steps, job.seed)
        ),
        processing_class=tokenizer,
    )


def split_step(answers: int, processes: int) -> tuple[int, int]:
    """(answers per pass, passes per step) for one process. Raises BadInput when they cannot be shared evenly."""
    if answers % processes:
        raise BadInput(
            f"{answers} answers a step cannot be shared evenly by {processes} processes.",
            "Choose prompts_per_step times generations as a multiple of the number of GPUs.",
        )
    share = answers // processes
    micro = max(size for size in range(1, min(MICRO_BATCH, share) + 1) if share % size == 0)
    return micro, share // micro


def prompt_order(prompts: int, per_step: int, steps: int, seed: int) -> list[int]:
    """Which prompts each step takes, for the whole training: shuffled pass after pass, no prompt twice in one step."""
    draw = random.Random(seed_for(seed, "order of prompts"))  # noqa: S311 (repeats with its seed, which is the point)
    order: list[int] = []
    waiting: list[int] = []
    for _ in range(steps):
        if len(waiting) < per_step:
            following = draw.sample(range(prompts), prompts)
            waiting += sorted(following, key=lambda prompt: prompt in waiting)  # those still waiting come last
        order += waiting[:per_step]
        waiting = waiting[per_step:]
    return order


def make_reward(scorer: Scorer, events: EventLog) -> RewardFunction:
    """The reward TRL asks for: our format, our reward model, finite or the stage fails; newest answers recorded."""

    def reward(
        prompts: Sequence[Any],
        completions: Sequence[Any],
        *,
        conversation: Sequence[Sequence[Mapping[str, str]]],
        trainer_state: Any,
        **_: Any,
    ) -> list[float | None]:
        texts = [str(turns[0]["content"]) for turns in completions]
        rewards = scorer.answers(conversation, texts)
        if trainer_state.is_world_process_zero:
            record_rollouts(events, trainer_state.global_step + 1, conversation, texts, rewards)
        return [*rewards]

    return reward


def record_rollouts(
    events: EventLog,
    step: int,
    conversations: Sequence[Sequence[Mapping[str, str]]],
    texts: Sequence[str],
    rewards: Sequence[float],
) -> None:
    """Record the first answer to each of the step's first prompts."""
    seen: list[str] = []
    for conversation, text, reward in zip(conversations, texts, rewards, strict=True):
        prompt = conversation[-1]["content"]
        if prompt in seen or len(seen) == SHOWN_ROLLOUTS:
            continue
        data = {"step": step, "prompt": prompt, "text": text, "reward": reward}
        events.record("rollout", f"{step}/{len(seen)}", data)
        seen.append(prompt)


def policy_rows(form: ChatFormat, prompts: Sequence[Prompt], *, room: int) -> tuple[list[dict[str, Any]], list[str]]:
    """Rows of TRL's "prompt" and our "conversation"; prompts of more than `room` tokens are left out and counted."""
    rows = []
    for prompt in prompts:
        messages = [{"role": message.role, "content": message.content} for message in prompt.messages]
        if form.prompt_length(messages) <= room:
            rows.append({"prompt": form.prompt(messages), "conversation": messages})
    if not rows:
        raise BadInput(f"No prompt leaves room for an answer: all have more than {room} tokens.", "Shorten them.")
    left_out = len(prompts) - len(rows)
    return rows, [f"{left_out} prompts are left out: they have more than {room} tokens."] if left_out else []


def context_length(model: Any) -> int:
    """The longest text a model can read, in tokens."""
    return int(model.config.get_text_config().max_position_embeddings)
