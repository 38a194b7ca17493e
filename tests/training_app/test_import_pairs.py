"""Annotated pairs come into the database and go out as they came."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.core.management import CommandError, call_command
from django.test import Client

from constitutions_app.models import LedgerEntry
from tests.training_app import factories
from tests.training_app.scenes import comparisons
from training_app.actions import import_pairs
from training_app.exports import imported_pairs, write_export
from training_app.models import AnnotatedPair, Comparison, PairImport, PromptSet
from training_app.refusals import PairFileRefused

pytestmark = pytest.mark.django_db


def a_file(**changes: Any) -> bytes:
    talk = [{"role": role, "content": text} for role, text in (("user", "Hi"), ("assistant", "Hi."), ("user", "Q"))]
    rows = [
        {"id": "1", "prompt": "Why?", "response_a": {"text": "Because.", "model": "m"}, "response_b": {"text": "No."},
         "annotations": {"people": {"pref": "b"}, "p1": {"pref": None, "no_pref_reason": "tie", "p_a": 0.5}}},
        {"id": "2", "prompt": "Human: Hi", "response_a": {"text": "x"}, "response_b": {"text": "y"},
         "annotations": {"p1": {"pref": "a"}}, "metadata": {"messages": talk}},
    ]  # fmt: skip
    named = {"people": {"name": "People", "type": "human"}, "p1": {"name": "Kind", "type": "principle", "extra": 1}}
    body = {"metadata": {"version": "2.0", "default_annotator": "people"}, "annotators": named, "comparisons": rows}
    return json.dumps(body | changes).encode()


def test_what_people_chose_is_theirs_and_all_else_is_kept_as_it_is() -> None:
    made = import_pairs(user=None, content=a_file(), file_name="pairs.json", licence="MIT")
    one, other = Comparison.objects.filter(prompt_set=made.prompt_set).order_by("key")
    assert (one.source, one.human_choice, one.prompt_text) == ("human", "b", "Why?")
    assert (other.source, other.human_choice, other.prompt_text, len(other.messages)) == ("imported", "", "Q", 3)
    first = AnnotatedPair.objects.get(comparison=one)
    assert first.annotations["p1"] == {"pref": None, "no_pref_reason": "tie", "p_a": 0.5}
    assert (made.rows, made.prompt_set.licence, made.annotators[1]["said"]) == (2, "MIT", {"extra": 1})
    assert LedgerEntry.objects.filter(verb="pairs.import").count() == 1
    assert import_pairs(user=None, content=a_file(), file_name="again.json").pk == made.pk


def test_labels_that_were_exported_come_back_and_go_out_again_as_the_same_file(tmp_path: Path) -> None:
    done = factories.finished_run(factories.person("ada"))
    done.run.prompt_sets.add(comparisons())
    file, back = tmp_path / "a.json", tmp_path / "b.json"
    write_export(done.run, "labels", "icai", file)
    out = StringIO()
    call_command("import_pairs", file, "--json", back=back, stdout=out)
    assert json.loads(out.getvalue())["pairs"] == PairImport.objects.get().rows
    assert back.read_text() == file.read_text()
    chosen = {row.key: row.human_choice for row in comparisons().human_comparisons.all()}
    made = PairImport.objects.get().prompt_set.human_comparisons
    assert {row.key: row.human_choice for row in made.filter(source="human")} == chosen


TWO = {"response_a": {"text": "x"}, "response_b": {"text": "y"}}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"{", "not JSON"),
        (a_file(comparisons=[]), "one at least"),
        (a_file(comparisons=[{"id": "1", **TWO}] * 2), "id of its own"),
        (a_file(comparisons=[{"id": "1" * 201, **TWO}]), "longer than"),
        (a_file(comparisons=[TWO | {"prompt": "x\x00"}]), "NUL"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_written(content: bytes, reason: str, tmp_path: Path) -> None:
    with pytest.raises(PairFileRefused, match=reason):
        import_pairs(user=None, content=content, file_name="x.json")
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(CommandError, match="Nothing was imported"):
        call_command("import_pairs", tmp_path / "x.json")
    assert not PromptSet.objects.exists() and not PairImport.objects.exists()


def test_the_lists_of_exports_do_not_lose_an_annotation() -> None:
    made = import_pairs(user=None, content=a_file(), file_name="pairs.json")
    again = json.loads("".join(imported_pairs(made)))
    given = json.loads(a_file())
    assert [row["annotations"] for row in again["comparisons"]] == [row["annotations"] for row in given["comparisons"]]
    assert again["annotators"]["p1"] == given["annotators"]["p1"] | {"description": ""}


def test_imported_pairs_are_found_and_read_in_the_explorer() -> None:
    made = import_pairs(user=None, content=a_file(), file_name="pairs.json")
    user = factories.person("reader")
    user.groups.add(Group.objects.get(name="reader"))
    client = Client()
    client.force_login(user, backend="cai_web.backends.PasswordBackend")
    place = f"/audit/explore/?kind=comparison&prompt_set={made.prompt_set_id}"
    both = client.get(place).content.decode()
    assert "Pairs of pairs" in both and "what annotators preferred" in both
    assert "<dt>People</dt><dd>B</dd>" in both and "<dt>Kind</dt><dd>neither</dd>" in both
    found = {
        source: client.get(f"{place}&source={source}").content.decode() for source in ("sampled", "human", "imported")
    }
    one, other = Comparison.objects.filter(prompt_set=made.prompt_set).order_by("key")
    assert f"Comparison {one.pk}" in found["human"] and f"Comparison {other.pk}" not in found["human"]
    assert f"Comparison {other.pk}" in found["imported"] and "Comparison " not in found["sampled"]
    page = client.get(f"/prompts/{made.prompt_set.slug}/").content.decode()
    assert f"?kind=comparison&amp;prompt_set={made.prompt_set_id}" in page
