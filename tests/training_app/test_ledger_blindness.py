"""What the ledger keeps back from who has yet to judge blind, asked once for a page of entries."""

from __future__ import annotations

from uuid import uuid4

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from constitutions_app.access import Role
from tests.training_app.factories import finished_run, person
from tests.training_app.queue_scenes import queue_of
from training_app.actions import adjudicate, record_audit
from training_app.actions.record_audit import Verdict

pytestmark = pytest.mark.django_db


def test_a_page_of_the_api_asks_once_and_tells_neither_verdicts_nor_last_words() -> None:
    ada, pia, olu = person("ada"), person("pia"), person("olu")
    olu.groups.add(Group.objects.get(name=Role.AUDITOR))
    made = finished_run(ada)
    queue_of(size=len(made.labels))
    client = Client()
    client.force_login(olu, backend="cai_web.backends.PasswordBackend")
    counts = []
    for label in made.labels[:2]:
        record_audit(user=pia, audit_id=uuid4(), item=label, said=Verdict("agree"))
        adjudicate(user=ada, adjudication_id=uuid4(), item=label, outcome="b", note="Read it again.")
        with CaptureQueriesContext(connection) as asked:
            entries = client.get("/api/ledger/").json()["results"]
        counts.append(len(asked))
        told = {entry["verb"]: entry["body"] for entry in entries}
        assert told["audit.record"] == told["audit.adjudicate"] == "" and all(
            told[verb] for verb in told if verb not in ("audit.record", "audit.adjudicate")
        )
    assert counts[0] == counts[1]
