from __future__ import annotations

import hashlib

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from tests.training_app import factories
from tests.training_app.factories import FinishedRun
from tests.training_app.views.conftest import Queries
from training_app.models import Audit, Checkpoint, DatasetBuild, DatasetItem

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}


def url_of(checkpoint: Checkpoint) -> str:
    return reverse("training:checkpoint", args=[checkpoint.pk])


def test_the_list_explains_itself_when_it_is_empty(reader: Client) -> None:
    assert "No checkpoints yet" in reader.get("/checkpoints/").content.decode()


def test_the_list_takes_as_many_queries_for_many(
    reader: Client, ada: User, finished: FinishedRun, queries: Queries
) -> None:
    few = queries(reader, "/checkpoints/")
    factories.finished_run(ada, finished.run.version)
    assert queries(reader, "/checkpoints/") == few
    assert url_of(finished.rl) in reader.get("/checkpoints/").content.decode()


def test_the_page_leads_from_the_weights_back_to_the_words(reader: Client, finished: FinishedRun) -> None:
    page = reader.get(url_of(finished.rl)).content.decode()
    run = finished.run.pk
    for link in (
        reverse("constitutions:version", args=["harmless-assistant", 1]), f"/audit/traces/?run={run}",
        url_of(finished.sft), reverse("training:stage", args=[run, "label"]), f"/audit/labels/?run={run}",
        url_of(finished.reward), reverse("training:build", args=[finished.builds[0].pk]),
    ):  # fmt: skip
        assert link in page, link
    assert finished.run.version.digest in page
    assert finished.rl.digest in page
    assert "12 revisions" in page and "6 AI labels" in page
    assert f"verify_checkpoint {finished.rl.folder}" in page
    assert "0.58 [0.38, 0.66]" in page


def test_the_page_says_how_many_revisions_reached_training_and_why_the_others_did_not(
    reader: Client, finished: FinishedRun
) -> None:
    pages = [
        url_of(finished.sft), url_of(finished.rl), reverse("training:build", args=[finished.builds[0].pk]),
        reverse("training:stage", args=[finished.run.pk, "revise"]),
        reverse("training:stage", args=[finished.run.pk, "sft"]),
    ]  # fmt: skip
    for page in map(reader.get, pages):
        said = page.content.decode()
        assert "<strong>12 of 86 revisions</strong>" in said
        assert "61 flagged critique as revision, 13 flagged empty" in said
        assert "Fewer than half passed" in said
    assert "12 of 86 passed the gate" in reader.get(url_of(finished.rl)).content.decode()
    assert "passed the gate" not in reader.get(reverse("training:stage", args=[finished.run.pk, "rl"])).content.decode()


def test_an_older_build_is_added_up_from_its_counts(reader: Client, finished: FinishedRun) -> None:
    rules = {"counts": {"revision": 1, "helpful": 3}, "excluded": {"flagged empty": 2, "empty helpfulness sample": 1},
             "overridden": {"dropped": 1}}  # fmt: skip
    build = DatasetBuild.objects.create(
        run=finished.run, stage="sft", name="older", digest="e" * 64, rows=4, path="x", rules=rules
    )
    page = reader.get(reverse("training:build", args=[build.pk])).content.decode()
    assert "<strong>1 of 4 revisions</strong> was trained on; dropped: 2 flagged empty, 1 overridden by people" in page


def test_the_page_names_the_audits_that_changed_the_data(reader: Client, jonas: User, finished: FinishedRun) -> None:
    label = finished.labels[2]
    audit = Audit.objects.create(auditor=jonas, label=label, verdict="override", choice="a", blind=False)
    build = DatasetBuild.objects.create(
        run=finished.run, stage="reward", name="reward-train-2", digest="d" * 64, rows=1, path="x", rules={"counts": {}}
    )
    DatasetItem.objects.create(build=build, position=0, label=label, audit=audit)
    page = reader.get(reverse("training:build", args=[build.pk])).content.decode()
    assert "changed by a person" in page
    assert "Jonas Weber" in page


def test_verifying_recomputes_every_digest_and_names_the_changed_file(reader: Client, finished: FinishedRun) -> None:
    sound = reader.post(url_of(finished.rl)).content.decode()
    assert 'data-state="verified"' in sound
    assert "(3 files)" in sound
    assert "The manifest is the one the database knows." in sound
    weights = finished.rl.folder / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    fragment = reader.post(url_of(finished.rl), headers=HTMX).content.decode()
    assert "<html" not in fragment
    assert 'data-state="broken"' in fragment
    assert "model.safetensors was changed" in fragment


