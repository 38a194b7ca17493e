from __future__ import annotations

import hashlib
import json
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from constitutions_app.access import get_upload_for
from constitutions_app.actions import ImportedFile, import_into_draft, keep_upload
from constitutions_app.actions import importing as actions_importing
from constitutions_app.actions.importing import MAX_UPLOADS
from constitutions_app.core.interchange import WRITTEN, read_bytes
from constitutions_app.core.principles import digest
from constitutions_app.models import Constitution, Draft, Import, LedgerEntry, Upload
from constitutions_app.views import importing
from tests.constitutions_app.conftest import signed_in
from tests.constitutions_app.factories import draft_of, newest
from tests.constitutions_app.strategies import ATTACKS
from tests.outside import DATA, needs

pytestmark = pytest.mark.django_db

PAGE = "/constitutions/import/"
PAIRS = json.dumps({"harm": {"prompt": ["Say what harms."], "edit_request": "Take the harm out."},
                    "lie": {"prompt": "Say what is false.", "edit_request": "Make it true."}})  # fmt: skip
QUESTIONS = json.dumps(["Which is truer? Options:", "Which harms less? Options:"])
POLIS = "comment-id,comment-body,agrees,moderated\n1,AI should be clear.,5,1\n2,Not this.,1,-1\n"
SPEC = "# Spec {#top}\nBackground.\n## Be kind {#kind authority=user}\nBe kind.[^a1]\n"
EXAMPLE = "**Example**: hello\n\n~~~xml\n<user>\nHi\n</user>\n<assistant>\n...\n</assistant>\n~~~\n"


@pytest.fixture
def client(author: User) -> Client:
    return signed_in(author)


def uploaded(text: str, name: str = "file.json") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, text.encode())


def upload(client: Client, **said: Any) -> str:
    """The address of the preview."""
    answer = client.post(PAGE, said)
    assert answer.status_code == 302, answer.content.decode()
    return str(answer.headers["Location"])


def test_nothing_is_written_before_the_preview_was_read(client: Client) -> None:
    address = upload(client, file=uploaded(POLIS, "town_hall.csv"), licence="CC BY")
    page = client.get(address).content.decode()
    assert "AI should be clear." in page and "This comment was moderated out." in page
    assert "nothing is written yet" in page and "CC BY" in page
    assert not Constitution.objects.exists() and not LedgerEntry.objects.exists()
    answer = client.post(address, {"name": "Town hall"})
    assert answer.headers["Location"] == "/constitutions/town-hall/"
    kept = Import.objects.get()
    assert (kept.format, kept.licence, kept.provenance["comment-1"]["agrees"]) == ("polis", "CC BY", 5)
    assert kept.file_digest == hashlib.sha256(POLIS.encode()).hexdigest()
    assert [item["line"] for item in kept.not_understood] == [3]
    assert not Upload.objects.exists()
    entry = LedgerEntry.objects.get()
    assert json.loads(entry.body)["data"]["import"]["file_digest"] == kept.file_digest


def test_what_the_file_said_stands_on_its_pages(client: Client) -> None:
    client.post(upload(client, file=uploaded(POLIS, "town_hall.csv")), {"name": "Town hall"})
    assert "town_hall.csv" in client.get("/constitutions/town-hall/").content.decode()
    page = client.get("/constitutions/town-hall/imports/1/").content.decode()
    assert "agrees: 5" in page and "moderated out" in page
    client.post("/constitutions/town-hall/draft/publish/", {"note": "First.", "revision": 0})
    principle = client.get("/constitutions/town-hall/v1/principles/comment-1/").content.decode()
    assert "town_hall.csv" in principle and "<dt>agrees</dt><dd>5</dd>" in principle


