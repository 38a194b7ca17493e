from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.http import QueryDict
from django.utils import timezone

from constitutions_app.access import OUTSIDE
from tests.training_app import factories
from tests.training_app.factories import FinishedRun, cited
from training_app.explorer.filters import Filters
from training_app.explorer.items import matching
from training_app.models import Audit

pytestmark = pytest.mark.django_db


@pytest.fixture
def ada() -> User:
    return factories.person("ada")


@pytest.fixture
def finished(ada: User) -> FinishedRun:
    return factories.finished_run(ada)


def found(query: str, user: User) -> set[object]:
    return set(matching(Filters.from_query(QueryDict(query)), user))


def test_labels_are_found_by_everything_that_is_true_of_them(finished: FinishedRun, ada: User) -> None:
    label = finished.labels[0]
    Audit.objects.create(auditor=ada, label=label, verdict="override", choice="a", blind=False, comment="why")
    today, run = timezone.now().date(), finished.run
    for query, fits in {
        f"run={run.number}": True, f"run={run.number + 1}": False, f"version={run.version_id}": True,
        f"constitution={run.version.constitution.slug}": True, "constitution=other": False,
        f"principle={label.principle_id}": True, f"key={cited(label).key}": True, "key=none": False,
        f"judge={label.judge_id}": True, f"judge={label.judge_id + 1}": False, f"checkpoint={finished.rl.pk}": True,
        "tag=everyday": True, "tag=other": False, "state=overridden": True, "state=unaudited": False,
        f"auditor={ada.pk}": True, f"auditor={ada.pk + 1}": False, "commented=yes": True, "imported=yes": False,
        "p_from=0.2&p_to=0.3": True, "p_from=0.28": False, "unsure=0.24": True, "unsure=0.1": False,
        "orders=agree": True, "orders=same": False, "stale=stale": False, "stale=current": True,
        f"since={today}": True, f"until={today - timedelta(days=1)}": False, "text=curtains": True,
        "text=%22his+curtains%22+-bread": True, "text=harpsichord": False,
    }.items():  # fmt: skip
        assert (label in found(query, ada)) is fits, query


def test_steps_comparisons_and_audits_are_found_too(finished: FinishedRun, ada: User) -> None:
    step = finished.steps[1]
    audit = Audit.objects.create(auditor=ada, step=step, verdict="agree", blind=False, comment="fair words")
    assert step in found("kind=step&flag=no_op&state=agreed&text=secret", ada)
    assert step not in found("kind=step&flag=refusal", ada)
    assert found("kind=audit&text=fair&verdict=agree&about=step", ada) == {audit}
    assert found(f"kind=audit&key={step.principle.key}&flag=no_op&auditor={ada.pk}", ada) == {audit}
    assert found("kind=audit&reason=misread", ada) == set()
    comparison = finished.labels[0].comparison
    assert comparison in found("kind=comparison&source=sampled&text=curtains", ada)
    assert found("kind=comparison&source=human", ada) == set()


def test_verdicts_given_elsewhere_are_found_as_such(finished: FinishedRun, ada: User) -> None:
    theirs, ours = finished.labels[:2]
    outside = User.objects.create_user(f"{OUTSIDE}0123456789abcdef")
    audit = Audit.objects.create(auditor=outside, label=theirs, verdict="agree", choice="b", blind=True)
    Audit.objects.create(auditor=ada, label=ours, verdict="agree", choice="b", blind=True)
    assert found("imported=yes", ada) == {theirs}
    assert found("kind=audit&imported=yes", ada) == {audit}
    assert found("kind=comparison&imported=yes", ada) == found("kind=comparison", ada)


def test_a_principle_that_means_something_else_now_makes_its_labels_stale(finished: FinishedRun, ada: User) -> None:
    label = finished.labels[0]
    later = factories.published_version(ada)
    later.principles.filter(key=cited(label).key)  # the same words: nothing is stale
    assert label in found("stale=current", ada)
