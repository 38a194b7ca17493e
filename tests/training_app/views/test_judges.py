from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from tests.tiny_model import build_tiny_model
from tests.training_app.factories import judge_evaluation
from tests.training_app.test_judge_evaluations import LINES
from training_app import tasks
from training_app.core.judge_items import QUESTION
from training_app.models import JudgeEvaluation

pytestmark = pytest.mark.django_db

NEW = reverse("training:measure_judge")


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(tasks.evaluate_judge, "apply_async", lambda **options: None)
    (tmp_path / "models").mkdir()
    build_tiny_model(tmp_path / "models" / "tiny")
    return "tiny"


def sent(client: Client, model: str, content: bytes, **changes: Any) -> Any:
    file = SimpleUploadedFile("evals <b>.jsonl", content)
    key = "7c1b8f5e-2d0c-4c5e-9a55-0d3f5f6a7b11"
    said = {"file": file, "model": model, "template": "paper", "question": QUESTION, "idempotency_key": key}
    return client.post(NEW, said | changes)


def test_an_engineer_measures_a_judge_and_a_reader_may_not(engineer: Client, reader: Client, tiny: str) -> None:
    assert sent(reader, tiny, LINES).status_code == 403
    assert not JudgeEvaluation.objects.exists()
    response = sent(engineer, tiny, LINES)
    row = JudgeEvaluation.objects.get()
    assert response["Location"] == reverse("training:judge_evaluation", args=[row.pk])
    page = reader.get(response["Location"]).content.decode()
    assert "0 of 5 questions" in page and "every 2s" in page and "evals &lt;b&gt;.jsonl" in page


def test_bad_lines_stand_beside_the_file(engineer: Client, tiny: str) -> None:
    response = sent(engineer, tiny, b"{}\n", question="<script>")
    assert response.status_code == 422 and not JudgeEvaluation.objects.exists()
    page = response.content.decode()
    assert "Line 1: neither a multiple choice" in page and "Nothing was started" in page and '<script>"' not in page


def test_a_model_outside_the_choices_is_refused(engineer: Client, tiny: str) -> None:
    assert sent(engineer, "../../etc", LINES).status_code == 422
    assert sent(engineer, "server:http://10.0.0.1", LINES).status_code == 422
    assert not JudgeEvaluation.objects.exists()


def test_the_report_shows_every_number_with_its_interval(reader: Client, ada: User) -> None:
    row = judge_evaluation(ada)
    page = reader.get(reverse("training:judge_evaluation", args=[row.pk])).content.decode()
    for shown in ("62%", "[45, 77]", "It sticks to a place", "Chose what stood first", "<svg", "Table of Share right"):
        assert shown in page, shown
    assert row.judge is not None and row.judge.digest in page and "every 2s" not in page
    listed = reader.get(reverse("training:judge_evaluations")).content.decode()
    assert "62%" in listed and "94%" in listed


def test_a_failed_one_says_what_happened(reader: Client, ada: User) -> None:
    row = judge_evaluation(ada, state="failed", reason="Out of <memory>.")
    page = reader.get(reverse("training:judge_evaluation", args=[row.pk])).content.decode()
    assert "Out of &lt;memory&gt;." in page and "It was not measured" in page


def test_the_list_takes_the_same_queries_however_long(reader: Client, ada: User, queries: Any) -> None:
    judge_evaluation(ada)
    one = queries(reader, reverse("training:judge_evaluations"))
    judge_evaluation(ada)
    assert queries(reader, reverse("training:judge_evaluations")) == one


def test_an_engineer_cancels_it_and_others_may_not(
    engineer: Client, reader: Client, stranger: Client, client: Client, tiny: str
) -> None:
    sent(engineer, tiny, LINES)
    row = JudgeEvaluation.objects.get()
    page, cancel = (reverse(f"training:{name}", args=[row.pk]) for name in ("judge_evaluation", "cancel_judge"))
    assert cancel in engineer.get(page).content.decode() and cancel not in reader.get(page).content.decode()
    assert [one.post(cancel).status_code for one in (reader, stranger, client)] == [403, 403, 302]
    assert engineer.get(cancel).status_code == 405
    row.refresh_from_db()
    assert row.state == "queued"
    assert engineer.post(cancel)["Location"] == page
    told = reader.get(page).content.decode()
    assert "It was cancelled" in told and "after 0 of 5 questions" in told and "every 2s" not in told
    assert "has already ended" in engineer.post(cancel, follow=True).content.decode()


def test_the_api_lists_shows_and_cancels(engineer: Client, reader: Client, tiny: str) -> None:
    sent(engineer, tiny, LINES)
    row = JudgeEvaluation.objects.get()
    base = "/api/judge-evaluations/"
    assert [one["id"] for one in reader.get(base, {"state": "queued"}).json()["results"]] == [str(row.pk)]
    assert reader.get(base, {"state": "failed"}).json()["results"] == []
    shown = reader.get(f"{base}{row.pk}/").json()
    assert (shown["state"], shown["total"], shown["report"]) == ("queued", 5, {})
    assert reader.post(f"{base}{row.pk}/cancel/").status_code == 403
    assert engineer.post(f"{base}{row.pk}/cancel/").json()["state"] == "cancelled"
    assert engineer.post(f"{base}{row.pk}/cancel/").status_code == 409
