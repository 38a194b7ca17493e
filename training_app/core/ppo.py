"""RL-CAI by PPO, as the paper trains it (section 4.2, "as in Bai et al. 2022"): value head, GAE, clipped objective.

For every prompt answers o are drawn from the policy π. Each token t of an answer is an action with the reward

    r_t = - β (log π(o_t) - log π_ref(o_t))  +  [t is the last] · (R - mean) / std       (arXiv 1909.08593, eq. 2)

so the KL to SL-CAI stands in the reward, and the answer's own reward R, less the running mean by the running deviation
of all rewards so far, comes at its end. A linear head on the policy's last hidden state says V_t, what is to come:

    δ_t = r_t + g V_{t+1} - V_t       A_t = Σ_l (gλ)^l δ_{t+l}       G_t = A_t + V_t     (GAE, arXiv 1506.02438, eq. 16)

    loss = mean_t[ - min(u_t Â_t, clip(u_t, 1-ε, 1+ε) Â_t) ]                              (arXiv 1707.06347, eq. 7)
           + c · 1/2 · mean_t[ max((V_t - G_t)², (clip(V_t, V_old ± ε) - G_t)²) ]

u = π/π_old, g is the discount, Â is A less its mean by its deviation over all tokens of the step. `ppo_epochs` passes
are made over the answers of a step, each in `minibatches` updates; then new ones are drawn. A save holds weights,
value head, optimiser, generators and the running mean and deviation, always between two steps, and every step seeds its
own draws: a resumed training goes the very way of an uninterrupted one.

What is left out: a value model of its own (the head shares the policy's layers), an adaptive β, early stopping on KL,
and the pretraining mix of InstructGPT.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import stdev
from typing import TYPE_CHECKING, Any

from training_app.core import checkpoints, training
from training_app.core.base_model import load_model
from training_app.core.errors import LOWER_RATE, BadInput, NotFinite, Stopped
from training_app.core.events import read_events
from training_app.core.first_batch import record_drawn
from training_app.core.generation import seed_for
from training_app.core.pace import Pace
from training_app.core.rl import Task
from training_app.core.rollouts import record_rollouts, split_step

if TYPE_CHECKING:
    from torch import Tensor

RUNNING = "running.json"
SHARDED = ("DistributedType.FSDP", "DistributedType.DEEPSPEED")
LARGEST_NORM = 1.0
"""Gradients are scaled down to this norm, as TRL's trainers do."""


# The equations


def gae(rewards: Tensor, values: Tensor, mask: Tensor, *, discount: float, gae_lambda: float) -> Tensor:
    """Advantages (B, T) of every action, by generalised advantage estimation; nothing comes after the last action.

    Args:
        rewards, values: (B, T) float.
        mask: (B, T) 1 for the actions of a row, which come first, 0 for what pads it.
    """
    import torch

    advantages = torch.zeros_like(rewards)
    following = torch.zeros_like(rewards[:, 0])
    next_value = torch.zeros_like(following)
    for t in range(rewards.shape[1] - 1, -1, -1):
        is_action = mask[:, t]
        delta = rewards[:, t] + discount * next_value - values[:, t]
        following = (delta + discount * gae_lambda * following) * is_action
        next_value = values[:, t] * is_action
        advantages[:, t] = following
    return advantages


def token_rewards(scores: Tensor, log_ratios: Tensor, mask: Tensor, *, beta: float) -> Tensor:
    """(B, T): the KL penalty at every action, and the answer's score (B,) at its last one."""
    last = mask.long().sum(1, keepdim=True) - 1  # (B, 1)
    return (-beta * log_ratios * mask).scatter_add(1, last, scores[:, None])


def policy_losses(logps: Tensor, old_logps: Tensor, advantages: Tensor, clip: float) -> Tensor:
    """The clipped objective of every action, with its sign turned: (B, T)."""
    import torch

    ratio = (logps - old_logps).exp()
    return -torch.min(ratio * advantages, ratio.clamp(1 - clip, 1 + clip) * advantages)


