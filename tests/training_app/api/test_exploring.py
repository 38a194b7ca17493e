"""The explorer by API: the page's questions, every page of the answer, and nothing that waits for a blind choice."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from tests.training_app.api.calls import client_for, client_of
from tests.training_app.factories import FinishedRun, cited, person
from tests.training_app.queue_scenes import auditor, queue_of
from training_app.models import Audit

pytestmark = pytest.mark.django_db
HERE = "/api/explore/"


def asked(client: APIClient, query: str) -> dict[str, Any]:
    answer = client.get(f"{HERE}?{query}")
    assert answer.status_code == 200, answer.content
    found: dict[str, Any] = answer.json()
    return found


def every_page(client: APIClient, query: str) -> list[Any]:
    found, url = [], f"{HERE}?{query}"
    while url:
        answer = client.get(url).json()
        found += [row["id"] for row in answer["results"]]
        url = answer["next"]
    return found


def test_each_kind_is_found_as_its_list_shows_it(made: FinishedRun) -> None:
    jonas, reader = person("jonas"), client_of("reader")
    label, step = made.labels[0], made.steps[1]
    audit = Audit.objects.create(auditor=jonas, label=label, verdict="override", choice="a", blind=False)
    for query, name, pk in (
        (f"key={cited(label).key}&state=overridden", "labels", label.pk),
        ("kind=step&flag=no_op&sort=oldest", "steps", step.pk),
        ("kind=comparison&text=curtains&sort=oldest", "comparisons", label.comparison_id),
        ("kind=audit&verdict=override", "audits", str(audit.pk)),
    ):
        row = asked(reader, query)["results"][0]
        assert row["id"] == pk
        assert row == reader.get(f"/api/{name}/{pk}/").json()


def test_pages_lead_through_everything_once_in_every_order(made: FinishedRun) -> None:
    reader = client_of("reader")
    labels = {label.pk for label in made.labels}
    for sort in ("newest", "oldest", "unsure", "p_low", "p_high"):
        found = every_page(reader, f"sort={sort}&page_size=2&run={made.run.number}")
        assert len(found) == len(labels) and set(found) == labels, sort
    second = reader.get(asked(reader, "page_size=2")["next"]).json()
    assert reader.get(second["previous"]).json()["results"] == asked(reader, "page_size=2")["results"]


def test_what_is_not_understood_is_refused(made: FinishedRun) -> None:
    reader = client_of("reader")
    for query in ("state=thriving", "kind=user", "p_from=2", "kind=step&p_from=0.5", "since=yesterday"):
        answer = reader.get(f"{HERE}?{query}")
        assert answer.status_code == 400 and answer.json()["detail"], query
    everything = asked(reader, "")["results"]
    assert asked(reader, "run__created_by__password=x&pk=1")["results"] == everything
    assert reader.get(f"{HERE}counts/?count=password").status_code == 400
    assert client_of(None).get(HERE).status_code == 403 and APIClient().get(HERE).status_code == 401


def test_counts_are_those_of_the_page(made: FinishedRun) -> None:
    Audit.objects.create(auditor=person("jonas"), label=made.labels[0], verdict="override", choice="a", blind=False)
    counts = client_of("reader").get(f"{HERE}counts/?count=state").json()
    assert {one["words"]: one["count"] for one in counts["counts"]} == {
        "unaudited": str(len(made.labels) - 1), "overridden": "1",
    }  # fmt: skip
    assert counts["counts"][1]["query"] == "state=overridden" and not counts["withheld"]


def test_nothing_tells_an_auditor_what_waits_for_their_blind_choice(made: FinishedRun) -> None:
    peer, jonas = person("pia"), auditor("jonas")
    for item in ({"label": made.labels[0]}, {"step": made.steps[0]}):
        Audit.objects.create(
            auditor=peer, verdict="override", choice="a" if "label" in item else "", blind=False, **item
        )
    queue_of(size=100)
    queue_of("steps", size=100)
    client, reader = client_for(jonas), client_of("reader")
    for query in (
        "", "sort=p_low", "state=overridden", "text=curtains&state=overridden", "kind=audit", "kind=step&sort=audited",
        "text=curtains&sort=best&p_from=0", "kind=step&state=overridden", f"like={made.labels[1].pk}&p_from=0",
    ):  # fmt: skip
        told = asked(client, f"{query}&page_size=1")
        # Neither an item, nor that there is one behind: a next page would say that something fits.
        assert not told["results"], query
        assert query == "" or told["next"] is None, query
        assert asked(reader, f"{query}&page_size=1")["results"], query
    assert client.get(f"{HERE}counts/?count=state").json() == {"withheld": True, "counts": []}
    assert asked(client, "kind=step")["results"]  # a step's texts are there to be read before it is judged


def test_a_page_costs_the_same_for_one_item_and_for_many(made: FinishedRun) -> None:
    reader = client_of("reader")
    counts = []
    for size in (1, 50):
        with CaptureQueriesContext(connection) as queries:
            asked(reader, f"page_size={size}&run={made.run.number}")
        counts.append(len(queries))
    assert abs(counts[0] - counts[1]) <= 1