def test_a_pasted_text_does_as_well(client: Client) -> None:
    address = upload(client, text=POLIS)
    assert "AI should be clear." in client.get(address).content.decode()


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({}, "Choose a file, or paste its text."),
        ({"text": "x", "file": b"y"}, "not both"),
        ({"text": "kept words", "format": "docx"}, "kept words"),
        ({"file": b"x" * 5_000_001}, "larger than 5 MB"),
        ({"text": "x", "examples": [b"y" * 3_000_000, b"z" * 3_000_000]}, "import the file from the shell"),
    ],
)
def test_bad_input_is_told_and_what_was_typed_kept(client: Client, said: dict[str, Any], reason: str) -> None:
    files = {name: _files(value) for name, value in said.items()}
    answer = client.post(PAGE, files)
    assert answer.status_code == 422
    assert reason in answer.content.decode()
    assert not Upload.objects.exists()


def _files(value: Any) -> Any:
    if isinstance(value, list):
        return [SimpleUploadedFile(f"{number}.md", data) for number, data in enumerate(value)]
    return SimpleUploadedFile("x.txt", value) if isinstance(value, bytes) else value


def test_a_file_of_no_format_keeps_its_preview_and_can_be_read_differently(client: Client) -> None:
    address = upload(client, file=uploaded('[{"rule": "x"}]'))
    page = client.get(address).content.decode()
    assert "This is none of the formats" in page
    assert client.post(address, {"name": "N"}).status_code == 422
    assert Upload.objects.count() == 1
    again = client.post(f"{address}more/", {"format": "open-character", "licence": "MIT"})
    assert again.headers["Location"] == address
    assert "Each item needs a text named" in client.get(address).content.decode().replace("&quot;", '"')


def test_the_second_file_is_added_and_the_lists_are_linked_by_hand(client: Client, author: User) -> None:
    address = upload(client, file=uploaded(PAIRS))
    assert "Link the two lists" not in client.get(address).content.decode()
    assert client.get(f"{address}links/").status_code == 302
    client.post(f"{address}more/", {"link": uploaded(QUESTIONS, "questions.json")})
    assert "2 links unconfirmed" in client.get(address).content.decode()
    chosen = {"question-0": "1", "confirmed-0": "on", "question-1": "0"}
    twice = client.post(f"{address}links/", {**chosen, "question-1": "1"})
    assert twice.status_code == 422 and "Question 2 is linked 2 times" in twice.content.decode()
    assert client.post(f"{address}links/", chosen).headers["Location"] == address
    assert "1 link unconfirmed" in client.get(address).content.decode()
    client.post(address, {"name": "Linked"})
    first, second = Constitution.objects.get().draft.to_core().principles
    assert (first.id, first.comparison_question, first.tags) == ("harm", "Which harms less?", ())
    assert (second.comparison_question, second.tags) == ("Which is truer?", ("link-unconfirmed",))
    facts = Import.objects.get().provenance
    assert facts["harm"]["link"] == "confirmed" and facts["harm"]["linked by"] == "Ada"
    assert facts["lie"]["link"] == "unconfirmed"


def test_a_pair_without_a_question_and_a_question_without_a_pair_stay_alone(client: Client) -> None:
    address = upload(client, file=uploaded(PAIRS), link=uploaded(QUESTIONS, "q.json"))
    client.post(f"{address}links/", {"question-0": "", "confirmed-0": "on", "question-1": "0"})
    client.post(address, {"name": "Alone"})
    found = Constitution.objects.get().draft.to_core().principles
    assert [(item.id, item.stages) for item in found] == [
        ("lie", ("revise", "label")),
        ("harm", ("revise",)),
        ("question1", ("label",)),
    ]


def test_examples_of_the_model_spec_come_along(client: Client) -> None:
    address = upload(client, file=uploaded(SPEC, "spec.md"))
    assert "no file examples/a1.md" in client.get(address).content.decode()
    client.post(f"{address}more/", {"examples": [uploaded(EXAMPLE, "a1.md")]})
    client.post(address, {"name": "Spec"})
    made = Constitution.objects.get()
    assert [(row.prompt, row.principles, row.origin["file"]) for row in made.scenarios.all()] == [
        ("Hi", ["kind"], "spec.md")
    ]


