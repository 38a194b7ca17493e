from __future__ import annotations

import json
from typing import Any, cast

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from tests.training_app import factories
from tests.training_app.factories import FinishedRun
from tests.training_app.views.conftest import Queries
from training_app.explorer.filters import Filters
from training_app.explorer.items import matching
from training_app.models import Adjudication, AILabel, Audit, AuditQueue, QueueItem, SavedView

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}
PAGE = "/audit/explore/"


def text(client: Client, query: str) -> str:
    answer = client.get(f"{PAGE}?{query}")
    assert answer.status_code == 200
    return answer.content.decode()


def test_it_explains_itself_when_there_is_nothing(reader: Client) -> None:
    for kind in ("label", "step", "comparison", "audit"):
        assert "nothing to explore yet" in text(reader, f"kind={kind}")


def test_it_says_what_it_did_not_understand_of_an_address(reader: Client, finished: FinishedRun) -> None:
    page = text(reader, "kind=label&colour=red&after=zzz&count=state")
    assert "There is no filter “colour”, so it filters nothing." in page
    assert "“after” names no place in this list; it begins at the beginning." in page
    assert page.count("no filter") == 1
    for query in ("kind=label", "kind=label&sort=p_low&after=0.25~7", "kind=label&sort=audited&before=1500~7"):
        assert 'class="error"' not in text(reader, query)


def test_everybody_with_a_role_explores_and_strangers_do_not(reader: Client, stranger: Client, client: Client) -> None:
    assert reader.get(PAGE).status_code == 200
    assert stranger.get(PAGE).status_code == 403
    assert client.get(PAGE).status_code == 302


def test_each_kind_is_found_by_its_filters(auditor: Client, jonas: User, finished: FinishedRun) -> None:
    label, step = finished.labels[0], finished.steps[0]
    Audit.objects.create(auditor=jonas, label=label, verdict="override", choice="a", blind=False, comment="odd <b>")
    for query, words in {
        "kind=label&state=overridden": f"Label {label.pk}",
        "kind=label&text=curtains": "<mark>curtains</mark>",
        "kind=label&text=curtains&sort=best": "<mark>curtains</mark>",
        f"kind=label&like={label.pk}&sort=newest": "Similar to",
        f"kind=label&run={finished.run.number}&sort=unsure": f"Label {label.pk}",
        f"kind=label&run={finished.run.number}&sort=p_high": f"Label {label.pk}",
        "kind=label&sort=audited": f"Label {label.pk}",
        "kind=step&flag=no_op": "round 2",
        "kind=step&text=secret": f"Trace {step.trace_id}",
        "kind=comparison&text=curtains": "Comparison ",
        "kind=audit&verdict=override": "odd &lt;b&gt;",
        "kind=audit&text=odd": "<mark>odd</mark>",
        "kind=label&p_from=2": "filters nothing",
        "kind=label&state=agreed": "Nothing fits these filters",
    }.items():
        assert words in text(auditor, query), query
    assert "<html" not in auditor.get(f"{PAGE}?state=overridden", headers=HTMX).content.decode()


def test_counts_say_what_one_more_filter_would_leave(auditor: Client, jonas: User, finished: FinishedRun) -> None:
    Audit.objects.create(auditor=jonas, label=finished.labels[0], verdict="override", choice="a", blind=False)
    page = text(auditor, "kind=label&count=state")
    assert "state=overridden" in page and "state=disputed" not in page
    words = {"curtains": "unaudited", "harpsichord": "Nothing fits any of them"}
    for word, told in words.items():
        assert told in text(auditor, f"kind=label&count=state&text={word}")
    by_words = text(auditor, "kind=label&count=version&text=curtains")
    assert f'<dd class="num">{labels_with("curtains")}</dd>' in by_words
    part = auditor.get(f"{PAGE}counts/?kind=step&count=flag", headers=HTMX).content.decode()
    assert "no change" in part and "<html" not in part
    assert auditor.get(f"{PAGE}counts/?count=password").status_code == 302


