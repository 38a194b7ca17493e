"""Releases by API: sign-offs by role, aliases by engineers, rules by those who answer for words."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.conf import LazySettings

from tests.training_app.api.calls import client_of
from tests.training_app.factories import FinishedRun
from training_app import tasks
from training_app.core.signing_keys import make_key
from training_app.models import CheckpointAlias, CheckpointSignature, HubCopy, ReleaseRules, SignOff

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


def test_checkpoints_are_verified_signed_and_handed_on(
    made: FinishedRun, settings: LazySettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks.do_release_work, "apply_async", lambda **options: None)
    settings.MODEL_SIGNING_KEY, settings.HUB_TOKEN_FILE = tmp_path / "key.pem", tmp_path / "token"
    here, boss, reader = f"/api/checkpoints/{made.rl.pk}/", client_of("engineer"), client_of("reader")
    found = reader.post(f"{here}verify/").json()
    assert found["ok"] and found["problems"] == [] and found["checked"]
    assert client_of(None).post(f"{here}verify/").status_code == 403
    assert reader.get(f"{here}verify/").status_code == 405
    for verb in ("sign", "push"):
        assert (
            reader.post(f"{here}{verb}/").status_code == client_of("auditor").post(f"{here}{verb}/").status_code == 403
        )
    assert "There is no signing key" in boss.post(f"{here}sign/").json()["detail"]
    make_key(settings.MODEL_SIGNING_KEY)
    asked = boss.post(f"{here}sign/")
    assert asked.status_code == 202 and asked.json()["state"] == "queued"
    assert boss.post(f"{here}sign/").json()["id"] == asked.json()["id"], "one at a time"
    assert boss.post(f"{here}push/", {"repository": "nobody"}).status_code == 409
    assert boss.post(f"{here}push/", {"repository": "x" * 201}).status_code == 400
    assert boss.post(f"{here}push/", {"repository": "me/it"}).status_code == 409, "no token"
    copy = boss.post(f"{here}push/", {})
    assert copy.status_code == 202 and (copy.json()["repository"], copy.json()["address"]) == ("", "")
    for name, pk in (("signatures", asked.json()["id"]), ("hub-copies", copy.json()["id"])):
        listed = reader.get(f"/api/{name}/", {"checkpoint": str(made.rl.pk), "state": "queued"}).json()["results"]
        assert [one["id"] for one in listed] == [pk]
        assert reader.post(f"/api/{name}/{pk}/cancel/").status_code == 403
        assert boss.post(f"/api/{name}/{pk}/cancel/").json()["state"] == "cancelled"
        assert boss.post(f"/api/{name}/{pk}/cancel/").status_code == 409
    assert CheckpointSignature.objects.count() == HubCopy.objects.count() == 1
