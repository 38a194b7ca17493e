"""Published traces become ours: by the verb, the command and the page."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse

from constitutions_app.access import Role
from constitutions_app.actions import publish_version
from constitutions_app.models import Constitution, LedgerEntry, Version
from tests.outside import CAI_PAPER, needs
from training_app.actions import import_traces
from training_app.models import Audit, Prompt, PromptSet, Trace, TraceImport, TraceStep
from training_app.refusals import TraceFileRefused

pytestmark = pytest.mark.django_db

SCRIPT = "<script>alert(1)</script>"


def a_round(key: str, revision: str | dict[str, str] = " A kinder answer.", **changes: Any) -> dict[str, Any]:
    value = {
        "prompt": ["\n\nCritiqueRequest: What harms?\n\nCritique:"],
        "edit_request": "\n\nRevisionRequest: Mend it.\n\nRevision:",
    }
    said = {"cst_key": key, "cst_value": value, "critique": {"sample": " It harms."}, "revision": {"sample": revision}}
    return said | changes


def a_line(*rounds: dict[str, Any], prompt: str = "How?") -> str:
    asked = f"\n\nHuman: {prompt}\n\nAssistant:"
    return json.dumps({"rl_prompt": asked, "initial_response": [{"sample": " First."}], "cst": list(rounds)})


@pytest.fixture
def ada(db: None) -> User:
    ada = User.objects.create_superuser("ada", email="ada@example.org", password="only for tests")
    ada.groups.add(Group.objects.get(name=Role.ENGINEER))
    return ada


@pytest.fixture
def version(ada: User, tmp_path: Path) -> Version:
    """Two principles as `import_constitution` reads them from a file of the paper's form, published."""
    pairs = {
        key: {"prompt": [f"\n\nCritiqueRequest: {ask}\n\nCritique:"], "edit_request": "\n\nRevisionRequest: Mend it."}
        for key, ask in (("harmful0", "What harms?"), ("harmful1", "What else harms?"))
    }
    file = tmp_path / "pairs.json"
    file.write_text(json.dumps(pairs))
    return published(file, ada)


def published(file: Path, user: User) -> Version:
    call_command("import_constitution", file, user=user.username, stdout=StringIO())
    constitution = Constitution.objects.latest("pk")
    return publish_version(user=user, draft=constitution.draft, note="As the paper has it.")


def command(file: Path, version: Version, **options: Any) -> dict[str, Any]:
    out = StringIO()
    name = f"{version.constitution.slug}@{version.number}"
    call_command("import_traces", file, constitution=name, json=True, stdout=out, **options)
    said: dict[str, Any] = json.loads(out.getvalue())
    return said


def test_every_round_cites_the_principle_its_key_names(version: Version) -> None:
    file = a_line(a_round("harmful1"), a_round("harmful0", " A kinder answer."))
    made = import_traces(user=None, version=version, content=file.encode(), file_name="two.jsonl", licence="CC0")
    assert (made.rows, made.steps, made.other_wordings) == (1, 2, 1)
    first, second = TraceStep.objects.order_by("round")
    assert [step.principle.key for step in (first, second)] == ["harmful1", "harmful0"]
    assert {step.principle.version for step in (first, second)} == {version}
    assert (first.critique_request, first.critique, first.revision) == ("What harms?", "It harms.", "A kinder answer.")
    assert (first.flags, second.flags) == ([], ["no_op"]), "flags are found as in our own traces"
    assert (first.trace.run, first.trace.imported, first.trace.initial_response) == (None, made, "First.")
    assert (made.prompt_set.kind, made.prompt_set.licence) == (PromptSet.Kind.RED_TEAM, "CC0")
    assert made.prompt_set.provenance["imported"]["digest"] == made.digest


def test_the_same_file_is_imported_once_under_a_version(version: Version) -> None:
    file = a_line(a_round("harmful0")).encode()
    one, other = (import_traces(user=None, version=version, content=file, file_name="a.jsonl") for _ in range(2))
    assert one == other
    assert (Trace.objects.count(), TraceStep.objects.count(), PromptSet.objects.count()) == (1, 1, 1)
    assert LedgerEntry.objects.filter(verb="traces.import").count() == 1


def test_two_answers_to_one_prompt_share_it_and_partial_conversations_stay_whole(version: Version) -> None:
    turns = "Hello.\n\nAssistant: Hello!\n\nHuman: How?"
    lines = [a_line(a_round("harmful0")), a_line(a_round("harmful1")), a_line(a_round("harmful0"), prompt=turns)]
    import_traces(user=None, version=version, content="\n".join(lines).encode(), file_name="a.jsonl")
    assert (Trace.objects.count(), Prompt.objects.count()) == (3, 2)
    assert [len(prompt.messages) for prompt in Prompt.objects.order_by("position")] == [0, 3]


