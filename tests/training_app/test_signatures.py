"""Signing a checkpoint: the key, the verb, the real program, and every way in which a signed folder stops being one."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from io import StringIO
from pathlib import Path
from uuid import UUID

import pytest
from django.conf import LazySettings
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.utils import IntegrityError
from django.test.utils import CaptureQueriesContext

from constitutions_app.models import LedgerEntry
from tests.training_app import factories
from tests.training_app.factories import FinishedRun
from tests.training_app.test_evidence import relisted, unpacked, verified
from training_app import signatures, tasks
from training_app.actions import cancel_signature, change_release_rules, sign_checkpoint
from training_app.asked import Conduct
from training_app.core.digests import digest_file
from training_app.core.signing_keys import NoKey, make_key, public_half
from training_app.core.stage import run_job
from training_app.evidence import write_evidence
from training_app.models import Checkpoint, CheckpointSignature
from training_app.refusals import ReleaseRefused
from training_app.retention import prunable
from training_app.sweeper import Sweeper

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def places(tmp_path: Path, settings: LazySettings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.ARTIFACT_ROOT = tmp_path / "artifacts"
    settings.MODEL_SIGNING_KEY = tmp_path / "keys" / "model.pem"
    monkeypatch.setattr(tasks.do_release_work, "apply_async", lambda **options: None)


@pytest.fixture
def made() -> FinishedRun:
    return factories.finished_run(factories.person("ada"))


@pytest.fixture
def key(settings: LazySettings) -> Path:
    make_key(settings.MODEL_SIGNING_KEY)
    return Path(settings.MODEL_SIGNING_KEY)


def signed(checkpoint: Checkpoint) -> CheckpointSignature:
    """A signature as a worker makes it, its program run in this process."""
    row = sign_checkpoint(user=checkpoint.run.created_by, checkpoint=checkpoint)
    assert run_job(signatures.write_job(row), lambda: False) == 0
    assert signatures.run_once(row.pk, conduct=Conduct(command=lambda *_: ["true"], look_every_s=0.01)) == "succeeded"
    row.refresh_from_db()
    return row


def verify(folder: Path, *arguments: object) -> str:
    out = StringIO()
    try:
        call_command("verify_checkpoint", folder, *arguments, stdout=out, stderr=StringIO())
    except CommandError as error:
        raise AssertionError(f"{out.getvalue()}\n{error}") from error
    return out.getvalue()


def test_a_worker_signs_a_checkpoint_and_everybody_can_verify_it(made: FinishedRun, key: Path, tmp_path: Path) -> None:
    """The one test with the real program and the package's own command, in processes of their own."""
    row = sign_checkpoint(user=made.run.created_by, checkpoint=made.rl)
    assert signatures.waiting() == [row.pk]
    assert signatures.run_once(row.pk, conduct=Conduct(look_every_s=0.05)) == "succeeded"
    row.refresh_from_db()
    lying = made.rl.folder / "model.sig"
    assert (digest_file(lying), lying.read_text()) == (row.digest, row.bundle)
    assert str(key.read_text()) not in (row.folder / "job.json").read_text()
    verbs = list(LedgerEntry.objects.order_by("seq").values_list("verb", flat=True))
    assert verbs[-2:] == ["checkpoint.sign", "checkpoint.signed"]
    assert row.digest in LedgerEntry.objects.get(verb="checkpoint.signed").body
    (tmp_path / "key.pub").write_text(row.public_key)
    command = [sys.executable, "-m", "model_signing", "verify", "key", str(made.rl.folder), "--signature", str(lying)]
    told = subprocess.run(
        [*command, "--public_key", str(tmp_path / "key.pub")], capture_output=True, text=True, check=False
    )
    assert told.returncode == 0, told.stdout + told.stderr
    assert f"a signature of these files by the key {row.fingerprint[:12]}" in verify(made.rl.folder)


def test_signing_again_changes_nothing_until_there_is_another_key(made: FinishedRun, key: Path) -> None:
    first = signed(made.rl)
    assert sign_checkpoint(user=made.run.created_by, checkpoint=made.rl) == first
    key.unlink()
    make_key(key)
    second = signed(made.rl)
    assert second.fingerprint != first.fingerprint
    assert signatures.signing_of(made.rl).made == second
    verify(made.rl.folder)


