"""Workers without a common folder: what finished stages leave travels through a storage, a real S3 server too."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings
from django.core.exceptions import ImproperlyConfigured
from django.core.files.storage import storages

from cai_web.artifact_storage import artifact_storage
from constitutions_app.models import LedgerEntry
from tests.training_app.factories import finished_run
from tests.training_app.scenes import QUICK, engineer, launched
from training_app import artifacts
from training_app.actions import continue_run, prune_weights, resume_run
from training_app.core.manifest import verify
from training_app.lineage import database_agrees
from training_app.logs import FILE
from training_app.models import Checkpoint, Run, RunStage
from training_app.retention import prunable
from training_app.runner import run_once
from training_app.verification import verification_of

BUCKET = "artifacts"


def use(settings: LazySettings, address: str, root: Path) -> None:
    settings.ARTIFACT_ROOT = root
    settings.STORAGES = {**settings.STORAGES, "artifacts": artifact_storage(address, root)}


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """The address of a bucket on moto's server: real HTTP, real signatures, nothing outside this machine."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(port=0, verbose=False)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "testing")
        server.start()
        host, port = server.get_host_and_port()
        endpoint = f"http://{host}:{port}"
        boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1").create_bucket(Bucket=BUCKET)
        yield f"s3://{BUCKET}/writ/here?endpoint={endpoint}&region=us-east-1"
        server.stop()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("kind", ["s3", "folder"])
def test_another_machine_goes_on_where_the_first_one_failed(
    kind: str, tmp_path: Path, settings: LazySettings, request: pytest.FixtureRequest
) -> None:
    address = request.getfixturevalue("s3") if kind == "s3" else f"file://{tmp_path / 'exchange'}"
    use(settings, address, tmp_path / "one")
    run = launched(script={"reward": {"fail": "bad_input"}})
    assert run_once(run.pk, conduct=QUICK) == "failed"
    done = dict(RunStage.objects.filter(run=run, state="succeeded").values_list("slug", "finished_at"))
    assert list(done) == ["generate", "revise", "sft", "sample", "label"]

    use(settings, address, tmp_path / "two")
    for slug in ("sft", "reward"):  # one that finished and one that failed: what pages show on this machine
        stage = RunStage.objects.select_related("run").get(run=run, slug=slug)
        file = artifacts.open_log(stage)
        assert file is not None and artifacts.has_log(stage)
        with file:
            assert b"".join(file) == (tmp_path / "one" / stage.folder.relative_to(tmp_path / "two") / FILE).read_bytes()
    made = Checkpoint.objects.get(run=run, stage="sft")
    assert database_agrees(made).ok and not (made.folder / "model.safetensors").exists()
    assert verification_of(made).ok and (made.folder / "model.safetensors").exists()

    assert run_once(resume_run(user=engineer(), run=run).pk, conduct=QUICK) == "succeeded", reason(run)
    assert dict(RunStage.objects.filter(run=run, slug__in=done).values_list("slug", "finished_at")) == done
    for checkpoint in Checkpoint.objects.filter(run=run):
        found = verify(checkpoint.folder)
        assert (found.ok, found.manifest_digest) == (True, checkpoint.digest)
    use(settings, address, tmp_path / "three")
    artifacts.fetch(continue_run(user=engineer(), source=run, seed=1))
    assert (tmp_path / f"three/runs/{run.pk}/03-sft/checkpoint/model.safetensors").exists(), "its source's files"
    with storages["artifacts"].open(f"runs/{run.pk}/03-sft/{artifacts.INDEX}") as index:
        held = json.loads(index.read())
    assert "checkpoint/model.safetensors" in held and not any(name.startswith((".", "trainer")) for name in held)


