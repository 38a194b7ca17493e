"""Verdicts that people gave elsewhere: our own export and annotated pairs, by verb, command and page."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.urls import reverse

from constitutions_app.access import Role
from constitutions_app.models import LedgerEntry
from tests.constitutions_app.factories import make_person
from tests.training_app.factories import FinishedRun, cited, finished_run
from tests.training_app.views.conftest import signed_in
from training_app import verdicts
from training_app.actions import import_audits, record_audit
from training_app.actions.record_audit import Verdict
from training_app.exports import write_export
from training_app.models import AILabel, Audit, AuditImport
from training_app.refusals import AuditFileRefused

pytestmark = pytest.mark.django_db


@pytest.fixture
def made() -> FinishedRun:
    return finished_run(make_person("zoe", Role.ADMIN))


def other(label: AILabel) -> str:
    return "b" if label.ai_choice == "a" else "a"


def line(label: AILabel, choice: str, **more: Any) -> str:
    said = {"comparison": label.comparison.key, "principle": cited(label).key, "choice": choice}
    return json.dumps(said | more)


def sent(made: FinishedRun, *lines: str, source: str = "Another tool") -> AuditImport:
    content = "\n".join(lines).encode()
    return import_audits(user=None, run=made.run, content=content, file_name="audits.jsonl", source=source)


def test_each_line_becomes_an_audit_that_says_where_it_comes_from(made: FinishedRun) -> None:
    one, two = made.labels[:2]
    kept = sent(
        made,
        line(one, other(one), auditor="Mei <b>", confidence=3, reason="taste", comment="Too short.", blind=True),
        line(two, two.ai_choice, auditor="Ben"),
    )
    first, second = Audit.objects.filter(imported=kept).order_by("verdict")[::-1]
    assert (first.verdict, first.choice, first.confidence, first.reason) == ("override", other(one), 3, "taste")
    assert (first.comment, first.blind, first.imported) == ("Too short.", True, kept)
    assert (first.auditor.first_name, first.auditor.last_name) == ("Mei <b>", "(Another tool)")
    assert not first.auditor.is_active and not first.auditor.has_usable_password()
    assert (second.verdict, second.auditor.first_name) == ("agree", "Ben")
    assert LedgerEntry.objects.filter(verb="audits.import").count() == 1
    assert set(verdicts.overridden_labels(made.run)) == {one.pk}


def test_the_same_file_again_changes_nothing_and_a_person_stays_one_person(made: FinishedRun) -> None:
    one, two = made.labels[:2]
    kept = sent(made, line(one, "a", auditor="Mei"))
    assert sent(made, line(one, "a", auditor="Mei")) == kept and Audit.objects.count() == 1
    sent(made, line(two, "a", auditor="Mei"))
    sent(made, line(two, "a", auditor="Mei") + " ", source="A third tool")
    people = Audit.objects.values_list("auditor", flat=True)
    assert len(people) == 3 and len(set(people)) == 2


def test_bad_lines_are_named_and_nothing_is_written(made: FinishedRun) -> None:
    good = made.labels[0]
    bad = (
        "{", "[]", json.dumps({"choice": "a"}), line(good, "c"), line(good, "a", confidence=9),
        line(good, "a", reason="mood"), line(good, "a", comment=3), line(good, "a", principle="no-such"),
        line(good, "a", comparison="elsewhere"),
        line(good, "a", chosen_is="a", chosen=[{"content": "x"}], rejected=[{"content": "y"}]),
    )  # fmt: skip
    with pytest.raises(AuditFileRefused) as refused:
        sent(made, line(good, "a"), "", *bad, line(good, "b"))
    problems = refused.value.problems
    words = (
        "Line 3: this is not", "Line 4: this is not", "Line 5: it names no", 'Line 6: "choice"', 'Line 7: "confidence"',
        'Line 8: "reason"', 'Line 9: "comment"', "was not judged under the principle", "has no labelled comparison",
        "read otherwise", "judges this label twice",
    )  # fmt: skip
    assert all(any(word in problem for problem in problems) for word in words), problems
    assert len(problems) == len(words)
    assert not Audit.objects.exists() and not AuditImport.objects.exists()
    for content in (b"", b"\n\n", b"\xff\xfe"):
        with pytest.raises(AuditFileRefused):
            import_audits(user=None, run=made.run, content=content, file_name="x", source="x")


def test_our_own_export_comes_back(made: FinishedRun, tmp_path: Path) -> None:
    label = made.labels[0]
    zoe = made.run.created_by
    record_audit(user=zoe, audit_id=uuid4(), item=label, said=Verdict("override", choice=other(label)))
    path = tmp_path / "labels.jsonl"
    write_export(made.run, "labels", "jsonl", path)
    kept = import_audits(user=zoe, run=made.run, content=path.read_bytes(), file_name=path.name, source="Our export")
    [audit] = Audit.objects.filter(imported=kept)
    assert (audit.label, audit.choice, audit.auditor.first_name) == (label, other(label), "somebody")


def test_people_among_the_annotators_of_annotated_pairs_count_and_principles_do_not(
    made: FinishedRun, tmp_path: Path
) -> None:
    path = tmp_path / "pairs.json"
    write_export(made.run, "labels", "icai", path)
    body = json.loads(path.read_text())
    body["annotators"]["p1"] = {"name": "Mei", "type": "human", "description": ""}
    first, second, third = body["comparisons"][:3]
    first["annotations"]["p1"], second["annotations"]["p1"] = {"pref": "a"}, {"pref": None, "no_pref_reason": "tie"}
    third["annotations"]["p1"] = {"pref": None, "no_pref_reason": "invalid"}
    kept = import_audits(user=None, run=made.run, content=json.dumps(body).encode(), file_name="p.json", source="Pairs")
    assert kept.format == "icai" and kept.rows == 2
    found = Audit.objects.filter(imported=kept)
    assert {(one.label.comparison.key, one.choice) for one in found if one.label} == {
        (first["id"], "a"), (second["id"], "neither"),
    }  # fmt: skip
    first["response_a"]["text"] = "Something else."
    with pytest.raises(AuditFileRefused, match="Pair 1: its responses read otherwise"):
        import_audits(user=None, run=made.run, content=json.dumps(body).encode(), file_name="p.json", source="Pairs")


def test_the_command_looks_first_and_then_imports(made: FinishedRun, tmp_path: Path) -> None:
    path = tmp_path / "audits.jsonl"
    path.write_text(line(made.labels[0], other(made.labels[0])))
    arguments: tuple[Any, ...] = ("import_audits", path, "--run", made.run.number, "--source", "A tool")
    out = StringIO()
    call_command(*arguments, "--dry-run", "--json", stdout=out)
    assert json.loads(out.getvalue()) | {"digest": ""} == {
        "format": "jsonl", "verdicts": 1, "overrides": 1, "people": {"somebody": 1}, "passed_over": 0,
        "not_understood": [], "digest": "", "import": None,
    }  # fmt: skip
    assert not Audit.objects.exists()
    call_command(*arguments, stdout=out)
    assert Audit.objects.count() == 1 and "Imported as import" in out.getvalue()
    path.write_text("{")
    with pytest.raises(CommandError, match="1 places were not understood"):
        call_command(*arguments, stdout=StringIO())
    with pytest.raises(CommandError, match="There is no run 99"):
        call_command("import_audits", path, "--run", 99, "--source", "x")
    with pytest.raises(CommandError, match="cannot be read"):
        call_command("import_audits", tmp_path / "none", "--run", made.run.number, "--source", "x")


def test_the_page_looks_first_and_then_imports(made: FinishedRun) -> None:
    url = reverse("training:import_audits")
    auditor = signed_in(make_person("jonas", Role.AUDITOR))
    content = line(made.labels[0], other(made.labels[0]), auditor="<i>Mei</i>").encode()
    asked = {"run": made.run.pk, "source": "A tool", "check_only": "on"}

    def post(content: bytes, **changes: Any) -> Any:
        return auditor.post(url, {"file": SimpleUploadedFile("a.jsonl", content), **asked, **changes})

    page = post(content).content.decode()
    assert "Understood." in page and "&lt;i&gt;Mei" in page and not Audit.objects.exists()
    refused = post(b"{", check_only="")
    assert refused.status_code == 422 and "Line 1: this is not a JSON object" in refused.content.decode()
    assert post(content, check_only="")["Location"] == f"{reverse('training:numbers')}?run={made.run.number}"
    assert Audit.objects.count() == 1
    page = auditor.get(reverse("training:label", args=[made.labels[0].pk])).content.decode()
    assert "imported" in page and "&lt;i&gt;Mei" in page
    assert signed_in(make_person("rita", Role.READER)).get(url).status_code == 403