def test_pages_lead_to_each_other(auditor: Client, ada: User, finished: FinishedRun) -> None:
    factories.finished_run(ada, finished.run.version, red_team=factories.RED_TEAM * 12)
    for query in (
        "kind=label",
        "kind=label&sort=p_low",
        "kind=label&sort=unsure&tag=everyday",
        "kind=step&sort=oldest",
    ):
        first = auditor.get(f"{PAGE}?{query}")
        second = auditor.get(f"{PAGE}{first.context['next']}")
        back = auditor.get(f"{PAGE}{second.context['previous']}")
        assert [row.key for row in back.context["rows"]] == [row.key for row in first.context["rows"]], query
        assert not {row.key for row in second.context["rows"]} & {row.key for row in first.context["rows"]}
    for junk in ("after=x", "after=nan~3", "before=~", "after=1~99999999999999999999", "after=1e999~1"):
        assert auditor.get(f"{PAGE}?kind=label&sort=p_low&{junk}").status_code == 200


@pytest.mark.parametrize(
    "query",
    ["kind=label", "kind=label&text=curtains", "kind=step", "kind=comparison", "kind=audit", "kind=label&count=key"],
)
def test_a_page_takes_as_many_queries_for_many_items(
    auditor: Client, ada: User, finished: FinishedRun, queries: Queries, query: str
) -> None:
    Audit.objects.create(auditor=ada, label=finished.labels[0], verdict="agree", blind=False)
    few = queries(auditor, f"{PAGE}?{query}")
    later = factories.finished_run(ada, finished.run.version, red_team=factories.RED_TEAM * 9)
    for label in later.labels:
        Audit.objects.create(auditor=ada, label=label, verdict="agree", blind=False)
    assert queries(auditor, f"{PAGE}?{query}") <= few


def test_a_question_is_kept_and_shared_under_a_name(auditor: Client, reader: Client, finished: FinishedRun) -> None:
    auditor.post(f"{PAGE}views/?kind=label&state=disputed&evil__lookup=1", {"name": " my  view ", "shared": "yes"})
    view = SavedView.objects.get()
    assert (view.name, view.query, view.shared) == ("my view", "state=disputed", True)
    assert "my view" in text(reader, "")
    assert reader.post(reverse("training:remove_view", args=[view.pk])).status_code == 404
    auditor.post(f"{PAGE}views/?kind=step", {"name": "my view"})
    view.refresh_from_db()
    assert (view.query, view.shared) == ("kind=step", False)
    assert "my view" not in text(reader, "")
    turned = auditor.post(f"{PAGE}views/", {"name": "a\u202eb<i>"}, follow=True).content.decode()
    assert "\u202e" not in turned and "<i>" not in turned and "is kept" in turned
    SavedView.objects.exclude(pk=view.pk).delete()
    assert "Give the view a name" in auditor.post(f"{PAGE}views/", {"name": " "}, follow=True).content.decode()
    auditor.post(reverse("training:remove_view", args=[view.pk]))
    assert not SavedView.objects.exists()


def test_scenarios_are_made_of_what_is_chosen(auditor: Client, reader: Client, finished: FinishedRun) -> None:
    chosen = [str(label.pk) for label in finished.labels[:2]]
    url = f"{PAGE}scenarios/?kind=label"
    assert reader.post(url, {"item": chosen}).status_code == 403
    answer = auditor.post(url, {"item": [*chosen, "x", "9" * 30]}, follow=True).content.decode()
    assert "2 scenarios made" in answer
    assert finished.run.version.constitution.scenarios.count() == 2
    assert "Choose items first" in auditor.post(url, {}, follow=True).content.decode()