@pytest.mark.parametrize(
    ("line", "place"),
    [
        (a_line(a_round("harmful0"), a_round("harmful77")), "no principle of this key (round 2). [harmful77]"),
        ("{", "not JSON"),
        ("[]", "rl_prompt"),
        (a_line(a_round("harmful0"), {"cst_key": ""}), 'Round 2 has no "cst_key"'),
        (a_line(a_round("harmful0", revision={})), "revision of round 1"),
        ('{"rl_prompt": "Human: a\\n\\nAssistant: b", "initial_response": {"sample": ""}, "cst": []}', "a Human turn"),
        ("[" * 100_000, "nested too deeply"),
    ],
    ids=["unknown key", "no JSON", "no object", "no key", "no text", "no question", "deep"],
)
def test_one_place_not_understood_keeps_everything_out(version: Version, line: str, place: str) -> None:
    file = f"{a_line(a_round('harmful0'))}\n\n{line}\n"
    with pytest.raises(TraceFileRefused) as refused:
        import_traces(user=None, version=version, content=file.encode(), file_name="a.jsonl")
    assert [one.line for one in refused.value.places] == [3]
    assert place in refused.value.places[0].sentence
    assert not (Trace.objects.exists() or TraceImport.objects.exists() or PromptSet.objects.exists())


def test_the_command_prints_numbers_and_names_unknown_keys_by_line(version: Version, tmp_path: Path) -> None:
    file = tmp_path / "traces.jsonl"
    file.write_text(f"{a_line(a_round('harmful0'), a_round('harmful1'))}\n")
    tried, said = command(file, version, dry_run=True), command(file, version)
    assert (tried["traces"], tried["steps"], tried["trace_numbers"]) == (1, 2, [])
    assert (said["traces"], said["steps"], said["not_understood"]) == (1, 2, [])
    assert said["principles"] == {"harmful0": 1, "harmful1": 1}
    assert said["trace_numbers"] == [Trace.objects.get().pk]
    assert command(file, version) == said
    file.write_text(f"\n{a_line(a_round('harmful9'))}\n")
    out = StringIO()
    name = f"{version.constitution.slug}@latest"
    with pytest.raises(CommandError, match="Nothing was imported: 1 place"):
        call_command("import_traces", file, constitution=name, json=True, stdout=out)
    assert [(one["line"], one["text"]) for one in json.loads(out.getvalue())["not_understood"]] == [(2, "harmful9")]
    with pytest.raises(CommandError, match="no published version nothing@1"):
        call_command("import_traces", file, constitution="nothing@1")


@needs(CAI_PAPER)
def test_it_reads_the_published_file_whole(ada: User) -> None:
    version = published(CAI_PAPER / "prompts" / "CritiqueRevisionInstructions.json", ada)
    said = command(CAI_PAPER / "samples" / "PALMS_SLMADISON.jsonl", version)
    assert (said["traces"], said["steps"], said["not_understood"]) == (40, 160, [])
    assert said["other_wordings"] == 0, "the file was asked with the words of the list"
    assert set(said["principles"]) <= {f"harmful{number}" for number in range(16)}


def test_imported_traces_are_listed_read_and_audited(ada: User, version: Version) -> None:
    client = Client()
    client.force_login(ada)
    file = SimpleUploadedFile("two.jsonl", a_line(a_round("harmful0", f" {SCRIPT}"), prompt=SCRIPT).encode())
    response = client.post(reverse("training:import_traces"), {"file": file, "version": version.pk}, follow=True)
    made = TraceImport.objects.get()
    assert response.redirect_chain[-1][0] == f"/audit/traces/?file={made.pk}"
    listed = response.content.decode()
    assert "Imported: two.jsonl" in listed
    read = client.get(reverse("training:trace", args=[made.traces.get().pk])).content.decode()
    assert "Imported from two.jsonl" in read
    assert SCRIPT not in listed + read
    step = TraceStep.objects.get()
    verdict = {"idempotency_key": "6a0c1cf0-51e4-4b0f-9c0c-0a2c36cfb7a5", "verdict": "agree", "confidence": "3"}
    client.post(reverse("training:audit_step", args=[step.pk]), verdict | {"critique_fair": "yes"})
    assert Audit.objects.get().step == step


def test_the_page_names_the_line_and_imports_nothing(ada: User, version: Version) -> None:
    client = Client()
    client.force_login(ada)
    file = SimpleUploadedFile("bad.jsonl", a_line(a_round(SCRIPT)).encode())
    response = client.post(reverse("training:import_traces"), {"file": file, "version": version.pk})
    page = response.content.decode()
    assert response.status_code == 422
    assert "Line 1:" in page
    assert "Nothing was imported" in page
    assert SCRIPT not in page
    assert not TraceImport.objects.exists()
