"""The queue on the list of runs: seen by everybody, steered by engineers."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from tests.training_app import factories
from tests.training_app.views.conftest import Queries
from training_app import placement
from training_app.models import Run

pytestmark = pytest.mark.django_db


def order() -> list[int]:
    return list(placement.queued().values_list("number", flat=True))


def test_an_engineer_orders_the_queue_and_a_reader_only_sees_it(engineer: Client, reader: Client, ada: User) -> None:
    assert "Nothing waits" not in engineer.get("/runs/").content.decode()
    version = factories.published_version(ada)
    first, second = (factories.queued_run(ada, version, name=name) for name in ("<b>one</b>", "two"))
    place = reverse("training:order_run", args=[second.pk])
    assert "Move run 2 earlier" in engineer.get("/runs/").content.decode()
    page = reader.get("/runs/").content.decode()
    assert "Queued runs" in page and "Move run" not in page and "Pause the queue" not in page
    assert "<b>one</b>" not in page
    assert reader.post(place, {"to": "first"}).status_code == 403
    assert engineer.post(place, {"to": "first"}).status_code == 302
    assert order() == [2, 1]
    engineer.post(reverse("training:order_run", args=[first.pk]), {"priority": "1"})
    assert order() == [1, 2]
    for wrong in ({"priority": "9"}, {"priority": "x"}, {"to": "sideways"}, {}):
        answer = engineer.post(place, wrong, follow=True).content.decode()
        assert 'data-tone="error"' in answer, wrong
    assert order() == [1, 2]


def test_pausing_is_said_to_everybody(engineer: Client, reader: Client, ada: User) -> None:
    engineer.post("/runs/queue/", {"act": "pause", "reason": "<i>moving disks</i>"})
    page = reader.get("/runs/").content.decode()
    assert "The queue is paused" in page and "Ada Osei" in page and "&lt;i&gt;moving disks" in page
    assert reader.post("/runs/queue/", {"act": "open"}).status_code == 403
    assert placement.is_paused()
    engineer.post("/runs/queue/", {"act": "open"})
    assert "The queue is paused" not in reader.get("/runs/").content.decode()


def test_the_panel_costs_the_same_for_many(engineer: Client, ada: User, queries: Queries) -> None:
    version = factories.published_version(ada)
    factories.queued_run(ada, version)
    few = queries(engineer, "/runs/")
    for _ in range(5):
        factories.queued_run(ada, version)
    assert queries(engineer, "/runs/") == few
    assert Run.objects.filter(state="queued").count() == 6
