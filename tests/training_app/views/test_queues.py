"""Queues: the list, making one from a filter, its page, closing it and saying whom it is for."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from constitutions_app.models import Notification
from tests.training_app.factories import FinishedRun
from tests.training_app.queue_scenes import judged, queue_of
from training_app.models import AuditQueue

pytestmark = pytest.mark.django_db

ASKED = {"name": "First look", "kind": "labels", "rule": "uniform", "size": 60, "per_item": 2, "seed": 7, "goal": 0,
         "calibration": 0}  # fmt: skip


def test_a_filter_becomes_a_queue(engineer: Client, jonas: User, finished: FinishedRun) -> None:
    url = reverse("training:new_queue")
    assert 'value="key=privacy"' in engineer.get(f"{url}?filters=key%3Dprivacy").content.decode()
    response = engineer.post(url, {**ASKED, "filters": "key=privacy", "people": [jonas.pk]})
    queue = AuditQueue.objects.get()
    assert response["Location"] == reverse("training:queue", args=[queue.pk])
    assert {item.label.principle.key for item in queue.items.all() if item.label and item.label.principle} == {
        "privacy"
    }
    told = Notification.objects.get(person=jonas)
    assert told.url == response["Location"] and "First look" not in told.text
    assert "First look" in engineer.get(reverse("training:queues")).content.decode()


def test_a_refused_queue_says_why_beside_the_field(engineer: Client, finished: FinishedRun) -> None:
    response = engineer.post(reverse("training:new_queue"), {**ASKED, "filters": "user__password=x"})
    assert response.status_code == 422 and "cannot be filtered by" in response.content.decode()
    nothing = engineer.post(reverse("training:new_queue"), {**ASKED, "filters": "key=none"})
    assert "Nothing matches" in nothing.content.decode() and not AuditQueue.objects.exists()


def test_readers_see_how_far_a_queue_is_and_change_nothing(
    reader: Client, auditor: Client, jonas: User, finished: FinishedRun
) -> None:
    queue = queue_of()
    judged(jonas, queue)
    page = reader.get(reverse("training:queue", args=[queue.pk])).content.decode()
    assert "Jonas Weber" in page and "1 of 6 decisions" in page and "Begin judging" not in page
    assert "Go on judging" in auditor.get(reverse("training:queue", args=[queue.pk])).content.decode()
    for name in ("close_queue", "assign_queue"):
        assert reader.post(reverse(f"training:{name}", args=[queue.pk])).status_code == 403
        assert auditor.post(reverse(f"training:{name}", args=[queue.pk])).status_code == 403, "somebody else made it"


def test_engineers_close_queues_and_say_whom_they_are_for(engineer: Client, jonas: User, finished: FinishedRun) -> None:
    queue = queue_of()
    engineer.post(reverse("training:assign_queue", args=[queue.pk]), {"people": [jonas.pk]})
    assert list(queue.people.all()) == [jonas]
    engineer.post(reverse("training:close_queue", args=[queue.pk]))
    queue.refresh_from_db()
    assert queue.closed_at
