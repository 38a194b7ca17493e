from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client

from tests.training_app import factories
from tests.training_app.factories import FinishedRun
from tests.training_app.views.conftest import Queries
from training_app.models import Audit

pytestmark = pytest.mark.django_db


def test_it_explains_itself_when_there_is_nothing(reader: Client) -> None:
    assert "There is nothing to judge yet." in reader.get("/audit/").content.decode()


def test_it_says_what_waits_and_how_often_people_override(auditor: Client, jonas: User, finished: FinishedRun) -> None:
    for label, verdict, choice in zip(finished.labels, ("agree", "override", "agree"), "bab", strict=False):
        Audit.objects.create(auditor=jonas, label=label, verdict=verdict, choice=choice, blind=False)
    Audit.objects.create(auditor=jonas, label=finished.labels[4], verdict="comment", comment="hm", blind=False)
    page = auditor.get("/audit/").content.decode()
    assert "3 of 6 judged" in page  # a comment judges nothing
    assert f"/audit/labels/?run={finished.run.pk}&amp;audit=waiting" in page
    assert "33%" in page and "[6, 79]" in page  # 1 of 3 with Wilson's interval
    assert "0 of 12 judged" in page
    assert "nothing judged" in page


def test_it_lists_what_was_said_lately(reader: Client, jonas: User, finished: FinishedRun) -> None:
    assert "Nobody has judged anything yet." in reader.get("/audit/").content.decode()
    Audit.objects.create(auditor=jonas, step=finished.steps[1], verdict="override", blind=False, comment="too short")
    page = reader.get("/audit/").content.decode()
    assert "too short" in page
    assert f"/audit/traces/{finished.traces[0].pk}/#s2" in page


def test_it_takes_as_many_queries_for_many_runs(
    auditor: Client, ada: User, jonas: User, finished: FinishedRun, queries: Queries
) -> None:
    Audit.objects.create(auditor=jonas, label=finished.labels[0], verdict="agree", blind=False)
    few = queries(auditor, "/audit/")
    again = factories.finished_run(ada, finished.run.version)
    for label in again.labels:
        Audit.objects.create(auditor=jonas, label=label, verdict="agree", blind=False)
    assert queries(auditor, "/audit/") == few
