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
