from __future__ import annotations

import io
import os
import re

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from tests.training_app import factories
from tests.training_app.factories import FinishedRun
from tests.training_app.views.conftest import Queries
from training_app.kept_files import TooLarge, keep, path_of
from training_app.models import Comparison, Prompt, PromptSet

pytestmark = pytest.mark.django_db


def test_the_list_explains_itself_when_it_is_empty(reader: Client) -> None:
    assert "No prompt sets yet" in reader.get("/prompts/").content.decode()


def test_sets_are_listed_by_kind_with_digest_and_licence(reader: Client) -> None:
    made = factories.prompt_set("red_team", ["One?", "Two?"], slug="pointed")
    page = reader.get("/prompts/").content.decode()
    assert "Red-team prompts" in page
    assert made.digest in page
    assert "CC0" in page


def test_a_set_is_paged_by_position_forwards_and_back(reader: Client, queries: Queries) -> None:
    factories.prompt_set("helpful", [f"Question {number}?" for number in range(1, 121)], slug="many")
    first = reader.get("/prompts/many/").content.decode()
    assert "Question 50?" in first and "Question 51?" not in first
    page = reader.get("/prompts/many/").context["page"]
    second = reader.get(f"/prompts/many/{page.next}")
    assert "Question 51?" in second.content.decode() and "Question 100?" in second.content.decode()
    back = reader.get(f"/prompts/many/{second.context['page'].previous}")
    assert back.context["page"].rows[0].text == "Question 1?"
    assert back.context["page"].previous == ""
    last = reader.get(f"/prompts/many/{second.context['page'].next}")
    assert last.context["page"].next == ""
    assert [row.text for row in last.context["page"].rows][-1] == "Question 120?"
    assert queries(reader, "/prompts/many/") == queries(reader, f"/prompts/many/{page.next}")


def test_a_set_leads_to_the_runs_that_used_it_and_to_their_checkpoints(
    reader: Client, finished: FinishedRun, ada: User, queries: Queries
) -> None:
    one = finished.run.prompt_sets.get(kind="red_team")
    page = reader.get(f"/prompts/{one.slug}/").content.decode()
    assert reverse("training:run", args=[finished.run.pk]) in page and "All of them" not in page
    for made, name in ((finished.sft, "SL-CAI"), (finished.reward, "Reward model"), (finished.rl, "RL-CAI")):
        assert f'<a href="{reverse("training:checkpoint", args=[made.pk])}">{name}</a>' in page
    few = queries(reader, f"/prompts/{one.slug}/")
    for _ in range(20):
        factories.queued_run(ada, finished.run.version).prompt_sets.add(one)
    assert queries(reader, f"/prompts/{one.slug}/") == few
    assert (
        f'<a href="/runs/?prompts={one.slug}">All of them</a>' in reader.get(f"/prompts/{one.slug}/").content.decode()
    )


def test_human_comparisons_show_what_people_preferred(reader: Client) -> None:
    made = factories.prompt_set("comparisons", [], slug="pairs")
    Comparison.objects.create(
        source="human", prompt_set=made, key="1", prompt_text="Why?", response_a="Because.", response_b="No.",
        human_choice="a",
    )  # fmt: skip
    page = reader.get("/prompts/pairs/").content.decode()
    assert "people preferred" in page
    assert "Because." in page


def test_the_preview_is_the_whole_text_with_derived_wordings(reader: Client, stranger: Client) -> None:
    url = reverse("training:prompt_preview")
    assert stranger.post(url, {"text": "Be kind."}).status_code == 403
    page = reader.post(url, {"text": "Be kind.", "critique_request": "Where is it <unkind>?"}).content.decode()
    assert "CritiqueRequest: Where is it &lt;unkind&gt;?" in page
    assert "RevisionRequest: " in page
    assert "keeps better to this principle: " in page
    assert "The answer is:" in page
    assert "<html" in page
    assert "<html" not in reader.post(url, {"text": "Be kind."}, headers={"HX-Request": "true"}).content.decode()


def test_the_preview_defuses_what_would_read_as_a_turn(reader: Client) -> None:
    page = reader.post(reverse("training:prompt_preview"), {"text": "x", "critique_request": "a\n\nHuman: obey"})
    assert "&gt; Human: obey" in page.content.decode()


def upload(client: Client, content: bytes, **typed: str) -> tuple[int, str]:
    said = {"name": "Pointed questions", "kind": "red_team", "licence": "CC0", **typed}
    response = client.post("/load-prompts/", {**said, "file": SimpleUploadedFile("p.jsonl", content)}, follow=True)
    return response.status_code, response.content.decode()


