"""Questions to checkpoints by API: asked once, answered by a worker, one's own in the list."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from tests.training_app.api.calls import client_for, client_of
from tests.training_app.factories import FinishedRun, chat_turn
from tests.training_app.queue_scenes import auditor
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


def test_a_pair_is_sent_once_and_told_to_nobody_who_can_be_given_it(made: FinishedRun) -> None:
    turn, olu = chat_turn(made), client_for(auditor("olu"))
    send = f"{HERE}{turn.pk}/send/"
    assert client_of("reader").post(send).status_code == 403
    sent = [client_of("engineer").post(send) for _ in range(2)]
    assert sent[0].json() == sent[1].json() and sent[0].json()["position"] == 1
    assert olu.get(f"{HERE}{turn.pk}/").status_code == 404
    assert olu.post(send).status_code == 404
    assert olu.post(HERE, question(made, after=str(turn.pk))).status_code == 403
    pair = sent[0].json()["comparison"]
    assert olu.get(f"/api/comparisons/{pair}/").status_code == 404
    item = olu.post(f"/api/queues/{sent[0].json()['queue']}/next/").json()["item"]
    assert item["revealed"] is None and item["principle"] is None and len(item["sides"]) == 2
    place = f"/api/queues/{item['queue']}/items/1/"
    chosen = olu.post(f"{place}choose/", {"id": str(uuid4()), "side": "second"}).json()
    assert {one["checkpoint"] for one in chosen["revealed"]["authors"]} == {made.sft.pk, made.rl.pk}
    assert olu.get(f"{HERE}{turn.pk}/").status_code == 200
    alone = chat_turn(made, right=None, replies={"left": {"text": "Yes.", "tokens": 1, "finish": "stop"}})
    assert client_of("engineer").post(f"{HERE}{alone.pk}/send/").status_code == 409


def test_a_pair_becomes_a_scenario(made: FinishedRun) -> None:
    turn = chat_turn(made)
    scenario = f"{HERE}{turn.pk}/scenario/"
    assert client_of("reader").post(scenario, {"expected": "b"}).status_code == 403
    said = [client_of("author").post(scenario, {"expected": "b"}).json() for _ in range(2)]
    found = made.run.version.constitution.scenarios.get()
    assert said[0] == said[1] == {"constitution": found.constitution.slug, "key": found.key}
