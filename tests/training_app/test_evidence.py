"""The evidence pack, and the script in it that needs nothing else."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from constitutions_app.access import Role
from constitutions_app.ledger import record
from tests.training_app import factories
from tests.training_app.factories import FinishedRun
from tests.training_app.queue_scenes import queue_of
from training_app.actions import sign_off
from training_app.core import verify_evidence
from training_app.evidence import write_evidence
from training_app.models import Adjudication, Audit, Checkpoint

pytestmark = pytest.mark.django_db

FIGURES = ("mean_p_a", "same_position", "override_rate", "final")


@pytest.fixture(autouse=True)
def own_artifacts(tmp_path: Path, settings: LazySettings) -> None:
    settings.ARTIFACT_ROOT = tmp_path / "artifacts"


@pytest.fixture
def made() -> FinishedRun:
    """A finished run of the second version, with what the verbs would have written into the ledger."""
    ada = factories.person("ada", name="Ada Osei")
    first, second = factories.published_version(ada), factories.published_version(ada)
    finished = factories.finished_run(ada, second)
    for version in (first, second):
        data = {"version": version.number, "digest": version.digest}
        record(actor=ada, verb="version.publish", obj=version.constitution, data=data)
    for one in (finished.sft, finished.reward, finished.rl):
        data = {"digest": one.digest, "constitution": one.constitution_digest}
        record(actor=None, verb="checkpoint.publish", obj=one, data=data)
    return finished


@pytest.fixture
def pack(made: FinishedRun, tmp_path: Path) -> Path:
    return packed(made.rl, tmp_path)


def packed(checkpoint: Checkpoint, folder: Path) -> Path:
    target = folder / "pack.zip"
    write_evidence(checkpoint, target)
    return target


def unpacked(pack: Path) -> Path:
    folder = pack.with_suffix("")
    with zipfile.ZipFile(pack) as archive:
        archive.extractall(folder)
    return folder


def relisted(folder: Path) -> None:
    """Makes the index anew over whatever lies there: what a careful forger would do."""
    index = json.loads((folder / "index.json").read_text())
    index["files"] = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in index["files"]}
    (folder / "index.json").write_text(json.dumps(index))


def verified(*arguments: object) -> tuple[int, list[str]]:
    said: list[str] = []
    status = verify_evidence.main([str(one) for one in arguments], said.append)
    return status, said


def test_its_own_script_verifies_it_with_nothing_but_python(pack: Path, made: FinishedRun) -> None:
    folder = unpacked(pack)
    alone = [sys.executable, "-I", "-S", "verify.py", "--weights", str(made.rl.folder)]
    done = subprocess.run(alone, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "model.safetensors is the file that the manifest lists." in done.stdout
    assert verified(pack)[0] == 0


def test_it_holds_words_changes_people_and_figures_and_no_answers(pack: Path, made: FinishedRun) -> None:
    with zipfile.ZipFile(pack) as archive:
        files = {name: archive.read(name).decode() for name in archive.namelist()}
    slug = made.run.version.constitution.slug
    assert files[f"constitution/{slug}-v2.json"] == made.run.version.canonical
    assert "+> Words of version 2." in files[f"diffs/{slug}-v1..{slug}-v2.diff"]
    assert sum(one["labels"] for one in json.loads(files["statistics.json"])) == len(made.labels)
    assert {one["model"] for one in json.loads(files["evaluations.json"])} == {"base", "sl_cai", "rl_cai"}
    assert len([name for name in files if name.startswith("manifests/")]) == 3
    assert f"{made.run.version.constitution.name} v2" in files["model_card.md"]
    everything = "".join(files.values())
    assert not any(trace.initial_response in everything for trace in made.traces)
    assert not any(label.comparison.response_a in everything for label in made.labels)


def test_its_figures_follow_the_last_word(made: FinishedRun, tmp_path: Path) -> None:
    label, (olu, mira) = made.labels[0], (factories.person("olu"), factories.person("mira"))
    for person, verdict in ((olu, "agree"), (mira, "override")):
        Audit.objects.create(auditor=person, label=label, verdict=verdict, choice="a", blind=False)

    def final() -> dict[str, Any]:
        write_evidence(made.rl, tmp_path / "pack.zip")
        with zipfile.ZipFile(tmp_path / "pack.zip") as archive:
            rows = json.loads(archive.read("statistics.json"))
        (found,) = [one["final"] for one in rows if one["final"]["judged"]]
        return dict(found)

    assert (final()["unresolved"], final()["overridden"]["value"]) == (1, None)
    Adjudication.objects.create(adjudicator=olu, label=label, verdict="override", choice="neither", note="So.")
    found = final()
    assert (found["judged"], found["adjudicated"], found["unresolved"]) == (1, 1, 0)
    assert found["overridden"]["value"] == 1.0


def test_sign_offs_are_in_it(made: FinishedRun, tmp_path: Path) -> None:
    boss = factories.person("boss", name="Bo Berg")
    boss.is_superuser = True
    boss.save()
    sign_off(user=boss, checkpoint=made.rl, role="auditor", word="approve", note="Read forty of them.")
    folder = unpacked(packed(made.rl, tmp_path))
    assert json.loads((folder / "sign_offs.json").read_text())["sign_offs"][0]["person"] == "Bo Berg"
    assert verified(folder)[0] == 0


def test_any_flipped_byte_is_found(pack: Path) -> None:
    folder = unpacked(pack)
    for path in sorted(one for one in folder.rglob("*") if one.is_file()):
        whole = path.read_bytes()
        for place in (0, len(whole) // 2, len(whole) - 1):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
            status, said = verified(folder)
            # The index lists the others; its own digest is what a reader compares, and is printed first.
            assert status != 0 or path.name == "index.json", (path.name, said)
        path.write_bytes(whole)
    assert verified(folder)[0] == 0


def test_a_pack_made_anew_around_other_words_is_found_out(pack: Path, made: FinishedRun) -> None:
    folder = unpacked(pack)
    slug = made.run.version.constitution.slug
    words = folder / "constitution" / f"{slug}-v2.json"
    words.write_text(words.read_text().replace("version 2", "version 3"))
    relisted(folder)
    status, said = verified(folder)
    assert status == 1
    assert any("are not in the pack" in line for line in said if line.startswith("BAD"))


def test_an_altered_ledger_entry_is_found_out_though_the_index_was_made_anew(pack: Path) -> None:
    folder = unpacked(pack)
    ledger = folder / "ledger.jsonl"
    ledger.write_text(ledger.read_text().replace("Ada Osei", "Eve Osei", 1))
    relisted(folder)
    status, said = verified(folder)
    assert status == 1
    assert any("was altered" in line for line in said)


def test_what_is_no_pack_says_so(tmp_path: Path) -> None:
    (tmp_path / "empty.zip").write_bytes(b"")
    for path in (tmp_path, tmp_path / "empty.zip", tmp_path / "nothing.zip"):
        status, said = verified(path)
        assert status == 2 and "is no evidence pack" in said[-1]
    (tmp_path / "index.json").write_text("[1]")
    assert verified(tmp_path)[0] == 1


def test_other_weights_are_found_out(pack: Path, made: FinishedRun, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(made.rl.folder, copy)
    (copy / "model.safetensors").write_bytes(b"other weights")
    (copy / "config.json").unlink()
    status, said = verified(pack, "--weights", copy)
    assert status == 1
    bad = [line for line in said if line.startswith("BAD")]
    assert len(bad) == 2 and all("is not the file that the manifest lists" in line for line in bad)


def test_it_takes_as_many_queries_for_many_labels(made: FinishedRun, tmp_path: Path) -> None:
    with CaptureQueriesContext(connection) as few:
        packed(made.rl, tmp_path)
    more = factories.finished_run(made.run.created_by, made.run.version, red_team=[f"Question {n}?" for n in range(20)])
    with CaptureQueriesContext(connection) as many:
        packed(more.rl, tmp_path)
    assert len(many) == len(few)


def test_figures_are_withheld_from_whoever_has_yet_to_judge_what_they_are_of(made: FinishedRun, tmp_path: Path) -> None:
    """Of one label, the mean p(A) is that label's own."""
    jonas = factories.person("jonas")
    jonas.groups.add(Group.objects.get(name=Role.AUDITOR))

    def figures(reader: User | None) -> list[dict[str, object]]:
        write_evidence(made.rl, tmp_path / "pack.zip", reader=reader)
        with zipfile.ZipFile(tmp_path / "pack.zip") as archive:
            return list(json.loads(archive.read("statistics.json")))

    whole = figures(jonas)
    assert whole == figures(None) and all(isinstance(one["mean_p_a"], float) for one in whole)
    label = queue_of(size=1).items.get().label
    told = figures(jonas)
    assert [one["labels"] for one in told] == [one["labels"] for one in whole]
    for before, one in zip(whole, told, strict=True):
        is_of_it = label is not None and one["principle"] == factories.cited(label).key
        assert all(str(one[name]).startswith("withheld") is is_of_it for name in FIGURES)
        assert is_of_it or one == before
    assert figures(made.run.created_by) == whole, "who judges nothing has nothing to be kept from"
    assert verified(tmp_path / "pack.zip")[0] == 0
