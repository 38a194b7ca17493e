"""The pages on which checkpoints are asked."""

from __future__ import annotations

import uuid

import pytest
from django.test import Client
from django.urls import reverse

from tests.training_app import factories
from tests.training_app.factories import FinishedRun
from training_app import tasks
from training_app.models import ChatTurn, QueueItem

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def no_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks.answer_chat, "apply_async", lambda **options: None)


def said(finished: FinishedRun, **changes: object) -> dict[str, object]:
    return {
        "question": "May I open her letter?", "left": finished.sft.pk, "right": finished.rl.pk, "temperature": 0.7,
        "max_new_tokens": 64, "seed": 7, "turn_id": uuid.uuid4(), **changes,
    }  # fmt: skip


def test_a_reader_asks_two_side_by_side(reader: Client, finished: FinishedRun) -> None:
    page = reader.get(f"/chat/?left={finished.rl.pk}&right={finished.sft.pk}").content.decode()
    assert f'<option value="{finished.rl.pk}" selected>' in page and "Reward model" not in page
    answer = reader.post("/chat/", said(finished))
    turn = ChatTurn.objects.get()
    assert answer["Location"] == reverse("training:chat_turn", args=[turn.pk])
    waiting = reader.get(answer["Location"]).content.decode()
    assert "waiting for a worker" in waiting and 'hx-trigger="every 1s"' in waiting


def test_an_old_checkpoint_can_be_asked_by_its_address(
    reader: Client, finished: FinishedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training_app.views.chat.OFFERED", 1)  # the newest alone stands in the list by itself
    page = reader.get("/chat/").content.decode()
    assert f'value="{finished.rl.pk}"' in page and f'value="{finished.sft.pk}"' not in page
    page = reader.get(f"/chat/?left={finished.sft.pk}&right=x").content.decode()
    assert f'<option value="{finished.sft.pk}" selected>' in page
    answer = reader.post("/chat/", said(finished))
    assert answer.status_code == 302
    assert f'<option value="{finished.sft.pk}" selected>' in reader.get(answer["Location"]).content.decode()
    for wrong in (finished.reward.pk, "9" * 30, "²"):
        assert reader.post("/chat/", said(finished, left=wrong)).status_code == 422


def test_what_is_wrong_is_said_beside_what_was_typed(reader: Client, finished: FinishedRun) -> None:
    answer = reader.post("/chat/", said(finished, question="Kept words", temperature=9))
    assert answer.status_code == 422 and "Kept words" in answer.content.decode()
    assert reader.post("/chat/", said(finished, left=finished.reward.pk)).status_code == 422
    assert not ChatTurn.objects.exists()


def test_answers_stand_side_by_side_and_hostile_ones_are_shown_as_text(reader: Client, finished: FinishedRun) -> None:
    turn = factories.chat_turn(finished)
    page = reader.get(reverse("training:chat_turn", args=[turn.pk])).content.decode()
    assert "Put the key back." in page and "Ask her first." in page and "cut for its length" in page
    bad = {"left": {"text": "<script>alert(1)</script>", "tokens": 1, "finish": "stop"}}
    hostile = factories.chat_turn(finished, replies=bad, right=None)
    page = reader.get(reverse("training:chat_turn", args=[hostile.pk])).content.decode()
    assert "&lt;script&gt;alert(1)" in page and "<script>alert" not in page


def test_an_auditor_makes_a_scenario_in_one_click(auditor: Client, reader: Client, finished: FinishedRun) -> None:
    turn = factories.chat_turn(finished)
    url = reverse("training:scenario_from_chat", args=[turn.pk])
    assert reader.post(url, {"expected": "b"}).status_code == 403
    answer = auditor.post(url, {"expected": "b"})
    scenario = finished.run.version.constitution.scenarios.get()
    assert answer["Location"] == reverse("constitutions:edit_scenario", args=[scenario.constitution.slug, scenario.key])


def test_a_pair_is_sent_to_the_audit_queue_in_one_click_and_judged_blind(
    engineer: Client, auditor: Client, reader: Client, finished: FinishedRun
) -> None:
    turn = factories.chat_turn(finished)
    here, send = (reverse(f"training:{name}", args=[turn.pk]) for name in ("chat_turn", "send_chat"))
    assert "Send the pair" not in reader.get(here).content.decode()
    assert reader.post(send).status_code == 403
    assert "Send the pair" in engineer.get(here).content.decode()
    assert [engineer.post(send)["Location"] for _ in range(2)] == [here, here]
    item = QueueItem.objects.get()
    assert "Nobody has chosen yet" in reader.get(here).content.decode()
    hidden = auditor.get(here).content.decode()
    assert "not told" in hidden and "Ask her first." not in hidden and "SL-CAI" not in hidden
    for name in ("send_chat", "scenario_from_chat"):
        assert auditor.post(reverse(f"training:{name}", args=[turn.pk])).status_code == 403
    assert auditor.post("/chat/", said(finished, after=turn.pk)).status_code == 403
    auditor.post(reverse("training:queue_take", args=[item.queue_id]))
    place = reverse("training:queue_item", args=[item.queue_id, item.position])
    blind = auditor.get(place).content.decode()
    assert "Ask her first." in blind and "SL-CAI" not in blind and "RL-CAI" not in blind and str(turn.pk) not in blind
    auditor.post(f"{place}choose/", {"side": "first", "idempotency_key": uuid.uuid4(), "seconds": 3})
    shown = auditor.get(place).content.decode()
    assert "SL-CAI" in shown and "RL-CAI" in shown and "No AI judged this pair" in shown
    auditor.post(f"{place}keep/", {"idempotency_key": uuid.uuid4()})
    assert "People preferred" in auditor.get(here).content.decode()
    explored = reader.get("/audit/explore/?kind=comparison&source=chat").content.decode()
    assert here in explored and "Two checkpoints, asked" in explored
    queue = reader.get(reverse("training:queue", args=[item.queue_id])).content.decode()
    assert "questions to two checkpoints" in queue


def test_an_auditor_may_have_it_shown_and_leave_it_to_others(
    engineer: Client, auditor: Client, finished: FinishedRun
) -> None:
    turn = factories.chat_turn(finished)
    engineer.post(reverse("training:send_chat", args=[turn.pk]))
    look = reverse("training:look_at_chat", args=[turn.pk])
    assert auditor.post(look)["Location"] == reverse("training:chat_turn", args=[turn.pk])
    assert "Ask her first." in auditor.get(reverse("training:chat_turn", args=[turn.pk])).content.decode()
    other = factories.chat_turn(finished)
    assert auditor.post(reverse("training:look_at_chat", args=[other.pk])).status_code == 404


def test_before_any_checkpoint_the_page_explains_itself(reader: Client) -> None:
    assert "No checkpoint answers yet." in reader.get("/chat/").content.decode()
