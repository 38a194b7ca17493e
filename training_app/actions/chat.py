"""Verbs of chatting: asking one or two checkpoints, and keeping a pair of answers as a scenario."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from uuid import UUID

from django.contrib.auth.models import User
from django.db import transaction

from constitutions_app.actions import create_scenario
from constitutions_app.ledger import record
from constitutions_app.models import Scenario
from training_app.actions.make_scenario import made_before
from training_app.chats import CHATTING_STAGES
from training_app.core.chat import ChatParams
from training_app.core.config import Sampling
from training_app.models import ChatTurn, Checkpoint
from training_app.refusals import ChatRefused
from training_app.tasks import ring_chat

LONGEST_QUESTION = 8000
MOST_MESSAGES = 40
MOST_TOKENS = 1024


def ask_checkpoints(
    *,
    user: User,
    turn_id: UUID,
    question: str,
    left: Checkpoint,
    right: Checkpoint | None = None,
    after: ChatTurn | None = None,
    seed: int = 7,
    temperature: float = 0.7,
    max_new_tokens: int = 256,
    say: Callable[[str], None] | None = None,
) -> ChatTurn:
    """Queue a question and wake an `infer` worker. `after` goes on from an earlier turn with the left one's answer.

    `turn_id` makes a form sent twice one question. Raises ChatRefused, nothing written, for an empty or too long
    question, a conversation that is too long, a model that only scores, or an id of somebody else's.
    """
    question = question.replace("\x00", "").strip()
    if reason := _reason_against(question, left, right, after):
        raise ChatRefused(reason)
    earlier = [*after.messages, {"role": "assistant", "content": after.replies["left"]["text"]}] if after else []
    sampling = Sampling(temperature=temperature, top_p=0.9, max_new_tokens=min(max_new_tokens, MOST_TOKENS))
    with transaction.atomic():
        turn, created = ChatTurn.objects.get_or_create(
            id=turn_id,
            defaults={
                "messages": [*earlier, {"role": "user", "content": question}],
                "left": left,
                "right": right,
                "seed": seed,
                "params": asdict(ChatParams(sampling)),
                "created_by": user,
            },
        )
        if turn.created_by_id != user.pk:
            raise ChatRefused("This question was sent by somebody else before. Open the page anew.")
        if created:
            # The words stay out of the ledger: what people try on a model is often harmful on purpose.
            data = {"checkpoints": [one.digest for one in (left, right) if one is not None], "seed": seed}
            record(actor=user, verb="chat.ask", obj=turn, data=data)
            ring_chat(turn.pk, say=say)
    return turn


def make_scenario_of_chat(*, user: User, turn: ChatTurn, expected: str = "") -> Scenario:
    """The two answers of a turn as a scenario of the left checkpoint's constitution. The same turn gives one scenario.

    Raises ChatRefused while there are no two answers.
    """
    constitution = turn.left.version.constitution
    if "left" not in turn.replies or "right" not in turn.replies:
        raise ChatRefused("A scenario needs the answers of two checkpoints.")
    words = [f"{one['role'].capitalize()}: {one['content']}" for one in turn.messages]
    question = turn.messages[-1]["content"]
    with transaction.atomic():
        if (before := made_before(constitution, "chat", str(turn.pk))) is not None:
            return before
        return create_scenario(
            user=user,
            constitution=constitution,
            title=" ".join(question.split())[:80],
            prompt=question if len(words) == 1 else "\n\n".join(words),
            response_a=turn.replies["left"]["text"],
            response_b=turn.replies["right"]["text"],
            expected=expected if expected in ("a", "b") else "",
            origin={"kind": "chat", "id": str(turn.pk)},
        )


def _reason_against(question: str, left: Checkpoint, right: Checkpoint | None, after: ChatTurn | None) -> str:
    if not question:
        return "Write a question."
    if len(question) > LONGEST_QUESTION:
        return f"The question has {len(question):,} characters; {LONGEST_QUESTION:,} are the most."
    if any(one is not None and one.stage not in CHATTING_STAGES for one in (left, right)):
        return "A reward model scores answers and gives none. Choose another checkpoint."
    if after is not None and "left" not in after.replies:
        return "The answer before this question is not there yet."
    if after is not None and len(after.messages) >= MOST_MESSAGES:
        return "This conversation is as long as it may be. Begin another one."
    return ""