def test_it_goes_into_a_draft_and_what_was_there_is_kept(client: Client, constitution: Constitution) -> None:
    own = {"name": "x", "principles": [{"id": "honesty", "text": "New."}, {"id": "fresh", "text": "Fresh."}]}
    address = upload(client, file=uploaded(json.dumps(own)))
    page = client.get(f"{address}?into=test&way=update").content.decode()
    assert "1 added" in page and "1 edited" in page
    before = draft_of(constitution)
    answer = client.post(address, {"into": "test", "way": "update", "revision": before.revision})
    assert answer.status_code == 302
    after = {item.id: item.text for item in draft_of(constitution).to_core().principles}
    assert (list(after), after["honesty"]) == (["honesty", "privacy", "kindness", "fresh"], "New.")
    entry = LedgerEntry.objects.latest("seq")
    assert entry.verb == "draft.import"
    assert "Say what is true" in json.loads(entry.body)["data"]["replaced"]


@pytest.mark.parametrize(("way", "texts"), [("add", 4), ("replace", 2)])
def test_each_way_does_what_it_says(client: Client, constitution: Constitution, way: str, texts: int) -> None:
    own = {"name": "x", "principles": [{"id": "honesty", "text": "New."}, {"id": "fresh", "text": "Fresh."}]}
    address = upload(client, file=uploaded(json.dumps(own)))
    draft = draft_of(constitution)
    client.post(address, {"into": "test", "way": way, "revision": draft.revision})
    body = draft_of(constitution).to_core()
    assert (body.name, len(body.principles)) == ("Test", texts)
    assert body.principles[0].text == ("New." if way == "replace" else "Say what is true and mark what is uncertain.")


def test_a_draft_that_changed_meanwhile_is_left_alone(client: Client, constitution: Constitution) -> None:
    address = upload(client, text=POLIS)
    answer = client.post(address, {"into": "test", "way": "add", "revision": 99})
    assert answer.status_code == 422 and "The draft changed while you were reading" in answer.content.decode()
    assert Upload.objects.exists() and not Import.objects.exists()


def test_what_does_not_fit_a_column_is_refused_and_kept(client: Client) -> None:
    own = {"name": "x", "principles": [{"id": "two words", "text": "New."}]}
    address = upload(client, file=uploaded(json.dumps(own)))
    answer = client.post(address, {"name": "N"})
    assert answer.status_code == 422 and "two words" in answer.content.decode()
    assert Upload.objects.exists() and not Constitution.objects.exists()


def test_an_upload_is_its_owners_alone_and_the_oldest_make_room(
    client: Client, author: User, admin: User, reader: User
) -> None:
    address = upload(client, text=POLIS)
    assert signed_in(admin).get(address).status_code == 404
    assert signed_in(reader).get(address).status_code == 403
    for number in range(MAX_UPLOADS):
        keep_upload(user=author, name=f"{number}", data=b"x")
    assert Upload.objects.count() == MAX_UPLOADS
    assert client.get(address).status_code == 404
    assert client.post(f"{PAGE}{Upload.objects.latest('created_at').pk}/discard/").status_code == 302
    assert Upload.objects.count() == MAX_UPLOADS - 1


