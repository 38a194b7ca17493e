"""Exports on pages: asked for, seen coming, downloaded in one go or in two, by nobody but whoever asked."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from tests.training_app import factories
from tests.training_app.factories import FinishedRun
from tests.training_app.queue_scenes import queue_of
from tests.training_app.views.conftest import Queries
from training_app import export_jobs, exports
from training_app.models import Export

pytestmark = pytest.mark.django_db
PAGE = "/audit/exports/"
TEXT = b'{"label": 1}\n{"label": 2}\n'
HTMX = {"HX-Request": "true"}


def asked(client: Client, query: str = "kind=label", form: str = "jsonl") -> str:
    answer = client.post(f"{reverse('training:ask_export')}?{query}", {"file": form}, follow=True)
    assert answer.status_code == 200
    return answer.content.decode()


def test_an_export_is_asked_for_seen_coming_and_downloaded(reader: Client, rita: User, finished: FinishedRun) -> None:
    assert "exported nothing yet" in reader.get(PAGE).content.decode()
    page = asked(reader, f"kind=label&run={finished.run.number}&evil__lookup=1")
    row = Export.objects.get()
    assert row.question == f"run={finished.run.number}" and row.created_by == rita
    assert "A worker takes it" in page and "every 2s" in page and "Cancel" in page
    factories.update(row, state="running", done=5, total=20, eta_s=3)
    part = reader.get(PAGE, headers=HTMX).content.decode()
    assert "5 of 20 rows or so, 3 s left" in part and "<html" not in part
    factories.update(row, state="queued")
    assert export_jobs.run_once(row.pk) == "succeeded"
    page = reader.get(PAGE).content.decode()
    assert f"{len(finished.labels)} rows" in page and "every 2s" not in page
    answer = reader.get(reverse("training:export_file", args=[row.pk]))
    assert answer["Content-Disposition"] == f'attachment; filename="ai-labels-{row.pk.hex[:8]}.jsonl"'
    assert answer.getvalue().count(b"\n") == len(finished.labels)


def test_it_is_refused_in_words(reader: Client, finished: FinishedRun) -> None:
    assert "Items are written as jsonl, parquet or icai" in asked(reader, form="docx")
    url = reverse("training:ask_run_export", args=[finished.run.pk])
    for file in ("traces.icai", "", "passwords.jsonl", "labels"):
        assert "are not written as" in reader.post(url, {"file": file}, follow=True).content.decode()
    assert not Export.objects.exists()
    assert "labels of run" in reader.post(url, {"file": "labels.icai"}, follow=True).content.decode().lower()


def test_texts_and_pairs_are_had_from_the_same_place(reader: Client, finished: FinishedRun) -> None:
    page = reader.get(reverse("training:explore")).content.decode()
    for file in ("jsonl", "parquet", "jsonl.texts", "parquet.texts", "icai.texts"):
        assert f'<option value="{file}">' in page
        asked(reader, form=file)
        row = Export.objects.latest("created_at")
        assert (row.form, row.texts) == (file.partition(".")[0], "veiled" if "texts" in file else "")
        assert export_jobs.run_once(row.pk) == "succeeded"
    url = f"{reverse('training:ask_export')}?kind=step"
    page = reader.post(url, {"file": "icai.texts", "veiled": "on"}, follow=True).content.decode()
    assert Export.objects.latest("created_at").texts == "all"
    assert "annotated pairs, with all texts" in page and "without the texts that are veiled for you" in page


def test_a_download_that_broke_off_goes_on(engineer: Client, ada: User) -> None:
    row = factories.export(ada, TEXT)
    url = reverse("training:export_file", args=[row.pk])
    whole = engineer.get(url)
    assert whole.getvalue() == TEXT and whole["ETag"] == f'"{row.digest}"'
    rest = engineer.get(url, headers={"Range": "bytes=10-", "If-Range": whole["ETag"]})
    assert (rest.status_code, rest.getvalue()) == (206, TEXT[10:])
    assert rest["Content-Range"] == f"bytes 10-{len(TEXT) - 1}/{len(TEXT)}"
    other = engineer.get(url, headers={"Range": "bytes=10-", "If-Range": '"another"'})
    assert (other.status_code, other.getvalue()) == (200, TEXT)
    assert engineer.get(url, headers={"Range": "bytes=999-"}).status_code == 416


def test_nobody_else_sees_cancels_or_downloads_it(
    engineer: Client, auditor: Client, ada: User, finished: FinishedRun
) -> None:
    done = factories.export(ada)
    waits = factories.export(ada, state="queued", digest="", is_kept=False)
    assert "exported nothing yet" in auditor.get(PAGE).content.decode()
    for row in (done, waits):
        assert auditor.get(reverse("training:export_file", args=[row.pk])).status_code == 404
        assert auditor.post(reverse("training:cancel_export", args=[row.pk])).status_code == 404
    assert engineer.get(reverse("training:export_file", args=[waits.pk])).status_code == 404
    cancel = reverse("training:cancel_export", args=[waits.pk])
    assert "is cancelled" in engineer.post(cancel, follow=True).content.decode()
    assert "already ended" in engineer.post(cancel, follow=True).content.decode()


def test_an_old_file_is_gone_and_says_so(engineer: Client, ada: User) -> None:
    row = factories.export(ada, expires_at=timezone.now())
    assert "deleted by now" in engineer.get(PAGE).content.decode()
    assert engineer.get(reverse("training:export_file", args=[row.pk])).status_code == 404


def test_a_file_that_tells_what_is_to_be_judged_is_not_handed_out(
    auditor: Client, jonas: User, finished: FinishedRun
) -> None:
    row = factories.export(jonas, TEXT)
    queue_of(size=2, people=(jonas,))
    answer = auditor.get(reverse("training:export_file", args=[row.pk]), follow=True)
    assert "2 items that it may tell" in answer.content.decode() and TEXT not in answer.content


def test_a_large_run_is_not_written_on_a_request(
    reader: Client, finished: FinishedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = reverse("training:export_feedback", args=[finished.run.pk, "labels", "jsonl"])
    assert reader.get(url).streaming
    monkeypatch.setattr(exports, "SMALL", len(finished.labels) - 1)
    answer = reader.get(url, follow=True)
    assert "too large to be written while you wait" in answer.content.decode()
    assert answer.redirect_chain[-1][0].endswith("#export")


def test_the_page_asks_as_often_for_many_and_shows_hostile_words_inert(
    engineer: Client, ada: User, queries: Queries, finished: FinishedRun
) -> None:
    hostile: Any = "kind=step&text=%3Cscript%3Ealert(1)%3C/script%3E%E2%80%AEevil"
    factories.export(ada, question=hostile)
    few = queries(engineer, PAGE)
    for _ in range(5):
        factories.export(ada, question=hostile)
        factories.export(ada, what="labels", run=finished.run)
    factories.export(ada, state="failed", reason="<img src=x>\u202e", digest="")
    assert queries(engineer, PAGE) == few
    page = engineer.get(PAGE).content.decode()
    assert "&lt;script&gt;alert(1)" in page
    assert not any(bad in page for bad in ("<script>alert", "\u202e", "<img src=x"))
