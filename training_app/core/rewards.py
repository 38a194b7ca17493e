"""What an answer earns in RL: the reward model's score (paper, section 4.2), or the judge's preference itself.

* "model": r(prompt, answer), the score of the preference model that learnt from the AI labels;
* "judge": p(answer better than the base model's own first answer), under principles drawn for the prompt, in both
  orders, averaged (arXiv 2309.00267, section 2.3.2, rewards an answer by the judge directly, without a reward model).
  Equal answers earn 1/2, so the mean reward is the win rate against the base model by this judge.

What is left out: rewards of several models together, length penalties, and a judge spread over several GPUs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from constitutions_app.core.principles import Principle
from training_app.core import training
from training_app.core.backends import Backend, open_for_stage
from training_app.core.base_model import check_model_folder
from training_app.core.config import RlParams
from training_app.core.device import Device, judging_dtype
from training_app.core.engine import JUDGE
from training_app.core.errors import BadInput
from training_app.core.events import EventLog
from training_app.core.feedback import judge
from training_app.core.job import Job
from training_app.core.principle_choice import choose_principles, principles_serving
from training_app.core.reward_model import Scorer
from training_app.core.rollouts import Conversation
from training_app.core.rows import Comparison, Message, Response

Reward = Callable[[Sequence[str], Sequence[Conversation], Sequence[str]], list[float]]
"""(prompt ids, conversations, answers) → one finite number for every answer."""


def check_reward(job: Job, params: RlParams) -> None:
    """Refuse, before anything is loaded, a job that does not bring what its reward needs."""
    if params.reward == "model":
        check_model_folder(job.model_for("reward"))
        return
    principles_serving(job.constitution(), "label")
    if (ref := job.model_for("judge")).backend == "local":
        check_model_folder(ref)
    job.input_path("responses")


def open_reward(job: Job, params: RlParams, device: Device, events: EventLog) -> Reward:
    """The reward the job asks for, its model loaded."""
    if params.reward == "model":
        return score_reward(Scorer.load(job.model_for("reward").path, training.own_device(device)))
    responses = job.read_input("responses", Response.from_row)
    return judge_reward(
        open_for_stage(job.model_for("judge"), events, JUDGE, role="judge", dtype=judging_dtype()),
        principles_serving(job.constitution(), "label"),
        {response.prompt_id: response.text for response in responses},
        template=str(job.judge.get("template") or "paper"),
        count=params.judge_principles,
        seed=job.seed,
    )


def score_reward(scorer: Scorer) -> Reward:
    """The reward model's score of every answer."""
    return lambda _ids, conversations, answers: scorer.answers(conversations, answers)


def judge_reward(
    backend: Backend,
    principles: Sequence[Principle],
    first_answers: Mapping[str, str],
    *,
    template: str,
    count: int,
    seed: int,
) -> Reward:
    """p that the judge prefers an answer to `first_answers[prompt id]`, averaged over `count` principles."""

    def reward(ids: Sequence[str], conversations: Sequence[Conversation], answers: Sequence[str]) -> list[float]:
        if unknown := sorted(set(ids) - first_answers.keys()):
            raise BadInput(f"There is no first answer to the prompt {unknown[0]}, which the judge would compare with.")
        asked = [
            (_comparison(number, conversation, answer, first_answers[key]), principle)
            for number, (key, conversation, answer) in enumerate(zip(ids, conversations, answers, strict=True))
            if answer.strip() != first_answers[key].strip()
            for principle in choose_principles(principles, seed, key, count)
        ]
        preferred: dict[str, list[float]] = {}
        for label in judge(asked, backend, template) if asked else ():
            preferred.setdefault(label.comparison_id, []).append(label.p_a)
        return [sum(p) / len(p) if (p := preferred.get(str(number))) else 0.5 for number in range(len(answers))]

    return reward


def _comparison(number: int, conversation: Conversation, answer: str, first: str) -> Comparison:
    messages = tuple(Message(turn["role"], turn["content"]) for turn in conversation)
    return Comparison(str(number), messages[-1].content, answer, first, messages)
