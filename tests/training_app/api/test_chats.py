"""Questions to checkpoints by API: asked once, answered by a worker, one's own in the list."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from tests.training_app.api.calls import client_for, client_of
from tests.training_app.factories import FinishedRun, chat_turn
from training_app import tasks
from training_app.models import ChatTurn

pytestmark = pytest.mark.django_db
HERE = "/api/chats/"


@pytest.fixture(autouse=True)
def no_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks.answer_chat, "apply_async", lambda **options: None)


def question(made: FinishedRun, **changes: Any) -> dict[str, Any]:
    return {
        "id": str(uuid4()),
        "question": "May I open her letter?",
        "left": made.sft.pk,
        "right": made.rl.pk,
        **changes,
    }


def test_a_question_is_asked_once_and_listed_for_who_asked_it(made: FinishedRun) -> None:
    mine, said = client_of("reader"), question(made)
    assert [mine.post(HERE, said).status_code for _ in range(2)] == [201, 201]
    turn = ChatTurn.objects.get()
    assert mine.get(f"{HERE}{turn.pk}/").json()["state"] == "queued"
    assert [one["id"] for one in mine.get(HERE).json()["results"]] == [said["id"]]
    other = client_of("reader")
    assert not other.get(HERE).json()["results"] and other.get(f"{HERE}{turn.pk}/").status_code == 200
    assert other.post(HERE, said).status_code == 400  # somebody else's id
    assert client_of(None).post(HERE, question(made)).status_code == 403


def test_it_goes_on_from_an_earlier_answer(made: FinishedRun) -> None:
    turn = chat_turn(made)
    answer = client_for(made.run.created_by).post(HERE, question(made, after=str(turn.pk)))
    assert [one["role"] for one in answer.json()["messages"]] == ["user", "assistant", "user"]


def test_it_refuses_what_cannot_be_answered(made: FinishedRun) -> None:
    reader = client_of("reader")
    for change, status in (
        ({"left": made.reward.pk}, 400), ({"left": 10**9}, 404), ({"question": " "}, 400), ({"temperature": 9}, 400),
        ({"after": str(uuid4())}, 404), ({"max_new_tokens": 10**6}, 400),
    ):  # fmt: skip
        assert reader.post(HERE, question(made, **change)).status_code == status, change
    assert not ChatTurn.objects.exists()