def test_nothing_is_signed_without_a_key_or_before_its_release(made: FinishedRun, settings: LazySettings) -> None:
    ada = made.run.created_by
    with pytest.raises(ReleaseRefused, match="There is no signing key"):
        sign_checkpoint(user=ada, checkpoint=made.rl)
    assert not Path(settings.MODEL_SIGNING_KEY).exists(), "no key is made unasked"
    make_key(settings.MODEL_SIGNING_KEY)
    change_release_rules(user=ada, constitution=made.run.version.constitution, roles=["auditor"])
    with pytest.raises(ReleaseRefused, match="Nobody has signed it off as auditor yet"):
        sign_checkpoint(user=ada, checkpoint=made.rl)
    assert not CheckpointSignature.objects.exists()


def test_a_damaged_folder_is_not_signed(made: FinishedRun, key: Path) -> None:
    (made.rl.folder / "config.json").write_text("{}")
    row = sign_checkpoint(user=made.run.created_by, checkpoint=made.rl)
    assert run_job(signatures.write_job(row), lambda: False) == 2
    signatures.run_once(row.pk, conduct=Conduct(command=lambda *_: ["false"], look_every_s=0.01))
    row.refresh_from_db()
    assert row.state == "failed" and "config.json was changed" in row.reason
    assert not (made.rl.folder / "model.sig").exists()


def test_a_worker_with_another_key_does_not_sign(made: FinishedRun, key: Path) -> None:
    row = sign_checkpoint(user=made.run.created_by, checkpoint=made.rl)
    key.unlink()
    make_key(key)
    assert run_job(signatures.write_job(row), lambda: False) == 2
    assert not (row.folder / "model.sig").exists()


def test_whatever_happens_to_a_signed_folder_is_found_and_named(made: FinishedRun, key: Path, tmp_path: Path) -> None:
    signed(made.rl)
    other = tmp_path / "other.pem"
    make_key(other)
    (tmp_path / "other.pub").write_text(public_half(other).pem)

    def copy(name: str) -> Path:
        return Path(shutil.copytree(made.rl.folder, tmp_path / name))

    changed, missing, added, torn, bare = (copy(name) for name in ("changed", "missing", "added", "torn", "bare"))
    (changed / "model.safetensors").write_bytes((changed / "model.safetensors").read_bytes()[:-1] + b"\1")
    (missing / "config.json").unlink()
    (added / "helper.py").write_text("import os")
    (torn / "model.sig").write_text('{"dsseEnvelope": 1}')
    (bare / "model.sig").unlink()
    for folder, words in (
        (changed, "model.safetensors was changed: the signature lists another sha256"),
        (missing, "config.json is missing; the signature lists it"),
        (added, "helper.py is in the folder; the signature does not list it"),
        (torn, "not the signature that the database knows"),
        (bare, "is missing from the folder"),
    ):
        with pytest.raises(AssertionError, match=words):
            verify(folder)
    with pytest.raises(AssertionError, match="signed by another key"):
        verify(copy("whole"), "--key", tmp_path / "other.pub")


def test_a_forged_signature_does_not_hold(made: FinishedRun, key: Path, tmp_path: Path) -> None:
    """Somebody signs other weights with a key of their own and writes our key's name into it."""
    row = signed(made.rl)
    bundle = json.loads(row.bundle)
    signature = bundle["dsseEnvelope"]["signatures"][0]
    signature["sig"] = signature["sig"][:12] + ("A" if signature["sig"][12] != "A" else "B") + signature["sig"][13:]
    (made.rl.folder / "model.sig").write_text(json.dumps(bundle))
    public = tmp_path / "key.pub"
    public.write_text(row.public_key)
    with pytest.raises(AssertionError, match="does not hold for its key"):
        verify(made.rl.folder, "--key", public)


def test_a_key_that_nobody_here_knows_has_to_be_given(made: FinishedRun, key: Path, tmp_path: Path) -> None:
    """A folder from elsewhere: its manifest is not known here, nor is its key."""
    row = signed(made.rl)
    public = tmp_path / "key.pub"
    public.write_text(row.public_key)
    CheckpointSignature.objects.all().delete()
    key.unlink()
    with pytest.raises(AssertionError, match=f"signed by the key {row.fingerprint[:12]}…, which is not known here"):
        verify(made.rl.folder)
    assert "is a signature of these files" in verify(made.rl.folder, "--key", public)
    (made.rl.folder / "README.md").write_text("# Written by a hub")
    assert "verifies" in verify(made.rl.folder, "--key", public), "a card lies beside; nothing loads it"


