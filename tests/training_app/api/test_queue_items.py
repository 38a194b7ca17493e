"""Judging by API: blind before the choice, revealed after it, kept once, and never more told than the page tells."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from tests.training_app.api.calls import client_for, client_of
from tests.training_app.factories import FinishedRun
from tests.training_app.queue_scenes import auditor, queue_of
from tests.training_app.scenes import comparisons
from training_app.auditor_settings import settings_of
from training_app.models import Audit, AuditorSettings, AuditQueue, Exposure, Reservation

pytestmark = pytest.mark.django_db
TELLING = ("p_a", "ab_logp_a", "human_choice", "AI", "override")


@pytest.fixture
def olu(made: FinishedRun) -> User:
    user = auditor("olu")
    AuditorSettings.objects.create(person=user, veil_from=AuditorSettings.Veil.NOTHING)
    return user


def given(client: APIClient, queue: AuditQueue) -> dict[str, Any]:
    answer = client.post(f"/api/queues/{queue.pk}/next/")
    assert answer.status_code == 200, answer.content
    item: dict[str, Any] = answer.json()["item"]
    return item


def place(item: dict[str, Any], verb: str = "") -> str:
    return f"/api/queues/{item['queue']}/items/{item['position']}/{verb}"


def test_a_label_is_blind_until_the_choice_and_then_revealed(made: FinishedRun, olu: User) -> None:
    client, queue = client_for(olu), queue_of()
    answer = client.post(f"/api/queues/{queue.pk}/next/")
    item = answer.json()["item"]
    assert [side["side"] for side in item["sides"]] == ["first", "second"] and all(
        side["text"] for side in item["sides"]
    )
    assert item["revealed"] is None and item["choice"] == "" and item["principle"]["text"]
    assert not [word for word in TELLING if word in answer.content.decode()]
    assert client.get(place(item)).json() == item
    early = client.post(place(item, "decide/"), {"id": str(uuid4())})
    assert early.status_code == 400 and "choice" in early.json()
    chosen = client.post(place(item, "choose/"), {"id": str(uuid4()), "side": "first", "seconds": 4}).json()
    shown = Reservation.objects.get(auditor=olu).shown_first
    assert chosen["choice"] == "first" and chosen["revealed"]["first"] == shown
    assert chosen["revealed"]["label"]["p_a"] is not None
    again = client.post(place(item, "choose/"), {"id": str(uuid4()), "side": "second"}).json()
    assert again["choice"] == "first"  # the blind choice never changes


def test_a_decision_sent_twice_is_kept_once(made: FinishedRun, olu: User) -> None:
    client, queue = client_for(olu), queue_of()
    item, key = given(client, queue), str(uuid4())
    client.post(place(item, "choose/"), {"id": str(uuid4()), "side": "neither"})
    said = {"id": key, "reason": "both_bad", "confidence": 4, "comment": "Neither asks why."}
    answers = [client.post(place(item, "decide/"), said) for _ in range(2)]
    assert [one.status_code for one in answers] == [200, 200]
    audit = Audit.objects.get()
    assert (str(audit.pk), audit.verdict, audit.blind, audit.reason) == (key, "override", True, "both_bad")
    assert answers[1].json()["revealed"]["audit"]["id"] == key
    assert client.post(place(item, "decide/"), {"id": str(uuid4())}).status_code == 409
    assert AuditQueue.objects.get(pk=queue.pk).decisions == 1
    assert given(client, queue)["position"] != item["position"]
    undone = client.post(f"/api/queues/{queue.pk}/undo/").json()
    assert (undone["position"], undone["state"]) == (item["position"], "open")
    assert client_for(auditor("new")).post(f"/api/queues/{queue.pk}/undo/").status_code == 409


def test_a_step_shows_what_it_made_of_which_text(made: FinishedRun, olu: User) -> None:
    client, queue = client_for(olu), queue_of("steps", hide_principle=True)
    item = given(client, queue)
    assert item["step"]["before"] and item["step"]["critique"] and item["sides"] == []
    assert item["principle"] is None  # this queue keeps it back until the choice
    said = {"id": str(uuid4()), "side": "second", "critique_fair": True}
    revealed = client.post(place(item, "choose/"), said).json()
    assert revealed["principle"]["text"] and revealed["revealed"]["step"]
    client.post(place(item, "decide/"), {"id": str(uuid4()), "critique_fair": False})
    audit = Audit.objects.get()
    assert (audit.verdict, audit.revision_better, audit.critique_fair) == ("override", False, False)


def test_a_known_answer_looks_like_any_other_until_it_is_chosen(made: FinishedRun, olu: User) -> None:
    client, known = client_for(olu), comparisons(2)
    queue = queue_of(size=1, calibration_set=known, calibration=2)
    blind, mixed_in = [], []
    for _ in range(3):
        item = given(client, queue)
        blind.append(item)
        after = client.post(place(item, "choose/"), {"id": str(uuid4()), "side": "first"}).json()
        mixed_in.append(bool(after["revealed"]["known"]))
        assert client.post(place(item, "decide/"), {"id": str(uuid4())}).status_code == 200
    assert sum(mixed_in) == 2 and len({frozenset(item) for item in blind}) == 1
    assert len({item["why"] for item in blind}) <= 2
    assert client.post(f"/api/queues/{queue.pk}/next/").json() == {"item": None}


def test_harmful_texts_are_veiled_until_asked_for_and_counted(made: FinishedRun, olu: User) -> None:
    settings = settings_of(olu)
    settings.veil_from = AuditorSettings.Veil.ALL
    settings.save()
    client, queue = client_for(olu), queue_of()
    item = given(client, queue)
    assert item["is_veiled"] and item["sides"] == [] and item["prompt"] == "" and not Exposure.objects.exists()
    shown = [client.post(place(item, "show/")).json() for _ in range(2)]
    assert shown[0]["prompt"] and len(shown[1]["sides"]) == 2
    assert Exposure.objects.get().person == olu


def test_what_is_refused_goes_to_others_and_another_comes(made: FinishedRun, olu: User) -> None:
    client, queue = client_for(olu), queue_of()
    item = given(client, queue)
    beside = client.post(f"/api/queues/{queue.pk}/next/", {"beside": item["position"]}).json()["item"]
    assert beside["position"] != item["position"]
    assert client.post(f"/api/queues/{queue.pk}/next/", {"beside": 9999}).status_code == 404
    other = client.post(place(item, "refuse/"), {"reason": "too close"}).json()["item"]
    assert other["position"] == beside["position"]
    assert client.get(place(item)).json()["state"] == "refused"


def test_only_whom_an_item_was_given_sees_it(made: FinishedRun, olu: User) -> None:
    queue = queue_of(people=(olu,))
    item = given(client_for(olu), queue)
    for client, status in ((client_of("reader"), 403), (client_of("auditor"), 404), (client_of(None), 403)):
        assert client.get(place(item)).status_code == status
        for verb in ("choose/", "decide/", "refuse/", "show/"):
            assert client.post(place(item, verb), {"id": str(uuid4()), "side": "first"}).status_code == status
    for role in ("reader", "auditor"):  # it names somebody else
        assert client_of(role).post(f"/api/queues/{queue.pk}/next/").status_code == 403
