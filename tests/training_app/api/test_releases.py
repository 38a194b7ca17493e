"""Releases by API: sign-offs by role, aliases by engineers, rules by those who answer for words."""

from __future__ import annotations

import pytest

from tests.training_app.api.calls import client_of
from tests.training_app.factories import FinishedRun
from training_app.models import CheckpointAlias, ReleaseRules, SignOff

pytestmark = pytest.mark.django_db


def test_people_sign_off_in_their_roles(made: FinishedRun) -> None:
    here = f"/api/checkpoints/{made.rl.pk}/release/"
    said = {"role": "auditor", "word": "approve", "note": "Read 60 items."}
    assert client_of("reader").post(here, said).status_code == 409
    assert client_of("engineer").post(here, said).status_code == 409
    auditor = client_of("auditor")
    assert [auditor.post(here, said).status_code for _ in range(2)] == [201, 201]
    assert SignOff.objects.count() == 1
    assert auditor.post(here, {"role": "auditor", "word": "refuse"}).status_code == 409  # without a reason
    assert auditor.post(here, {"role": "king", "word": "approve"}).status_code == 400
    assert auditor.post(here, {"role": "auditor", "word": "refuse", "note": "It lectures."}).status_code == 201
    review = client_of("reader").get(here).json()
    assert [one["word"] for one in review["counting"]] == ["refuse"] and len(review["all_sign_offs"]) == 2
    assert not review["is_complete"] and any("It lectures." in one for one in review["missing"])
    found = client_of("reader").get("/api/sign-offs/", {"checkpoint": str(made.rl.pk), "word": "approve"}).json()
    assert [one["note"] for one in found["results"]] == ["Read 60 items."]
    assert client_of(None).get(here).status_code == 403


def test_engineers_move_aliases_and_production_asks_for_what_is_missing(made: FinishedRun) -> None:
    here = f"/api/checkpoints/{made.rl.pk}/alias/"
    assert client_of("auditor").post(here, {"name": "candidate"}).status_code == 403
    boss = client_of("engineer")
    assert [one["name"] for one in boss.post(here, {"name": "candidate"}).json()["aliases"]] == ["candidate"]
    (alias,) = client_of("reader").get("/api/checkpoint-aliases/", {"name": "candidate"}).json()["results"]
    assert alias["checkpoint"] == made.rl.pk
    rules = {"constitution": made.run.version.constitution, "roles": ["auditor"], "updated_by": made.run.created_by}
    ReleaseRules.objects.create(**rules)
    refused = boss.post(here, {"name": "production"})
    assert refused.status_code == 409 and "production" in refused.json()["detail"]
    assert boss.post(here, {"name": "candidate", "withdraw": True}).json()["aliases"] == []
    assert boss.post(here, {"name": "candidate", "withdraw": True}).status_code == 409
    assert boss.post(here, {"name": "x"}).status_code == 400
    assert not CheckpointAlias.objects.exists()


def test_rules_are_set_by_those_who_answer_for_words(made: FinishedRun) -> None:
    slug = made.run.version.constitution.slug
    here = f"/api/constitutions/{slug}/release-rules/"
    assert client_of("reader").get(here).json() == {"roles": []}
    wanted = {"roles": ["engineer", "auditor"]}
    for role in ("reader", "auditor", "engineer"):
        assert client_of(role).put(here, wanted).status_code == 403
    assert client_of("reviewer").put(here, wanted).json() == {"roles": ["auditor", "engineer"]}
    assert client_of("reviewer").put(here, {"roles": []}).status_code == 409  # only an admin asks for fewer
    assert client_of("reviewer").put(here, {"roles": ["reader"]}).status_code == 400
    assert client_of("reader").get("/api/release-rules/").json()["results"][0]["constitution"] == slug