def value_losses(values: Tensor, old_values: Tensor, returns: Tensor, clip: float) -> Tensor:
    """Half the clipped squared error of every value: (B, T)."""
    import torch

    near = old_values + (values - old_values).clamp(-clip, clip)
    return 0.5 * torch.max((values - returns).square(), (near - returns).square())


@dataclass
class Running:
    """What a training remembers between steps: its step, its tokens, and mean and spread of all rewards so far."""

    step: int = 0
    tokens: int = 0
    count: int = 0
    mean: float = 0.0
    squares: float = 0.0
    """Sum of squared distances from the mean (Welford)."""

    def add(self, rewards: Sequence[float]) -> None:
        """Take in the rewards of one step, from all processes."""
        for reward in rewards:
            self.count += 1
            distance = reward - self.mean
            self.mean += distance / self.count
            self.squares += distance * (reward - self.mean)

    def normalised(self, reward: float) -> float:
        """The reward less the mean, by the deviation."""
        deviation = math.sqrt(self.squares / self.count) if self.count else 0.0
        return (reward - self.mean) / (deviation + 1e-8) if deviation > 1e-6 else 0.0


@dataclass(frozen=True)
class Rollout:
    """The answers of one step, of this process. B answers of at most T tokens after at most P tokens of prompt."""

    ids: Tensor
    """(B, P + T) prompts padded on the left, answers on the right."""
    mask: Tensor
    """(B, P + T) 1 for what is no padding."""
    acted: Tensor
    """(B, T) 1 for the tokens the policy wrote, the end of the answer among them."""
    logps: Tensor
    """(B, T) of the policy that wrote them."""
    values: Tensor
    advantages: Tensor
    """(B, T) normalised over the step."""
    returns: Tensor
    told: dict[str, float]
    """The step's curves, so far as they are known before learning."""


# The loop


def learn(task: Task) -> None:
    """Train ``task.policy`` in place, from the newest sound state. Raises Stopped once a stop was asked for."""
    training.check_world_size()
    learner = _Learner(task)
    learner.resume()
    params, events = task.params, task.events
    known = {event["step"] for event in read_events(events.path) if event["kind"] == "metric"}
    first, pace_so_far = training.is_first_process(), Pace()
    if first:
        events.started(
            device=task.device.label, dtype=task.device.dtype, total=params.steps, unit="steps",
            resumed_at=learner.running.step, notes=task.notes,
        )  # fmt: skip
    while learner.running.step < params.steps:
        with training.drawing(lambda: learner.running.step):
            told = learner.step()
        if first:
            pace = pace_so_far.at(learner.running.step, learner.running.tokens)
            if learner.running.step not in known:
                events.metric(learner.running.step, told | pace)
            events.progress(learner.running.step, tokens=learner.running.tokens)
        if learner.running.step < params.steps:
            stopping = training.anyone(task.should_stop())
            if stopping or learner.running.step % params.save_steps == 0:
                learner.save()
            if stopping:
                raise Stopped