def test_two_are_never_under_way_and_a_made_one_is_kept_whole(made: FinishedRun, key: Path) -> None:
    row = sign_checkpoint(user=made.run.created_by, checkpoint=made.rl)
    assert sign_checkpoint(user=made.run.created_by, checkpoint=made.rl) == row
    with pytest.raises(IntegrityError, match="a_made_signature_is_kept"):
        CheckpointSignature.objects.filter(pk=row.pk).update(state="succeeded")


def test_the_sweeper_rings_for_what_nobody_heard(made: FinishedRun, key: Path) -> None:
    row = sign_checkpoint(user=made.run.created_by, checkpoint=made.rl)
    rung: list[UUID] = []

    def wake(pk: UUID) -> bool:
        rung.append(pk)
        return True

    Sweeper(lambda _: True, wake_for_release_work=wake).sweep()
    assert rung == [row.pk]


def test_signed_weights_are_never_made_room_with(made: FinishedRun, key: Path) -> None:
    assert made.rl in [one.checkpoint for one in prunable(keep_runs=0)]
    signed(made.rl)
    assert made.rl not in [one.checkpoint for one in prunable(keep_runs=0)]


def test_the_evidence_pack_checks_its_signature(made: FinishedRun, key: Path, tmp_path: Path) -> None:
    with CaptureQueriesContext(connection) as before:
        write_evidence(made.rl, tmp_path / "before.zip")
    row = signed(made.rl)
    with CaptureQueriesContext(connection) as after:
        write_evidence(made.rl, tmp_path / "pack.zip")
    assert len(after) <= len(before) + 1
    folder = unpacked(tmp_path / "pack.zip")
    said = verified(folder)[1]
    assert f"ok   The ledger announces the signature {row.digest[:12]}… by that key." in said
    assert any(line.startswith("ok   The signature lists the checkpoint's manifest and its 3 files") for line in said)
    assert any(line.startswith("note Whether the signature holds") for line in said)
    (folder / "signature" / "key.pub").write_text("another key")
    relisted(folder)
    assert any("is not the one in the pack" in line for line in verified(folder)[1])


def test_the_command_makes_a_key_for_its_owner_alone_and_never_over_one(settings: LazySettings, tmp_path: Path) -> None:
    path, errors = Path(settings.MODEL_SIGNING_KEY), StringIO()

    def told(*arguments: object) -> str:
        out = StringIO()
        call_command("signing_key", *arguments, stdout=out, stderr=errors)
        return out.getvalue()

    with pytest.raises(CommandError, match="There is no signing key"):
        told("--show")
    first = told("--public", tmp_path / "key.pub")
    assert path.stat().st_mode & 0o777 == 0o600 and "PRIVATE" not in first
    assert digest_file(tmp_path / "key.pub") in first, "the fingerprint is what sha256sum prints of the public half"
    before = path.read_bytes()
    assert "Made a key" not in told() and path.read_bytes() == before and errors.getvalue() == ""
    path.chmod(0o644)
    told()
    assert "chmod 600" in errors.getvalue()


@pytest.mark.parametrize(
    "content", [b"", b"not a key", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"]
)
def test_what_is_no_key_is_told_so(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bad.pem").write_bytes(content)
    with pytest.raises(NoKey, match="no private key in PEM form"):
        public_half(tmp_path / "bad.pem")


def test_a_cancelled_signature_leaves_beside_the_weights_what_lay_there(
    made: FinishedRun, key: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = made.rl.folder / "model.sig"

    def cancelled_at_the_last_moment() -> CheckpointSignature:
        row = sign_checkpoint(user=made.run.created_by, checkpoint=made.rl)
        assert run_job(signatures.write_job(row), lambda: False) == 0
        lay = signatures._lay_beside

        def lay_and_cancel(checkpoint: Checkpoint, text: str) -> None:
            monkeypatch.setattr(signatures, "_lay_beside", lay)
            lay(checkpoint, text)
            cancel_signature(user=made.run.created_by, signature=row)

        monkeypatch.setattr(signatures, "_lay_beside", lay_and_cancel)
        quick = Conduct(command=lambda *_: ["true"], look_every_s=0.01)
        assert signatures.run_once(row.pk, conduct=quick) is None
        row.refresh_from_db()
        return row

    row = cancelled_at_the_last_moment()
    assert (row.state, row.digest, path.exists()) == ("cancelled", "", False)
    first = signed(made.rl)
    Path(key).unlink()
    make_key(key)
    cancelled_at_the_last_moment()
    assert path.read_text() == first.bundle
