"""The bias meter: auditors and judges with intervals, and nothing of what the reader has yet to judge."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from constitutions_app.access import Role
from tests.training_app.factories import FinishedRun
from tests.training_app.queue_scenes import judged, queue_of
from tests.training_app.views.conftest import Queries, somebody

pytestmark = pytest.mark.django_db

URL = reverse("training:bias")


def test_it_shows_auditors_and_judges_with_intervals(reader: Client, jonas: User, finished: FinishedRun) -> None:
    queue = queue_of()
    for choice in ("a", "b", "a"):
        judged(jonas, queue, choice)
    page = reader.get(URL).content.decode()
    assert "Jonas Weber" in page and "SmolLM2-135M-Instruct, paper" in page
    assert page.count('<span class="quiet">[') >= 5


def test_it_says_so_when_nothing_was_judged(reader: Client) -> None:
    page = reader.get(URL).content.decode()
    assert "Nobody has chosen" in page and "No judge has labelled" in page


def test_it_leaves_out_what_the_reader_has_yet_to_judge(auditor: Client, finished: FinishedRun) -> None:
    queue = queue_of(per_item=2)
    judged(somebody("pia", Role.AUDITOR, "Pia Roth"), queue)
    page = auditor.get(URL).content.decode()
    assert "Pia Roth" not in page and "SmolLM2" not in page


def test_queries_do_not_grow_with_the_audits(
    reader: Client, jonas: User, finished: FinishedRun, queries: Queries
) -> None:
    queue = queue_of()
    judged(jonas, queue)
    few = queries(reader, URL)
    judged(jonas, queue)
    judged(somebody("pia", Role.AUDITOR, "Pia Roth"), queue)
    assert queries(reader, URL) == few
