"""The pages of a checkpoint's release, as somebody who may and as somebody who may not."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from constitutions_app.access import Role
from tests.training_app.factories import FinishedRun
from tests.training_app.views.conftest import signed_in, somebody
from training_app import tasks
from training_app.core.signing_keys import make_key, public_half
from training_app.models import CheckpointAlias, CheckpointSignature, HubCopy, RegisteredModel, SignOff

pytestmark = pytest.mark.django_db


def release_url(finished: FinishedRun) -> str:
    return reverse("training:release", args=[finished.rl.pk])


def alias_url(finished: FinishedRun) -> str:
    return reverse("training:move_checkpoint_alias", args=[finished.rl.pk])


def test_an_auditor_signs_off_and_a_reader_only_reads(auditor: Client, reader: Client, finished: FinishedRun) -> None:
    said = {"role": "auditor", "word": "approve", "note": "<script>alert(1)</script>"}
    page = auditor.post(release_url(finished), said, follow=True).content.decode()
    assert "Kept: Jonas Weber signs off as auditor." in page
    assert "&lt;script&gt;alert(1)" in page and "<script>alert" not in page
    shown = reader.get(release_url(finished)).content.decode()
    assert "Jonas Weber signs off as auditor" in shown and "Sign</button>" not in shown
    assert reader.post(release_url(finished), said).status_code == 422
    assert SignOff.objects.count() == 1


def test_a_refusal_without_a_reason_is_asked_again_with_what_was_chosen(auditor: Client, finished: FinishedRun) -> None:
    answer = auditor.post(release_url(finished), {"role": "auditor", "word": "refuse", "note": ""})
    assert answer.status_code == 422
    assert "Say in a sentence why" in answer.content.decode()
    assert not SignOff.objects.exists()


def test_engineers_move_aliases_and_auditors_do_not(engineer: Client, auditor: Client, finished: FinishedRun) -> None:
    assert auditor.post(alias_url(finished), {"alias": "production"}).status_code == 403
    page = engineer.post(alias_url(finished), {"alias": "production"}, follow=True).content.decode()
    assert "“production” now points at this checkpoint." in page
    assert "production" in engineer.get(reverse("training:checkpoint", args=[finished.rl.pk])).content.decode()
    assert 'data-state="production"' in auditor.get("/checkpoints/").content.decode()
    page = engineer.post(alias_url(finished), {"alias": "production", "withdraw": "1"}, follow=True).content.decode()
    assert "no longer points" in page and not CheckpointAlias.objects.exists()


def test_the_rules_say_what_is_missing(engineer: Client, finished: FinishedRun) -> None:
    rules = reverse("training:release_rules", args=[finished.run.version.constitution.slug])
    assert engineer.post(rules, {"roles": ["auditor"]}).status_code == 403
    reviewer = signed_in(somebody("rosa", Role.REVIEWER, "Rosa Diaz"))
    assert "hold from now on" in reviewer.post(rules, {"roles": ["auditor"]}, follow=True).content.decode()
    assert reviewer.post(rules, {"roles": []}).status_code == 422
    page = engineer.get(release_url(finished)).content.decode()
    assert "Nobody has signed it off as auditor yet." in page
    engineer.post(alias_url(finished), {"alias": "production"})
    assert not CheckpointAlias.objects.exists()


def test_the_card_and_the_evidence_can_be_taken_away(reader: Client, ada: User, finished: FinishedRun) -> None:
    card = reader.get(reverse("training:model_card", args=[finished.rl.pk]))
    assert card["Content-Type"].startswith("text/markdown")
    text = card.content.decode()
    assert text.startswith("---\n") and finished.run.version.digest in text and "Launched by Ada Osei" in text
    assert "tags:\n- constitutional-ai\n- rl" in text and "license" not in text.partition("\n---\n")[0]
    assert "- Algorithm: GRPO\n" in text and "- KL weight: 0.04\n" in text and "PPO clip" not in text
    answer = reader.get(reverse("training:evidence", args=[finished.rl.pk]))
    assert "evidence-run-" in answer["Content-Disposition"]
    assert "verify.py" in zipfile.ZipFile(io.BytesIO(answer.getvalue())).namelist()


@pytest.mark.parametrize(
    ("licence", "said"),
    [("apache-2.0", ("apache-2.0", None)), ("Llama 3 community licence", ("other", "Llama 3 community licence"))],
)
def test_the_card_s_metadata_is_what_the_hub_reads(
    reader: Client, finished: FinishedRun, licence: str, said: tuple[str, str | None]
) -> None:
    """Read back by the hub's own library: the base model by its name there, its licence, and which words made it."""
    from huggingface_hub import ModelCard

    base = finished.run.base_model
    RegisteredModel.objects.create(
        name=base["name"], digest=base["digest"], size_bytes=1, licence=licence, hub="org/made-up", revision="0" * 40
    )
    card = reader.get(reverse("training:model_card", args=[finished.rl.pk])).content.decode()
    data = vars(ModelCard(card).data)
    assert (data["base_model"], data["library_name"]) == ("org/made-up", "transformers")
    assert (data["pipeline_tag"], data["manifest_sha256"]) == ("text-generation", finished.rl.digest)
    assert (data["license"], data.get("license_name")) == said
    assert data["constitution"]["sha256"] == finished.run.version.digest