def test_an_upload_written_by_another_press_of_the_button_is_not_written_twice(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it is when two requests have both read the upload before either has written it."""
    addresses = [upload(client, text=POLIS) for _ in range(3)]

    def pressed_twice(user: User, upload_id: UUID) -> Upload:
        kept = get_upload_for(user, upload_id)
        Upload.objects.filter(pk=kept.pk).delete()
        return kept

    monkeypatch.setattr(importing, "get_upload_for", pressed_twice)
    for address in (addresses[0], addresses[1] + "more/"):
        answer = client.post(address, {"name": "Town hall"}, follow=True)
        assert answer.redirect_chain == [(PAGE, 302)]
        assert "It was not written a second time." in answer.content.decode()
    assert not Constitution.objects.exists() and Upload.objects.count() == 1


def test_files_beside_an_upload_have_a_limit_together(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(actions_importing, "MAX_BESIDE", 8)
    address = upload(client, file=uploaded(SPEC, "spec.md"), examples=uploaded("12345", "a.md"))
    assert client.post(address + "more/", {"examples": uploaded("678", "b.md")}).status_code == 302
    answer = client.post(address + "more/", {"examples": uploaded("9", "c.md"), "licence": "MIT"})
    assert answer.status_code == 422 and "They were not added" in answer.content.decode()
    kept = Upload.objects.get()
    assert set(kept.beside) == {"examples/a.md", "examples/b.md"} and not kept.licence


def test_words_that_replace_the_draft_end_a_merge_that_is_not_published(
    client: Client, author: User, constitution: Constitution
) -> None:
    draft = draft_of(constitution)
    Draft.objects.filter(pk=draft.pk).update(merging=newest(constitution))
    for way, ended in (("add", False), ("replace", True)):
        found = read_bytes(POLIS.encode(), "town.csv")
        import_into_draft(user=author, draft=draft, file=ImportedFile(found, "town.csv", b""), way=way)
        assert (draft_of(constitution).merging_id is None) == ended


def test_hostile_files_come_back_escaped(client: Client) -> None:
    rows = "".join(f'{n},"{attack.replace(chr(34), chr(34) * 2)}",1\n' for n, attack in enumerate(ATTACKS))
    address = upload(client, file=uploaded(f"comment-id,comment-body,<b>x\n{rows}7,1\n", "<script>.csv"))
    client.post(address + "more/", {"licence": ATTACKS[1]})
    pages = [client.get(address).content.decode()]
    wrote = client.post(address, {"name": ATTACKS[0]})
    assert wrote.status_code == 302, wrote.content.decode().split("Nothing was written")[1][:300]
    made = Constitution.objects.get()
    pages += [client.get(f"/constitutions/{made.slug}/{rest}").content.decode() for rest in ("", "imports/1/")]
    for page in pages:
        assert "<script>alert" not in page and "<img src=x" not in page and "<svg/onload" not in page
        assert "<script>.csv" not in page and "<b>x" not in page and "\u202e" not in page


@pytest.mark.parametrize("format", WRITTEN)
def test_every_export_imports_to_the_same_digest(reader: User, constitution: Constitution, format: str) -> None:
    client = signed_in(reader)
    for place, wanted in (
        ("v1", newest(constitution).digest),
        ("draft", digest(draft_of(constitution).to_core())),
    ):
        answer = client.get(f"/constitutions/test/{place}/export/{format}/")
        assert answer.headers["Content-Disposition"].startswith('attachment; filename="test-')
        assert digest(read_bytes(answer.content, "x").constitution) == wanted
    assert client.get("/constitutions/test/v1/export/docx/").status_code == 404
    assert client.get("/constitutions/test@none/draft/export/json/").status_code == 404


@needs(DATA)
def test_the_real_model_spec_comes_in_through_the_page(client: Client) -> None:
    folder = DATA / "model-spec-excerpt"
    examples = [SimpleUploadedFile(path.name, path.read_bytes()) for path in sorted((folder / "examples").glob("*"))]
    spec = SimpleUploadedFile("model_spec.md", (folder / "model_spec.md").read_bytes())
    address = upload(client, file=spec, examples=examples, licence="CC0")
    assert client.get(address).status_code == 200
    client.post(address, {"name": "Spec"})
    made = Constitution.objects.get()
    assert made.draft.principles.count() >= 3 and made.scenarios.count() > 10
    assert "authority" in next(iter(made.imports.get().provenance.values()))


def test_what_does_not_fit_is_told_before_and_refused_after_the_press_of_the_button(client: Client) -> None:
    own = json.dumps({"name": "n" * 201, "principles": [{"id": "a", "text": "Be kind."}]})
    address = upload(client, file=uploaded(own, "own.json"))
    page = client.get(address).content.decode()
    assert "This cannot be written as it is." in page and "The name has 201 characters" in page
    answer = client.post(address, {"name": ""})
    assert answer.status_code == 422 and "The name has 201 characters" in answer.content.decode()
    assert client.post(address, {"name": "Short"}).headers["Location"] == "/constitutions/short/"