def test_it_tells_nobody_what_they_have_yet_to_judge(auditor: Client, reader: Client, jonas: User, ada: User) -> None:
    finished = factories.finished_run(ada)
    label, other = finished.labels[0], finished.labels[1]
    Audit.objects.create(auditor=ada, label=label, verdict="override", choice="a", blind=False, comment="telling")
    queue = AuditQueue.objects.create(name="Q", kind="labels", rule="newest", items_count=1, created_by=ada)
    QueueItem.objects.create(queue=queue, position=1, label=label, why="newest", wanted=1)
    plain = text(auditor, "kind=label")
    assert f"Label {label.pk}<" in plain and "waits for your blind choice" in plain
    assert plain.count("preferred") == len(finished.labels) - 1
    for query in ("p_from=0", "orders=agree", "sort=unsure", "sort=p_low", "state=overridden", "sort=audited"):
        assert f"Label {label.pk}<" not in text(auditor, f"kind=label&{query}"), query
        assert f"Label {label.pk}<" in text(reader, f"kind=label&{query}"), query
    assert "telling" not in text(auditor, "kind=audit") and "telling" in text(reader, "kind=audit")
    assert "<mark>telling" not in text(auditor, "kind=audit&text=telling")
    assert "kept back" in text(auditor, "kind=label&count=state")
    assert "overridden</a>" not in text(auditor, "kind=label&count=state")
    assert f"Label {other.pk}<" in text(auditor, "kind=label&sort=unsure")
    mine = matching(Filters.from_query({"kind": "label", "p_from": "0"}), User.objects.get(pk=auditor_of(auditor)))
    assert label not in mine and other in mine


def labels_with(word: str) -> int:
    return AILabel.objects.filter(comparison__prompt_text__icontains=word).count()


def exported(client: Client, query: str) -> list[dict[str, Any]]:
    answer = client.get(f"{PAGE}export/?{query}")
    assert answer.status_code == 200
    return [json.loads(line) for line in b"".join(cast("Any", answer).streaming_content).splitlines()]


def test_what_fits_is_exported_line_by_line(reader: Client, auditor: Client, stranger: Client, jonas: User) -> None:
    finished = factories.finished_run(jonas)
    label, hidden = finished.labels[0], finished.labels[1]
    said = Audit.objects.create(
        auditor=jonas, label=label, verdict="override", choice="a", blind=False, comment='"\\\n'
    )
    (line,) = exported(reader, "kind=label&state=overridden")
    assert (line["label"], line["p_a"], line["overrides"]) == (label.pk, label.p_a, 1)
    assert (line["state"], line["final"], line["final_choice"]) == ("overridden", "unanimous", "a")
    assert {one["state"] for one in exported(reader, "kind=step")} == {"unaudited"}
    Adjudication.objects.create(adjudicator=jonas, label=label, verdict="override", choice="neither", note="So.")
    (line,) = exported(reader, "kind=label&final=adjudicated")
    assert (line["state"], line["final"], line["final_choice"]) == ("overridden", "adjudicated", "neither")
    assert "adjudicated: overridden (neither)" in text(reader, "kind=label&final=adjudicated")
    assert "final=adjudicated" in text(reader, "kind=label&count=final")
    (audit,) = exported(reader, "kind=audit")
    assert (audit["audit"], audit["comment"]) == (str(said.pk), said.comment)
    assert len(exported(reader, "kind=step")) == len(finished.steps)
    assert exported(reader, "kind=audit&like=1") == [], "audits read like nothing"
    assert len(exported(reader, "kind=comparison&text=curtains")) == 1
    queue = AuditQueue.objects.create(name="Q", kind="labels", rule="newest", items_count=1, created_by=jonas)
    QueueItem.objects.create(queue=queue, position=1, label=hidden, why="newest", wanted=1)
    assert hidden.pk in {line["label"] for line in exported(reader, "kind=label")}
    assert hidden.pk not in {line["label"] for line in exported(auditor, "kind=label")}
    assert stranger.get(f"{PAGE}export/").status_code == 403


def auditor_of(client: Client) -> int:
    return int(client.session["_auth_user_id"])