def test_verifying_says_when_the_folder_is_gone(reader: Client, finished: FinishedRun) -> None:
    finished.sft.folder.rename(finished.sft.folder.with_name("moved"))
    page = reader.post(url_of(finished.sft)).content.decode()
    assert "There is no checkpoint folder" in page


def test_a_manifest_rewritten_whole_is_found_by_the_database(reader: Client, finished: FinishedRun) -> None:
    from training_app.core.manifest import read_manifest, write_manifest

    folder = finished.rl.folder
    manifest = read_manifest(folder) or {}
    (folder / "manifest.json").unlink()
    write_manifest(folder, {**manifest, "seed": 8})
    assert "its digest differs" in reader.post(url_of(finished.rl)).content.decode()


def test_the_page_takes_as_many_queries_for_many_builds(
    reader: Client, jonas: User, finished: FinishedRun, queries: Queries
) -> None:
    few = queries(reader, url_of(finished.rl))
    for label in finished.labels:
        Audit.objects.create(auditor=jonas, label=label, verdict="agree", blind=False)
    assert queries(reader, url_of(finished.rl)) == few


def test_a_build_lists_each_row_with_its_origin(reader: Client, finished: FinishedRun, queries: Queries) -> None:
    steps, labels = (reverse("training:build", args=[build.pk]) for build in finished.builds)
    page = reader.get(steps).content.decode()
    assert f"/audit/traces/{finished.traces[0].pk}/#s1" in page
    assert "rounds" in page.lower()
    page = reader.get(labels).content.decode()
    assert reverse("training:label", args=[finished.labels[0].pk]) in page
    assert queries(reader, steps) <= 10


def test_a_version_shows_what_it_made_as_page_and_as_fragment(
    engineer: Client, reader: Client, ada: User, finished: FinishedRun
) -> None:
    url = reverse("training:version_checkpoints", args=["harmless-assistant", 1])
    assert url_of(finished.rl) in reader.get(url).content.decode()
    assert "<html" not in reader.get(url, headers=HTMX).content.decode()
    factories.published_version(ada)
    fresh = reverse("training:version_checkpoints", args=["harmless-assistant", 2])
    assert "?version=harmless-assistant@2" in engineer.get(fresh).content.decode()
    assert "Launch a run" not in reader.get(fresh).content.decode()


def file_of(checkpoint: Checkpoint, name: str) -> str:
    return reverse("training:checkpoint_file", args=[checkpoint.pk, name])


def test_engineers_download_the_files_and_others_do_not(
    engineer: Client, reader: Client, finished: FinishedRun
) -> None:
    address, stored = file_of(finished.rl, "model.safetensors"), finished.rl.folder / "model.safetensors"
    answer = engineer.get(address)
    assert answer.getvalue() == stored.read_bytes()
    assert "run-1-rl-model.safetensors" in answer["Content-Disposition"]
    manifest = engineer.get(file_of(finished.rl, "manifest.json"))
    assert hashlib.sha256(manifest.getvalue()).hexdigest() == finished.rl.digest
    assert address in engineer.get(url_of(finished.rl)).content.decode()
    assert reader.get(address).status_code == 403 and address not in reader.get(url_of(finished.rl)).content.decode()


@pytest.mark.parametrize("name", ["../../../secret_key", "nothing.txt", "manifest.json/..", ".env", "/etc/passwd"])
def test_no_other_file_can_be_named(engineer: Client, finished: FinishedRun, name: str) -> None:
    assert engineer.get(f"/checkpoints/{finished.rl.pk}/files/{name}").status_code == 404


def test_a_deleted_file_is_not_there(engineer: Client, finished: FinishedRun) -> None:
    (finished.rl.folder / "model.safetensors").unlink()
    assert engineer.get(file_of(finished.rl, "model.safetensors")).status_code == 404


def test_a_download_that_broke_off_goes_on_where_it_was(engineer: Client, finished: FinishedRun) -> None:
    address = file_of(finished.rl, "config.json")
    whole = (finished.rl.folder / "config.json").read_bytes()
    tag = engineer.get(address)["ETag"]
    rest = engineer.get(address, headers={"Range": "bytes=5-", "If-Range": tag})
    assert rest.status_code == 206 and rest.getvalue() == whole[5:]
    assert rest["Content-Range"] == f"bytes 5-{len(whole) - 1}/{len(whole)}"
    for changed in ({"Range": "bytes=5-", "If-Range": '"another"'}, {"Range": "lines=5-"}, {"Range": "bytes=0-"}):
        again = engineer.get(address, headers=changed)
        assert again.status_code == 200 and again.getvalue() == whole, changed
    assert engineer.get(address, headers={"Range": f"bytes={len(whole)}-"}).status_code == 416
