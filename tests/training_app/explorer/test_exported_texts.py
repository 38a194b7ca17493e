"""Texts beside the ids and figures of exported items: all kinds, as JSON lines and Parquet, veiled or not."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Group, User

from constitutions_app.access import Role
from tests.training_app import factories
from tests.training_app.factories import FinishedRun
from training_app import export_jobs, export_writing
from training_app.actions import export_items
from training_app.explorer.exported_texts import TEXTS, unveiled, whole_lines
from training_app.explorer.filters import KINDS, Filters
from training_app.models import AILabel, Audit, AuditorSettings, Export

pytestmark = pytest.mark.django_db
HOSTILE = 'One\nline, "another"\t\u2028\x01\x02 {judged} %s é\\N'


@pytest.fixture
def made(tmp_path: Path, settings: Any) -> FinishedRun:
    settings.ARTIFACT_ROOT = tmp_path / "artifacts"
    made = factories.finished_run(factories.person("ada"), answer=HOSTILE)
    ada = made.run.created_by
    ada.groups.add(Group.objects.get(name=Role.ENGINEER))
    Audit.objects.create(auditor=ada, label=made.labels[0], verdict="agree", comment="Hm.", blind=False)
    Audit.objects.create(auditor=ada, step=made.steps[1], verdict="override", reason="taste", blind=False)
    return made


def written(user: User, texts: str, form: str = "jsonl", **filters: Any) -> Export:
    row = export_items(user=user, asked=Filters(**filters), form=form, texts=texts)
    assert export_jobs.run_once(row.pk) == "succeeded"
    row.refresh_from_db()
    return row


def rows_of(export: Export) -> list[dict[str, Any]]:
    return [json.loads(line) for line in export.path.read_bytes().splitlines()]


@pytest.mark.parametrize("kind", KINDS)
def test_texts_stand_behind_the_ids_and_figures(made: FinishedRun, kind: str) -> None:
    ada = made.run.created_by
    bare, full = rows_of(written(ada, "", kind=kind)), rows_of(written(ada, "all", kind=kind))
    assert len(bare) == len(full) > 0
    for one, other in zip(bare, full, strict=True):
        assert list(other)[: len(one)] == list(one) and one.items() <= other.items()
        assert (other["constitution"], other["version_number"]) == ("harmless-assistant", 1)
        assert (other["severity"], other["veiled"]) == (1, False)
        assert set(TEXTS[kind]) <= set(other)


def test_a_label_has_its_pair_and_its_principle_in_words(made: FinishedRun) -> None:
    label = AILabel.objects.get(pk=made.labels[0].pk)
    label.pk, label.principle, label._state.adding = None, None, True
    label.votes = [{"order": "ab", "logp_a": -1.0, "logp_b": -2.0, "thoughts": HOSTILE}]
    label.save()
    rows = {row["label"]: row for row in rows_of(written(made.run.created_by, "all"))}
    row, pair = rows[made.labels[0].pk], made.labels[0].comparison
    assert (row["prompt"], row["messages"]) == (pair.prompt_text, [])
    assert (row["response_a"], row["response_b"], row["question"]) == (HOSTILE, HOSTILE, label.question)
    cited = factories.cited(made.labels[0])
    assert (row["principle_title"], row["principle_text"], row["thoughts"]) == (cited.title, cited.text, None)
    row = rows[label.pk]
    assert (row["principle_title"], row["version_number"], row["thoughts"]) == (None, 1, [HOSTILE])


def test_a_step_has_the_text_before_it_its_critique_and_its_revision(made: FinishedRun) -> None:
    rows = {row["step"]: row for row in rows_of(written(made.run.created_by, "all", kind="step"))}
    first = rows[made.steps[0].pk]
    assert (first["prompt"], first["before"]) == (made.steps[0].trace.prompt.text, HOSTILE)
    assert (first["critique"], first["revision"]) == (HOSTILE, HOSTILE)
    assert first["principle_text"] == made.steps[0].principle.text


def test_an_audit_has_the_texts_of_what_it_is_about(made: FinishedRun) -> None:
    rows = rows_of(written(made.run.created_by, "all", kind="audit"))
    of_label, of_step = sorted(rows, key=lambda row: row["label"] is None)
    assert (of_label["response_b"], of_label["revision"], of_label["comment"]) == (HOSTILE, None, "Hm.")
    assert (of_step["response_b"], of_step["critique"], of_step["reason"]) == (None, HOSTILE, "taste")
    assert of_step["prompt"] == made.steps[1].trace.prompt.text


@pytest.mark.parametrize("kind", KINDS)
def test_parquet_holds_the_same_in_row_groups_of_few_bytes(
    made: FinishedRun, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    from pyarrow import parquet

    monkeypatch.setattr(export_writing, "ROW_GROUP", 1)
    ada = made.run.created_by
    file = parquet.ParquetFile(written(ada, "all", "parquet", kind=kind).path)
    rows, found = rows_of(written(ada, "all", kind=kind)), file.read().to_pylist()
    assert file.num_row_groups == len(rows)
    for one, other in zip(found, rows, strict=True):
        assert list(one) == list(other)
        assert all(one[name] == value for name, value in other.items() if not name.endswith("_at"))


def test_turns_of_a_conversation_stand_in_both_forms(made: FinishedRun) -> None:
    from pyarrow import parquet

    ada, pair = made.run.created_by, made.labels[0].comparison
    turns = [{"role": "user", "content": HOSTILE, "weight": 1}, {"role": "assistant", "content": "Yes."}]
    pair.pk, pair.key, pair.messages, pair._state.adding = None, "another", turns, True
    pair.save()
    lines = {row["key"]: row["messages"] for row in rows_of(written(ada, "all", kind="comparison"))}
    assert lines["another"] == turns
    table = parquet.read_table(written(ada, "all", "parquet", kind="comparison").path).to_pylist()
    shown = next(row["messages"] for row in table if row["key"] == "another")
    assert [turn["content"] for turn in shown] == [HOSTILE, "Yes."]


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_person_has_veiled_has_no_text_in_their_file_unless_they_ask(made: FinishedRun, kind: str) -> None:
    ada = made.run.created_by
    AuditorSettings.objects.create(person=ada, veil_from=1)
    kept, shown = rows_of(written(ada, "veiled", kind=kind)), rows_of(written(ada, "all", kind=kind))
    for one, other in zip(kept, shown, strict=True):
        assert (one["veiled"], other["veiled"], one["severity"]) == (True, False, 1)
        assert all(one[name] is None for name in TEXTS[kind]) and other["prompt"]
        same = set(one) - set(TEXTS[kind]) - {"veiled"}
        assert all(one[name] == other[name] for name in same)
    AuditorSettings.objects.update(veil_from=2)
    assert rows_of(written(ada, "veiled", kind=kind)) == shown, "a prompt written to provoke is not severe enough"


def test_many_lines_need_no_more_memory_than_few() -> None:
    line = b'[true, ["gore"]]\x02{"label":1,"prompt":"' + b"x" * 2000 + b'"}\n'

    def peak(count: int) -> int:
        blocks = (line[at : at + 700] for _ in range(count) for at in range(0, len(line), 700))
        tracemalloc.start()
        for _ in unveiled("label", blocks, lambda tags, provokes: (3, tags == ["gore"])):
            pass
        top = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return top

    assert peak(8_000) < 2 * peak(2_000)
    assert list(whole_lines([b"a\nb", b"", b"c\n\nd"])) == [b"a\n", b"bc\n", b"\n", b"d"]
