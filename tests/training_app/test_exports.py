"""What a run's judge and critic said, as other tools read it, and back."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command

from tests.training_app import factories
from tests.training_app.factories import FinishedRun
from training_app import exports
from training_app.core.annotated_pairs import Annotator, Pair, read_pairs, write_pairs
from training_app.core.errors import BadInput
from training_app.models import AILabel, Audit, Comparison

pytestmark = pytest.mark.django_db


@pytest.fixture
def finished(tmp_path: Path, settings: Any) -> FinishedRun:
    settings.ARTIFACT_ROOT = tmp_path / "artifacts"
    return factories.finished_run(factories.person("ada"))


def written(finished: FinishedRun, path: Path, what: str, form: str) -> str:
    call_command("export_feedback", finished.run.number, path, what=what, format=form, stdout=StringIO())
    return path.read_text(encoding="utf-8")


def override(label: AILabel, choice: str, person: User) -> Audit:
    return Audit.objects.create(auditor=person, label=label, verdict="override", choice=choice, blind=True)


def test_labels_are_trl_rows_that_say_where_they_come_from(finished: FinishedRun, tmp_path: Path) -> None:
    label = next(one for one in finished.labels if one.ai_choice == "a")
    audit = override(label, "b", finished.run.created_by)
    rows = {
        row["id"]: row for row in map(json.loads, written(finished, tmp_path / "a", "labels", "jsonl").splitlines())
    }
    assert len(rows) == sum(one.ai_choice != "" for one in finished.labels)
    row, version = rows[f"label-{label.pk}"], finished.run.version
    assert row["chosen"] == [{"role": "assistant", "content": label.comparison.response_b}]
    assert row["rejected"] == [{"role": "assistant", "content": label.comparison.response_a}]
    assert row["prompt"][-1] == {"role": "user", "content": label.comparison.prompt_text}
    assert (row["chosen_is"], row["p_a"], row["audit"], row["audit_choice"]) == ("b", label.p_a, str(audit.pk), "b")
    assert row["principle"] == f"{version.constitution.slug}@{version.number}/{factories.cited(label).key}"
    assert (row["constitution_digest"], row["judge_digest"]) == (version.digest, label.judge.digest)


def test_a_tie_is_no_preference(finished: FinishedRun, tmp_path: Path) -> None:
    override(finished.labels[0], "neither", finished.run.created_by)
    ids = [json.loads(line)["id"] for line in written(finished, tmp_path / "a", "labels", "jsonl").splitlines()]
    assert f"label-{finished.labels[0].pk}" not in ids


def test_parquet_holds_the_same_rows(finished: FinishedRun, tmp_path: Path) -> None:
    from pyarrow import parquet

    for what in ("labels", "traces"):
        lines = [json.loads(line) for line in written(finished, tmp_path / "a.jsonl", what, "jsonl").splitlines()]
        call_command(
            "export_feedback", finished.run.number, tmp_path / "a", what=what, format="parquet", stdout=StringIO()
        )
        assert lines
        assert parquet.read_table(tmp_path / "a").to_pylist() == lines


def test_a_trace_prefers_its_revisions_to_the_initial_response(finished: FinishedRun, tmp_path: Path) -> None:
    step = next(one for one in finished.steps if not one.flags)
    Audit.objects.create(auditor=finished.run.created_by, step=finished.steps[-1], verdict="override", blind=False)
    rows = {
        row["id"]: row for row in map(json.loads, written(finished, tmp_path / "a", "traces", "jsonl").splitlines())
    }
    row = rows[f"step-{step.pk}"]
    assert row["chosen"][0]["content"] == step.revision
    assert row["rejected"][0]["content"] == step.trace.initial_response
    assert (row["round"], row["principle"].rpartition("/")[2]) == (step.round, step.principle.key)
    assert f"step-{finished.steps[-1].pk}" not in rows, "people would not train on it"


def test_annotated_pairs_come_back_with_the_same_labels_and_comparisons(finished: FinishedRun, tmp_path: Path) -> None:
    back = read_pairs(written(finished, tmp_path / "a.json", "labels", "icai").encode())
    labels = AILabel.objects.filter(run=finished.run).select_related("comparison", "principle", "judge")
    pairs = {pair.id: pair for pair in back.pairs}
    assert set(pairs) >= {label.comparison.key for label in labels}
    named = {one.id: one for one in back.annotators}
    found = {
        (pair.id, named[who].said["principle"].rpartition("/")[2], named[who].said["judge_digest"]): said
        for pair in back.pairs
        for who, said in pair.annotations.items()
        if named[who].type == "principle"
    }
    assert len(found) == len(labels)
    for label in labels:
        said = found[label.comparison.key, factories.cited(label).key, label.judge.digest]
        assert (said["pref"] or "", said["p_a"]) == (label.ai_choice, label.p_a)
        votes = [
            {"order": order, "logp_a": said[f"{order}_logp_a"], "logp_b": said[f"{order}_logp_b"]}
            for order in ("ab", "ba")
        ]
        assert votes == [{name: vote[name] for name in ("order", "logp_a", "logp_b")} for vote in label.raw_votes()]
        pair = pairs[label.comparison.key]
        assert (pair.response_a, pair.response_b) == (label.comparison.response_a, label.comparison.response_b)
    for human in Comparison.objects.filter(prompt_set__runs=finished.run, source="human"):
        assert pairs[human.key].preference(back.default) == human.human_choice
    again = "".join(write_pairs(back.annotators, back.pairs, default=back.default, metadata=back.metadata))
    assert again == (tmp_path / "a.json").read_text(encoding="utf-8"), "read and written, it is the same file"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("{", "not JSON"),
        ("[]", "comparisons"),
        ('{"metadata": {"version": "1.0"}, "comparisons": []}', "version 2.0"),
        ('{"comparisons": [{"response_a": {"text": "x"}}]}', "Comparison 1 needs"),
        (
            '{"comparisons": [{"response_a": {"text": "x"}, "response_b": {"text": "y"}, "annotations": {"z": {}}}]}',
            "'z'",
        ),
    ],
)
def test_it_names_what_is_wrong_with_annotated_pairs(content: str, reason: str) -> None:
    with pytest.raises(BadInput, match=reason):
        read_pairs(content.encode())


def test_many_pairs_need_no_more_memory_than_few() -> None:
    def pairs(count: int) -> Iterator[Pair]:
        return (Pair(str(n), "?", "x" * 500, "y" * 500, {"p": {"pref": "a"}}) for n in range(count))

    def peak(count: int) -> int:
        tracemalloc.start()
        for _ in write_pairs([Annotator("p", "P", "principle")], pairs(count), default="p", metadata={}):
            pass
        top = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return top

    assert peak(20_000) < 2 * peak(200) + 100_000


def test_the_command_says_what_it_cannot_write(finished: FinishedRun, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="jsonl or parquet, not as icai"):
        call_command("export_feedback", finished.run.number, tmp_path / "a", what="traces", format="icai")
    with pytest.raises(CommandError, match="There is no run 999"):
        call_command("export_feedback", 999, tmp_path / "a")
    with pytest.raises(KeyError):
        exports.write_export(finished.run, "traces", "icai", tmp_path / "a")
