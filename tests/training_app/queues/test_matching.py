"""What the explorer shows under an address is what a queue made of that address holds, filter by filter."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from unittest.mock import patch

import pytest
from django.contrib.auth.models import User
from django.http import QueryDict
from django.utils import timezone

from constitutions_app.access import OUTSIDE
from tests.training_app.factories import FinishedRun, cited, finished_run, person
from tests.training_app.scenes import engineer
from training_app.actions import create_queue
from training_app.actions.create_queue import QueuePlan
from training_app.explorer.filters import _PARSERS, Filters, applies
from training_app.explorer.finding import find
from training_app.models import AILabel, Audit, TraceImport
from training_app.queues.matching import matching
from training_app.refusals import QueueRefused

pytestmark = pytest.mark.django_db
KINDS = {"label": "labels", "step": "steps"}


@pytest.fixture(scope="module")
def scene(module_db: None) -> FinishedRun:
    """Two runs of one version, the first a week ago; some of what they made is judged."""
    with patch("django.utils.timezone.now", return_value=timezone.now() - timedelta(days=7)):
        made = finished_run(engineer())
    other = finished_run(made.run.created_by, made.run.version)
    auditor = person("jonas")
    said = {"auditor": auditor, "blind": False, "reason": "misread", "comment": "why"}
    Audit.objects.create(label=made.labels[0], verdict="override", choice="a", **said)
    Audit.objects.create(step=made.steps[1], verdict="override", **said)
    Audit.objects.create(label=other.labels[1], verdict="agree", auditor=auditor, blind=True)
    outside = person(f"{OUTSIDE}0123456789abcdef")
    Audit.objects.create(label=made.labels[0], verdict="override", choice="a", auditor=outside, blind=True)
    Audit.objects.create(step=made.steps[1], verdict="override", auditor=outside, blind=True)
    return made


def asked_of(scene: FinishedRun, kind: str) -> dict[str, str]:
    """A value for every filter that some items fit and some do not, where that can be."""
    label, step, run = scene.labels[0], scene.steps[1], scene.run
    principle = cited(label) if kind == "label" else step.principle
    today = timezone.now().date()
    values: dict[str, Any] = {
        "constitution": run.version.constitution.slug, "version": run.version_id, "principle": principle.pk,
        "key": principle.key, "judge": label.judge_id, "run": run.number, "checkpoint": scene.rl.pk, "file": 1,
        "prompt_set": step.trace.prompt.prompt_set_id, "tag": "everyday", "flag": "no_op", "p_from": 0.2, "p_to": 0.6,
        "unsure": 0.24, "orders": "agree", "state": "overridden", "final": "unanimous",
        "auditor": User.objects.get(username="jonas").pk,
        "commented": "yes", "imported": "yes", "stale": "current", "since": today, "until": today - timedelta(days=1),
        "text": "curtains" if kind == "label" else "secret", "like": label.pk if kind == "label" else step.pk,
        "sort": "oldest",
    }  # fmt: skip
    return {name: str(value) for name, value in values.items()}


def shown(query: str, user: User) -> set[int]:
    """What the explorer's pages show under an address, page after page."""
    asked, after, found = Filters.from_query(QueryDict(query)), "", set()
    assert not asked.problems
    for _ in range(50):
        page = find(asked, after=after, size=3, user=user)
        found |= set(page.items)
        after = page.after
        if not after:
            return found
    raise AssertionError(f"{query} never ends")


def queued(kind: str, filters: str, user: User) -> set[int]:
    queue = create_queue(user=user, plan=QueuePlan("All", KINDS[kind], "uniform", 500, filters=filters))
    found = {item.label_id if kind == "label" else item.step_id for item in queue.items.all()}
    return {pk for pk in found if pk is not None}


def every_filter() -> Iterator[tuple[str, str]]:
    """Every declared filter with each kind of item it says something about, steps and labels."""
    for kind in KINDS:
        for name in _PARSERS:
            if applies(name, kind):
                yield kind, name


@pytest.mark.parametrize(("kind", "name"), list(every_filter()))
def test_a_queue_holds_exactly_what_the_explorer_shows(scene: FinishedRun, db: None, kind: str, name: str) -> None:
    user = scene.run.created_by
    if name == "file":
        assert not shown(f"kind={kind}&file=1", user) and not TraceImport.objects.exists()
        return
    query = Filters.from_query({"kind": kind, name: asked_of(scene, kind)[name]}).to_query().urlencode()
    if name != "sort":
        assert f"{name}=" in query
    found = shown(query, user)
    assert found and queued(kind, query, user) == found


@pytest.mark.parametrize(
    "query",
    [
        "text=curtains&since=TODAY", "text=curtains&until=YESTERDAY", "text=curtains&p_from=0.3&stale=current",
        "like=LABEL&p_from=0.3", "like=LABEL&stale=current&text=curtains", "like=LABEL&until=YESTERDAY",
        "like=LABEL&unsure=0.2&since=TODAY", "run=RUN&state=unaudited&text=curtains&orders=agree",
    ],
)  # fmt: skip
def test_filters_hold_together_too(scene: FinishedRun, db: None, query: str) -> None:
    user, today = scene.run.created_by, timezone.now().date()
    for name, value in {"TODAY": today, "YESTERDAY": today - timedelta(days=1), "LABEL": scene.labels[1].pk,
                        "RUN": scene.run.number}.items():  # fmt: skip
        query = query.replace(name, str(value))
    assert shown(query, user) == set(matching("labels", query, user).values_list("pk", flat=True))


def test_what_is_not_understood_makes_no_queue(scene: FinishedRun, db: None) -> None:
    user = scene.run.created_by
    assert AILabel.objects.exists()
    for kind, filters, why in (
        ("labels", "kind=audit&verdict=agree", "about audits"), ("labels", "kind=step&flag=no_op", "about steps"),
        ("steps", "p_from=0.5", "says nothing about steps"), ("labels", "p_from=2", "cannot be"),
        ("labels", "p_a=a", "cannot be filtered by"), ("labels", "kind=user", "something else"),
    ):  # fmt: skip
        with pytest.raises(QueueRefused, match=why):
            matching(kind, filters, user)