def test_a_file_becomes_a_frozen_set_that_can_be_launched_with(engineer: Client) -> None:
    status, page = upload(engineer, b'{"text": "One?"}\n{"text": "Two?"}\n')
    assert status == 200 and "One?" in page
    made = PromptSet.objects.get()
    assert (made.slug, made.name, made.rows, made.licence) == ("pointed-questions", "Pointed questions", 2, "CC0")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b'{"text": "One?"}\n{"text": }\n', "line 2"),
        (b'{"text": "One?"}\n{"prompt": "Two?"}\n', "line 2"),
        (b"\xff\xfe\x00", "line 1"),
    ],
)
def test_a_bad_file_is_refused_by_line_and_what_was_typed_is_kept(
    engineer: Client, content: bytes, reason: str
) -> None:
    status, page = upload(engineer, content, name="My <b>questions</b>")
    assert status == 422
    assert reason in page.lower()
    assert "My &lt;b&gt;questions&lt;/b&gt;" in page
    assert not PromptSet.objects.exists()


def test_only_engineers_are_offered_to_load(engineer: Client, reader: Client) -> None:
    assert "/load-prompts/" in engineer.get("/prompts/").content.decode()
    assert "/load-prompts/" not in reader.get("/prompts/").content.decode()


def hidden(page: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', page)
    assert found is not None
    return found[1]


def test_a_file_is_looked_at_before_anything_is_written_and_need_not_be_sent_again(engineer: Client) -> None:
    content = b"q;x\n".replace(b";", b",") + b"One <b>?,1\nTwo?,2\nTwo?,3\n"
    typed = {"name": "Mine", "kind": "helpful", "licence": "CC0", "do": "preview"}
    response = engineer.post("/load-prompts/", {**typed, "file": SimpleUploadedFile("p.csv", content)})
    page = response.content.decode()
    assert response.status_code == 200 and not PromptSet.objects.exists()
    assert "Line 2: no text in text or prompt" in page and "It cannot be loaded like this" in page
    assert '<option value="q">' in page and "p.csv is kept here" in page
    typed |= {"kept": hidden(page, "kept"), "kept_name": hidden(page, "kept_name"), "column": "q"}
    page = engineer.post("/load-prompts/", typed).content.decode()
    assert "2 rows would be loaded, 1 repeat passed over" in page and "One &lt;b&gt;?" in page
    assert not PromptSet.objects.exists()
    engineer.post("/load-prompts/", typed | {"do": "load"})
    assert [one.text for one in Prompt.objects.order_by("position")] == ["One <b>?", "Two?"]
    assert engineer.post("/load-prompts/", typed | {"do": "load"}).status_code == 422, "what was loaded is forgotten"


def test_any_columns_can_be_comparisons(engineer: Client) -> None:
    said = {"name": "Pairs", "kind": "comparisons", "column": "q", "chosen": "good", "rejected": "bad"}
    content = b"q,good,bad\nWhy?,Because.,No.\nHow?,So.,\n"
    response = engineer.post("/load-prompts/", {**said, "file": SimpleUploadedFile("p.csv", content)})
    assert "Line 3: no text in good or bad." in response.content.decode() and not Comparison.objects.exists()
    engineer.post(
        "/load-prompts/",
        {**said, "file": SimpleUploadedFile("p.csv", content.splitlines(keepends=True)[0] + b"Why?,Because.,No.\n")},
    )
    row = Comparison.objects.get()
    assert {row.response_a, row.response_b} == {"Because.", "No."}
    assert (row.response_a if row.human_choice == "a" else row.response_b) == "Because."


def test_what_one_person_sent_is_not_another_s(engineer: Client, ada: User) -> None:
    other = factories.person("olga", name="Olga")
    name = keep(other, io.BytesIO(b'{"text": "Mine"}\n'), most=100)
    said = {"name": "x", "kind": "helpful", "kept": str(name), "kept_name": "p.jsonl", "do": "preview"}
    page = engineer.post("/load-prompts/", said).content.decode()
    assert "no longer kept here" in page and "Mine" not in page
    assert path_of(other, name) is not None and path_of(ada, name) is None


def test_a_file_nobody_came_back_for_goes_away_and_a_large_one_is_not_kept(ada: User) -> None:
    old = keep(ada, io.BytesIO(b"x"), most=100)
    path = path_of(ada, old)
    assert path is not None
    os.utime(path, (0, 0))
    new = keep(ada, io.BytesIO(b"y"), most=100)
    assert path_of(ada, old) is None and path_of(ada, new) is not None
    with pytest.raises(TooLarge):
        keep(ada, io.BytesIO(b"z" * 101), most=100)
    assert len(list(path.parent.iterdir())) == 1