def test_engineers_sign_and_others_read_by_which_key(
    engineer: Client, auditor: Client, stranger: Client, finished: FinishedRun, settings: LazySettings, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(tasks.do_release_work, "apply_async", lambda **options: None)
    settings.MODEL_SIGNING_KEY = tmp_path / "key.pem"
    url = reverse("training:sign", args=[finished.rl.pk])
    without = engineer.get(release_url(finished)).content.decode()
    assert "It is not signed." in without and "manage.py signing_key" in without and f'action="{url}"' not in without
    assert "There is no signing key" in engineer.post(url, follow=True).content.decode()
    make_key(settings.MODEL_SIGNING_KEY)
    fingerprint = public_half(settings.MODEL_SIGNING_KEY).fingerprint
    assert f"Sign with key {fingerprint[:12]}" in engineer.get(release_url(finished)).content.decode()
    assert auditor.post(url).status_code == stranger.post(url).status_code == 403
    assert f'action="{url}"' not in auditor.get(release_url(finished)).content.decode()
    assert "Waiting for a worker to sign it" in engineer.post(url, follow=True).content.decode()
    row = CheckpointSignature.objects.get()
    cancel = reverse("training:cancel_signing", args=[row.pk])
    part = reverse("training:signature", args=[finished.rl.pk])
    assert f'action="{cancel}"' in engineer.get(part).content.decode()
    assert f'action="{cancel}"' not in auditor.get(part).content.decode() and auditor.post(cancel).status_code == 403
    assert "Nothing was put beside the weights." in engineer.post(cancel, follow=True).content.decode()
    assert "Cancelled by" in auditor.get(part).content.decode()
    assert "has already ended" in engineer.post(cancel, follow=True).content.decode()
    row.state, row.reason, row.advice = "failed", "<b>config.json</b> was changed.", "Verify it."
    row.save()
    page = auditor.get(reverse("training:signature", args=[finished.rl.pk])).content.decode()
    assert "It was not signed." in page and "&lt;b&gt;config.json" in page
    row.state, row.bundle, row.digest, row.finished_at = "succeeded", "{}", "d" * 64, timezone.now()
    row.save()
    for page in (release_url(finished), reverse("training:checkpoint", args=[finished.rl.pk])):
        assert fingerprint[:12] in auditor.get(page).content.decode()
    assert "BEGIN PUBLIC KEY" in auditor.get(release_url(finished)).content.decode()
    verified = engineer.post(reverse("training:checkpoint", args=[finished.rl.pk])).content.decode()
    assert "is missing." in verified, "the row knows a signature that the folder has not"


def test_engineers_hand_on_and_others_read_where_to(
    engineer: Client, auditor: Client, stranger: Client, finished: FinishedRun, settings: LazySettings, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(tasks.do_release_work, "apply_async", lambda **options: None)
    settings.HUB_TOKEN_FILE = tmp_path / "token"
    url = reverse("training:push", args=[finished.rl.pk])
    page = engineer.get(release_url(finished)).content.decode()
    assert "Only the folder can be written" in page and 'name="repository"' not in page
    settings.HUB_TOKEN_FILE.write_text("secret-token")
    page = engineer.get(release_url(finished)).content.decode()
    assert 'name="repository"' in page and "secret-token" not in page
    assert auditor.post(url).status_code == stranger.post(url).status_code == 403
    assert "ORG/NAME" in engineer.post(url, {"repository": "<b>"}, follow=True).content.decode()
    assert not HubCopy.objects.exists()
    assert "pushes it to me/it now" in engineer.post(url, {"repository": "me/it"}, follow=True).content.decode()
    row = HubCopy.objects.get()
    assert row.is_private and row.endpoint == settings.HUB_ENDPOINT
    cancel, part = reverse("training:cancel_push", args=[row.pk]), reverse("training:hub", args=[finished.rl.pk])
    assert f'action="{cancel}"' in engineer.get(part).content.decode()
    assert f'action="{cancel}"' not in auditor.get(part).content.decode() and auditor.post(cancel).status_code == 403
    assert "It is cancelled." in engineer.post(cancel, follow=True).content.decode()
    assert "Cancelled by" in auditor.get(part).content.decode()
    assert "has already ended" in engineer.post(cancel, follow=True).content.decode()
    row.state, row.reason = "failed", "<i>no</i>"
    row.save()
    assert "&lt;i&gt;no" in auditor.get(reverse("training:hub", args=[finished.rl.pk])).content.decode()
    row.state, row.commit = "succeeded", "c" * 40
    row.save()
    page = auditor.get(release_url(finished)).content.decode()
    assert f"{settings.HUB_ENDPOINT}/me/it/tree/{'c' * 40}" in page and f'action="{url}"' not in page