@pytest.mark.django_db
@pytest.mark.parametrize("kind", ["s3", "folder"])
def test_weights_that_nothing_rests_on_are_deleted_here_and_in_the_storage(
    kind: str, tmp_path: Path, settings: LazySettings, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = request.getfixturevalue("s3") if kind == "s3" else f"file://{tmp_path / 'exchange'}"
    use(settings, address, tmp_path / "one")
    made = finished_run(engineer())
    for checkpoint in (made.sft, made.rl):
        artifacts.put(checkpoint.folder.parent)
    folder = made.rl.folder
    (one,) = prunable(keep_runs=0)
    assert one.checkpoint == made.rl and one.here == one.stored > 0 and one.bytes == 2 * one.here

    use(settings, address, tmp_path / "two")  # a machine that never had them
    (there,) = prunable(keep_runs=0)
    assert (there.here, there.stored) == (0, one.stored)
    with monkeypatch.context() as patch:

        def broken(_self: object, _name: str) -> None:
            raise ConnectionError("no route to host")

        patch.setattr(type(storages["artifacts"]), "delete", broken)
        with pytest.raises(artifacts.StorageFailed, match="could not be deleted: ConnectionError"):
            prune_weights(user=None, checkpoint=made.rl, keep_runs=0)
    assert not LedgerEntry.objects.filter(verb="checkpoint.delete_weights").exists()
    assert prune_weights(user=None, checkpoint=made.rl, keep_runs=0) == one.stored
    names = set(artifacts.stored_of(made.rl))
    assert "manifest.json" in names and not any(name.endswith(".safetensors") for name in names)
    assert not storages["artifacts"].exists(f"{folder.relative_to(tmp_path / 'one').as_posix()}/model.safetensors")
    assert "model.safetensors" in artifacts.stored_of(made.sft), "its parent's stay"
    artifacts.fetch_checkpoint(made.rl)
    assert not (made.rl.folder / "model.safetensors").exists()

    use(settings, address, tmp_path / "one")
    assert prune_weights(user=None, checkpoint=made.rl, keep_runs=0) == one.here, "what the first machine still had"
    assert not (folder / "model.safetensors").exists() and (folder / "manifest.json").exists()
    assert prunable(keep_runs=0) == []


@pytest.mark.django_db(transaction=True)
def test_what_was_changed_in_the_storage_is_not_taken(tmp_path: Path, settings: LazySettings) -> None:
    exchange = tmp_path / "exchange"
    use(settings, f"file://{exchange}", tmp_path / "one")
    run = launched(script={"revise": {"fail": "bad_input"}})
    run_once(run.pk, conduct=QUICK)
    use(settings, f"file://{exchange}", tmp_path / "two")
    stored = exchange / f"runs/{run.pk}/01-generate/responses.jsonl"
    stored.write_bytes(stored.read_bytes().replace(b"answer", b"ANSWER", 1))
    assert run_once(resume_run(user=engineer(), run=run).pk, conduct=QUICK) == "failed"
    assert "responses.jsonl of" in reason(run) and "its digest differs" in reason(run)
    assert not (tmp_path / f"two/runs/{run.pk}/01-generate/responses.jsonl").exists()
    (stored.parent / artifacts.INDEX).write_text(json.dumps({"../../../evil": "0" * 64}))
    run_once(resume_run(user=engineer(), run=run).pk, conduct=QUICK)
    assert "is damaged" in reason(run)


@pytest.mark.django_db(transaction=True)
def test_a_storage_that_does_not_answer_fails_the_run_and_a_resume_only_stores(
    tmp_path: Path, settings: LazySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(settings, f"file://{tmp_path / 'exchange'}", tmp_path / "one")
    run = launched(script={"revise": {"fail": "bad_input"}})

    def broken(name: str, content: Any) -> None:
        raise ConnectionError("no route to host")

    with monkeypatch.context() as patch:
        patch.setattr(artifacts, "_save", broken)
        assert run_once(run.pk, conduct=QUICK) == "failed"
    assert "could not be stored: ConnectionError: no route to host" in reason(run)
    assert run_once(resume_run(user=engineer(), run=run).pk, conduct=QUICK) == "failed"
    assert "revise was told to fail" in reason(run)
    events = (tmp_path / f"one/runs/{run.pk}/01-generate/events.jsonl").read_text()
    assert events.count('"kind":"started"') == 1  # it was finished, and was not done again


def test_the_artifact_folder_is_its_own_storage_unless_another_is_named(tmp_path: Path, settings: LazySettings) -> None:
    use(settings, "", tmp_path)
    assert not artifacts.is_elsewhere()
    use(settings, f"file://{tmp_path}/elsewhere", tmp_path)
    assert artifacts.is_elsewhere()
    for wrong in ("ftp://host/x", "s3://", "s3://bucket?nonsense=1", "s3://key:secret@bucket"):
        with pytest.raises(ImproperlyConfigured, match="ARTIFACT_STORAGE must read"):
            artifact_storage(wrong, tmp_path)


def reason(run: Run) -> str:
    return str(Run.objects.values_list("reason", flat=True).get(pk=run.pk))
