from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from constitutions_app.models import LedgerEntry
from tests.training_app import factories
from tests.training_app.factories import FinishedRun, cited
from tests.training_app.views.conftest import Queries
from training_app.models import Adjudication, AILabel, Audit

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}


def url_of(label: AILabel) -> str:
    return reverse("training:label", args=[label.pk])


def said(**changes: Any) -> dict[str, Any]:
    return {"idempotency_key": str(uuid.uuid4())} | changes


def test_the_list_explains_itself_when_it_is_empty(reader: Client) -> None:
    assert "No AI labels yet" in reader.get("/audit/labels/").content.decode()


def test_the_list_filters_by_everything_in_the_url(auditor: Client, jonas: User, finished: FinishedRun) -> None:
    first, second = finished.labels[0], finished.labels[1]
    Audit.objects.create(auditor=jonas, label=first, verdict="override", choice="a", blind=False, comment="why")
    for query, shown in {
        f"run={finished.run.pk}": True, f"run={uuid.uuid4()}": True, "audit=override": True, "audit=waiting": False,
        "audit=mine_waiting": False, "audit=mine": True, "audit=agree": False, "audit=comment": True,
        f"principle={cited(first).key}": True, f"principle={cited(second).key}": False,
        "p_a=b": True, "p_a=a": False, "orders=agree": True, "orders=same": False,
    }.items():  # fmt: skip
        page = auditor.get(f"/audit/labels/?{query}").content.decode()
        assert (url_of(first) in page) is shown, query
    assert "It filters nothing." in auditor.get(f"/audit/labels/?run={uuid.uuid4()}").content.decode()
    assert "No label fits these filters." in auditor.get("/audit/labels/?audit=agree").content.decode()


def test_a_change_of_mind_moves_a_label_between_filters(auditor: Client, jonas: User, finished: FinishedRun) -> None:
    label = finished.labels[0]
    for verdict, choice in (("override", "a"), ("agree", "b")):
        Audit.objects.create(auditor=jonas, label=label, verdict=verdict, choice=choice, blind=False)
    assert url_of(label) not in auditor.get("/audit/labels/?audit=override").content.decode()
    assert url_of(label) in auditor.get("/audit/labels/?audit=agree").content.decode()


def test_the_list_takes_as_many_queries_for_many_labels(
    auditor: Client, ada: User, finished: FinishedRun, queries: Queries
) -> None:
    few = queries(auditor, "/audit/labels/")
    factories.finished_run(ada, finished.run.version, red_team=factories.RED_TEAM * 3)
    assert queries(auditor, "/audit/labels/") == few


def test_the_page_shows_both_orders_judge_principle_and_wording(reader: Client, finished: FinishedRun) -> None:
    label = finished.labels[0]
    page = reader.get(url_of(label)).content.decode()
    assert "The AI preferred B, p(A) 0.27" in page
    for words in ("p(A) 0.31", "p(A) 0.23", "\u22121.17", label.judge.model_name, "Which of these responses"):
        assert words in page
    assert reverse("constitutions:principle", args=["harmless-assistant", 1, cited(label).key]) in page
    assert reverse("training:checkpoint", args=[finished.reward.pk]) in page  # what it taught
    assert "Same position twice." not in page


def test_the_page_warns_when_the_judge_chose_a_position(reader: Client, finished: FinishedRun) -> None:
    label = next(one for one in finished.labels if one.same_position)
    place = "first" if label.p_ab > 0.5 else "second"
    assert f"picked what stood {place} in both orders" in reader.get(url_of(label)).content.decode()


def test_readers_see_no_form_and_cannot_post(reader: Client, engineer: Client, finished: FinishedRun) -> None:
    label = finished.labels[0]
    for client in (reader, engineer):
        assert "idempotency_key" not in client.get(url_of(label)).content.decode()
        assert client.post(url_of(label), said(choice="a")).status_code == 403
    assert not Audit.objects.exists()


@pytest.mark.parametrize(
    ("choice", "verdict"), [("a", "override"), ("b", "agree"), ("neither", "override")], ids=lambda value: str(value)
)
def test_agreement_or_override_follows_from_the_choice(
    auditor: Client, jonas: User, finished: FinishedRun, choice: str, verdict: str
) -> None:
    label = finished.labels[0]  # the AI preferred B
    response = auditor.post(
        url_of(label), said(choice=choice, reason="taste", confidence="3", comment=" plain "), follow=True
    )
    audit = Audit.objects.get()
    assert (audit.auditor, audit.label, audit.verdict, audit.choice) == (jonas, label, verdict, choice)
    assert (audit.reason, audit.confidence, audit.comment, audit.blind) == ("taste", 3, "plain", False)
    assert f"Verdict on label {label.pk} saved {audit.created_at:%H:%M:%S}." in response.content.decode()
    assert LedgerEntry.objects.filter(verb="audit.record", object_id=str(audit.pk)).count() == 1


def test_neither_agrees_with_a_judge_that_had_no_preference(auditor: Client, finished: FinishedRun) -> None:
    first = finished.labels[0]
    values = {field.name: getattr(first, field.name) for field in AILabel._meta.concrete_fields if field.name != "id"}
    principle = finished.run.version.principles.last()
    even = AILabel.objects.create(**{**values, "principle": principle, "p_a": 0.5, "p_ab": 0.5, "p_ba": 0.5})
    assert "The AI had no preference" in auditor.get(url_of(even)).content.decode()
    auditor.post(url_of(even), said(choice="neither"))
    assert Audit.objects.get().verdict == "agree"