class _Learner:
    """Policy with value head, reference, optimiser and memory of one training."""

    def __init__(self, task: Task) -> None:
        import torch
        from accelerate import Accelerator

        self.task, self.params = task, task.params
        self.accelerator = Accelerator(
            cpu=not task.device.is_cuda, mixed_precision="bf16" if task.device.dtype == "bfloat16" else "no"
        )
        self.accelerator.sync_gradients = True  # kept for the whole process: a training that broke off leaves False
        if str(self.accelerator.distributed_type) in SHARDED:
            raise BadInput("PPO keeps the whole model in every process.", "Choose DDP, or GRPO or RLOO.")
        device = training.own_device(task.device)
        reference = task.job.models.get("reference", task.job.model)
        self.reference = load_model(reference.path, device, dtype="float32").requires_grad_(False)
        actor = make_actor(task.policy.to(device.torch_name).eval())  # eval: no dropout, so that u is 1 at first
        optimizer = torch.optim.AdamW(actor.parameters(), lr=self.params.learning_rate, weight_decay=0.0)
        self.actor, self.optimizer = self.accelerator.prepare(actor, optimizer)
        self.running = Running()
        answers = task.prompts_per_step * self.params.generations
        self.micro, passes = split_step(answers, self.accelerator.num_processes)
        self.share = self.micro * passes

    def step(self) -> dict[str, float]:
        """Draw answers, learn from them, and tell the step's curves."""
        number = self.running.step + 1
        rollout = self._draw(number)
        told = rollout.told | self._learn_from(rollout, number)
        self.running.step = number
        return told

    # -- drawing -----------------------------------------------------------------------------------------------------

    def _draw(self, number: int) -> Rollout:
        """The answers of one step with what they earned, and what the policy thought of them when it wrote them."""
        import torch

        rank = self.accelerator.process_index
        rows = self._rows(number)[rank * self.share : (rank + 1) * self.share]
        torch.manual_seed(seed_for(self.task.job.seed, f"rollout {number} of process {rank}") % 2**63)
        ids, mask, acted = self._answers(rows)
        written = ids[:, -acted.shape[1] :] * acted + self._pad * (1 - acted)
        texts = self.task.tokenizer.batch_decode(written, skip_special_tokens=True)
        conversations = [row["conversation"] for row in rows]
        scores = self.task.reward([str(row["id"]) for row in rows], conversations, texts)
        if rank == 0:
            record_rollouts(self.task.events, number, conversations, texts, scores)
            if number == 1:
                record_drawn(self.task.events, self.task.tokenizer, ids, mask, width=acted.shape[1])
        logps, entropy, values = self._read(ids, mask, acted)
        log_ratios = (logps - self._reference_logps(ids, mask, acted)) * acted
        everyone = self._gathered(torch.tensor(scores, dtype=torch.float64)).tolist()
        tokens = self._total(acted.sum())
        self.running.add(everyone)
        self.running.tokens += int(tokens)
        earned = [self.running.normalised(score) for score in scores] if self.params.normalise_reward else scores
        rewards = token_rewards(torch.tensor(earned, device=ids.device), log_ratios, acted, beta=self.params.beta)
        advantages = gae(rewards, values, acted, discount=self.params.discount, gae_lambda=self.params.gae_lambda)
        inverse = (-log_ratios).exp() + log_ratios - 1  # never below 0, and KL(π ‖ π_ref) on average, as in GRPO
        told = {
            "reward": sum(everyone) / len(everyone),
            "reward_std": stdev(everyone) if len(everyone) > 1 else 0.0,
            "kl": self._total((inverse * acted).sum()) / tokens,
            "entropy": self._total((entropy * acted).sum()) / tokens,
            "completion_length": tokens / len(everyone),
            "cut_off": self._total(self._is_cut(ids, acted).sum()) / len(everyone),
        }
        if not all(map(math.isfinite, told.values())):
            raise NotFinite(f"A probability became no number at step {number}.", LOWER_RATE)
        returns = (advantages + values) * acted
        return Rollout(ids, mask, acted, logps, values, self._normalised(advantages, acted, tokens), returns, told)

    def _rows(self, number: int) -> list[Mapping[str, Any]]:
        """The prompts of one step, each as often as it is answered, of all processes together."""
        per_step = self.task.prompts_per_step
        places = self.task.order[(number - 1) * per_step : number * per_step]
        return [self.task.rows[place] for place in places for _ in range(self.params.generations)]

    def _normalised(self, advantages: Tensor, acted: Tensor, tokens: float) -> Tensor:
        """Advantages less their mean by their deviation, over all tokens of the step in all processes."""
        mean = self._total((advantages * acted).sum()) / tokens
        deviation = (self._total(((advantages - mean).square() * acted).sum()) / tokens) ** 0.5
        normalised: Tensor = (advantages - mean) / (deviation + 1e-8) * acted
        return normalised

    def _answers(self, rows: Sequence[Any]) -> tuple[Tensor, Tensor, Tensor]:
        """Tokens (B, P + T) of prompts and drawn answers, what is no padding of them, and (B, T) what was written."""
        import torch

        asked = self.task.tokenizer.apply_chat_template(
            [list(row["prompt"]) for row in rows], add_generation_prompt=True, tokenize=True, padding=True,
            return_dict=True, return_tensors="pt",
        ).to(self.accelerator.device)  # fmt: skip
        policy = self.accelerator.unwrap_model(self.actor).policy
        with torch.no_grad(), self.accelerator.autocast():
            ids = policy.generate(
                input_ids=asked["input_ids"], attention_mask=asked["attention_mask"], do_sample=True,
                temperature=self.params.temperature, top_k=0, top_p=1.0, repetition_penalty=1.0,
                max_new_tokens=self.params.max_completion_length, pad_token_id=self._pad, eos_token_id=self._end,
            )  # fmt: skip
        answers = ids[:, asked["input_ids"].shape[1] :]
        ended = (answers == self._end).long()
        acted = (ended.cumsum(1) - ended == 0).long()  # up to the end of the answer, itself included
        return ids, torch.cat([asked["attention_mask"], acted], dim=1), acted

    @property
    def _end(self) -> int:
        return int(self.task.tokenizer.eos_token_id)

    @property
    def _pad(self) -> int:
        return int(self.task.tokenizer.pad_token_id)

    def _is_cut(self, ids: Tensor, acted: Tensor) -> Tensor:
        return ((ids[:, -acted.shape[1] :] == self._end).long() * acted).sum(1) == 0

    def _read(self, ids: Tensor, mask: Tensor, acted: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, T) log-probabilities, entropies and values of the answers under the policy as it is."""
        import torch

        width, temperature = acted.shape[1], self.params.temperature
        with torch.no_grad():
            parts = [self.actor(ids[at], mask[at], width, temperature) for at in self._parts(len(ids))]
        logps, entropy, values = (torch.cat(found) for found in zip(*parts, strict=True))
        return logps, entropy, values

    def _reference_logps(self, ids: Tensor, mask: Tensor, acted: Tensor) -> Tensor:
        import torch

        width, temperature = acted.shape[1], self.params.temperature
        with torch.no_grad(), self.accelerator.autocast():
            parts = [
                answer_logps(self.reference, ids[at], mask[at], width, temperature) for at in self._parts(len(ids))
            ]
        return torch.cat([logps for logps, _, _ in parts])

    def _parts(self, count: int) -> list[slice]:
        return [slice(start, start + self.micro) for start in range(0, count, self.micro)]

    # -- learning ----------------------------------------------------------------------------------------------------

    def _learn_from(self, rollout: Rollout, number: int) -> dict[str, float]:
        """Every pass and update over the answers of one step; the means over all updates, and the newest norm."""
        import torch

        sums = {"loss": 0.0, "value_loss": 0.0, "clipped": 0.0}
        draw = torch.Generator().manual_seed(seed_for(self.task.job.seed, f"passes of step {number}") % 2**63)
        updates = 0
        norm = 0.0
        for _ in range(self.params.ppo_epochs):
            order = torch.randperm(self.share, generator=draw)
            for chosen in order.chunk(self.params.minibatches):
                found, norm = self._update(rollout, chosen)
                sums = {name: total + found[name] for name, total in sums.items()}
                updates += 1
        return {name: total / updates for name, total in sums.items()} | {
            "grad_norm": norm, "learning_rate": self.params.learning_rate,
        }  # fmt: skip

    def _update(self, rollout: Rollout, chosen: Tensor) -> tuple[dict[str, float], float]:
        """One step of the optimiser on the answers `chosen`, in passes of `micro`: the loss is a mean over tokens."""
        params, processes = self.params, self.accelerator.num_processes
        chosen = chosen.to(rollout.ids.device)
        tokens = max(self._total(rollout.acted[chosen].sum()), 1.0)
        sums = {"loss": 0.0, "value_loss": 0.0, "clipped": 0.0}
        self.optimizer.zero_grad()
        parts = [chosen[at] for at in self._parts(len(chosen))]
        for place, at in enumerate(parts):
            acted = rollout.acted[at]
            with nullcontext() if place == len(parts) - 1 else self.accelerator.no_sync(self.actor):
                logps, _, values = self.actor(rollout.ids[at], rollout.mask[at], acted.shape[1], params.temperature)
                policy = policy_losses(logps, rollout.logps[at], rollout.advantages[at], params.clip)
                value = value_losses(values, rollout.values[at], rollout.returns[at], params.clip)
                loss = ((policy + params.value_weight * value) * acted).sum() / tokens
                self.accelerator.backward(loss * processes)  # several processes take the mean of their gradients
            moved = ((logps.detach() - rollout.logps[at]).exp() - 1).abs() > params.clip
            sums["loss"] += float(loss.detach())
            sums["value_loss"] += float((value.detach() * acted).sum() / tokens)
            sums["clipped"] += float((moved * acted).sum() / tokens)
        norm = float(self.accelerator.clip_grad_norm_(self.actor.parameters(), LARGEST_NORM))
        self.optimizer.step()
        return {name: self._total(value) for name, value in sums.items()}, norm

    # -- several processes, and saves --------------------------------------------------------------------------------

    def _gathered(self, values: Tensor) -> Tensor:
        found: Tensor = self.accelerator.gather(values.to(self.accelerator.device))
        return found

    def _total(self, value: Tensor | float) -> float:
        """The sum of a number over all processes."""
        import torch

        number = torch.as_tensor(value, dtype=torch.float64, device=self.accelerator.device)
        return float(self.accelerator.reduce(number, reduction="sum"))

    def save(self) -> None:
        """A sealed state between two steps, the two newest kept."""
        states = self.task.job.out / checkpoints.TRAINER
        newest = states / f"checkpoint-{self.running.step}"
        self.accelerator.save_state(str(newest))
        training.everyone_is_here()
        if training.is_first_process():
            (newest / RUNNING).write_text(json.dumps(asdict(self.running)), encoding="utf-8")
            checkpoints.seal_state(newest, step=self.running.step, identity=self.task.job.identity())
            checkpoints.prune_states(states)

    def resume(self) -> None:
        """Go on from the newest state whose seal holds; what was thrown away is told."""
        with training.first_process_first():  # it throws damaged states away; the others then find what it found
            found, thrown = checkpoints.newest_sound_state(
                self.task.job.out / checkpoints.TRAINER, identity=self.task.job.identity()
            )
        for sentence in thrown:
            self.task.events.log(sentence, level="warning")
        if found is not None:
            self.accelerator.load_state(str(found))
            self.running = Running(**json.loads((Path(found) / RUNNING).read_text(encoding="utf-8")))


# The network


def make_actor(policy: Any) -> Any:
    """The policy with a linear value head beside its language head; the head starts at 0, so every value does."""
    import torch

    class PolicyWithValue(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.policy = policy
            width = int(policy.config.get_text_config().hidden_size)
            self.value = torch.nn.Linear(width, 1, device=policy.device, dtype=torch.float32)
            torch.nn.init.zeros_(self.value.weight)
            torch.nn.init.zeros_(self.value.bias)

        def forward(self, ids: Tensor, mask: Tensor, width: int, temperature: float) -> tuple[Tensor, Tensor, Tensor]:
            """(B, T) log-probabilities, entropies and values of the last `width` tokens of every row."""
            logps, entropy, states = answer_logps(self.policy, ids, mask, width, temperature)
            return logps, entropy, self.value(states.float()).squeeze(-1)

    return PolicyWithValue()


def answer_logps(
    model: Any, ids: Tensor, mask: Tensor, width: int, temperature: float
) -> tuple[Tensor, Tensor, Tensor]:
    """(B, T) log-probabilities and entropies of the last `width` tokens, and (B, T, D) the state before each."""
    outputs = model(
        input_ids=ids, attention_mask=mask, position_ids=(mask.cumsum(1) - 1).clamp(min=0), use_cache=False,
        output_hidden_states=True, logits_to_keep=width + 1,
    )  # fmt: skip
    logps = (outputs.logits[:, :-1].float() / temperature).log_softmax(-1)  # (B, T, V)
    entropy = -(logps.exp() * logps).sum(-1)
    chosen = logps.gather(-1, ids[:, -width:, None]).squeeze(-1)
    return chosen, entropy.detach(), outputs.hidden_states[-1][:, -(width + 1) : -1]
