"""Verdicts: auditors give them, once."""

from __future__ import annotations

from uuid import uuid4

import pytest

from tests.training_app.api.calls import client_of
from tests.training_app.factories import FinishedRun
from training_app.models import Audit

pytestmark = pytest.mark.django_db


def test_auditors_give_verdicts_once(made: FinishedRun) -> None:
    said = {"id": str(uuid4()), "label": made.labels[0].pk, "verdict": "override", "choice": "neither", "blind": True}
    assert client_of("engineer").post("/api/audits/", said).status_code == 403
    auditor = client_of("auditor")
    assert [auditor.post("/api/audits/", said).status_code for _ in range(2)] == [201, 201]
    assert Audit.objects.get().blind is True
    assert client_of("auditor").post("/api/audits/", said).status_code == 400  # somebody else's id
    for change in ({"step": made.steps[0].pk}, {"label": None}, {"choice": ""}, {"verdict": "x"}, {"confidence": 9}):
        assert auditor.post("/api/audits/", {**said, "id": str(uuid4()), **change}).status_code == 400
    assert auditor.post("/api/audits/", {**said, "id": str(uuid4()), "label": 10**9}).status_code == 404