def test_sending_twice_saves_once_and_goes_on_twice(auditor: Client, finished: FinishedRun) -> None:
    label, message = finished.labels[2], said(choice="a")
    following = url_of(finished.labels[1])
    for _ in range(2):
        assert auditor.post(url_of(label), message)["Location"] == following
    assert Audit.objects.count() == 1


def test_the_same_id_for_another_item_is_refused(auditor: Client, finished: FinishedRun) -> None:
    message = said(choice="a")
    auditor.post(url_of(finished.labels[2]), message)
    response = auditor.post(url_of(finished.labels[3]), message)
    assert response.status_code == 422
    assert "already used for another item" in response.content.decode()


def test_the_filter_goes_along_to_the_next_label(auditor: Client, finished: FinishedRun) -> None:
    third, key = finished.labels[4], cited(finished.labels[4]).key
    response = auditor.post(f"{url_of(third)}?principle={key}&audit=", said(choice="a"))
    assert response["Location"] == f"{url_of(finished.labels[0])}?principle={key}"
    page = auditor.get(f"{url_of(third)}?principle={key}").content.decode()
    assert f'href="{url_of(finished.labels[0])}?principle={key}" rel="next" data-key="j"' in page


def test_a_comment_alone_needs_words_and_keeps_what_was_typed(auditor: Client, finished: FinishedRun) -> None:
    label = finished.labels[0]
    response = auditor.post(url_of(label), said(verdict="comment", reason="misread"))
    page = response.content.decode()
    assert response.status_code == 422
    assert "Write the comment first" in page
    assert '<option value="misread" selected>' in page
    auditor.post(url_of(label), said(verdict="comment", comment="Look at the second sentence."))
    assert Audit.objects.get().verdict == "comment"


def test_nothing_chosen_saves_nothing(auditor: Client, finished: FinishedRun) -> None:
    assert auditor.post(url_of(finished.labels[0]), said()).status_code == 422
    assert auditor.post(url_of(finished.labels[0]), {"choice": "a"}).status_code == 422
    assert auditor.post(url_of(finished.labels[0]), said(choice="c")).status_code == 422
    assert not Audit.objects.exists()


def test_a_verdict_can_be_changed_and_the_earlier_one_stays(auditor: Client, finished: FinishedRun) -> None:
    label = finished.labels[0]
    auditor.post(url_of(label), said(choice="a"))
    page = auditor.get(url_of(label)).content.decode()
    assert "Your verdict: overrides, response A" in page
    assert "Change my verdict" in page
    auditor.post(url_of(label), said(choice="b"))
    page = auditor.get(url_of(label)).content.decode()
    assert "Your verdict: agrees, response B" in page
    assert page.count("by Jonas Weber") == 2


def test_the_page_takes_as_many_queries_for_many_audits(
    auditor: Client, jonas: User, finished: FinishedRun, queries: Queries
) -> None:
    label = finished.labels[0]
    few = queries(auditor, url_of(label))
    for _ in range(5):
        Audit.objects.create(auditor=jonas, label=label, verdict="agree", blind=False)
    assert queries(auditor, url_of(label)) == few


def test_thoughts_and_neither_are_shown_and_escaped_once(reader: Client, finished: FinishedRun) -> None:
    label = AILabel.objects.get(pk=finished.labels[0].pk)
    vote = {"order": "ab", "logp_a": -1.0, "logp_b": -2.0, "logp_neither": -0.5, "thoughts": "<b>A</b> & B"}
    label.pk, label.principle, label.votes, label.p_neither, label._state.adding = None, None, [vote], 0.41, True
    label.save(force_insert=True)
    page = reader.get(url_of(label)).content.decode()
    assert "&lt;b&gt;A&lt;/b&gt; &amp; B" in page and "<b>A</b>" not in page
    assert "Judged under all principles of the version at once" in page
    assert "0.41" in page and "Every asking, 1" in page
    listed = reader.get("/audit/labels/").content.decode()
    assert "all principles at once" in listed
    assert reader.get(f"/api/labels/{label.pk}/").json()["principle"] is None


def test_the_page_says_what_verdicts_come_to_and_by_whom(
    reader: Client, ada: User, jonas: User, finished: FinishedRun
) -> None:
    label = finished.labels[0]

    def page() -> str:
        return reader.get(url_of(label)).content.decode()

    assert "final:" not in page()
    Audit.objects.create(auditor=jonas, label=label, verdict="override", choice="a", blind=False)
    assert "final: overridden (a)" in page() and "nobody disagrees" in page()
    Audit.objects.create(auditor=ada, label=label, verdict="agree", choice="b", blind=False)
    decide = reverse("training:adjudicate_label", args=[label.pk])
    assert "final: not yet decided" in page() and f'href="{decide}">Decide' in page()
    Adjudication.objects.create(adjudicator=ada, label=label, verdict="agree", choice="b", note="Read <b>twice")
    assert "final: agreed" in page() and "by Ada Osei, who had the last word" in page()
    assert "Read &lt;b&gt;twice" in page() and "How it was decided" in page()
