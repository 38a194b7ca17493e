"""Counts on pages: exact up to a thousand, then a thousand and more."""

from __future__ import annotations

from uuid import uuid4

import pytest
from django.contrib.auth.models import User

from tests.training_app.factories import finished_run
from tests.training_app.scenes import engineer
from training_app import counting
from training_app.actions import record_audit
from training_app.actions.record_audit import Verdict
from training_app.counting import UpTo, citing
from training_app.templatetags.plainly import counted


def test_a_count_is_written_with_its_plus_and_sums_are_at_least_that() -> None:
    assert [str(UpTo.of(n)) for n in (0, 1, 1000, 1001)] == ["0", "1", "1,000", "1,000+"]
    assert UpTo.of(1001) + UpTo(204) == UpTo(1204, is_more=True)
    assert [counted(UpTo(1), "labels"), counted(UpTo.of(1001), "labels")] == ["1 label", "1,000+ labels"]
    assert not UpTo(0)


@pytest.mark.django_db
def test_what_cites_a_principle_is_counted_to_the_limit_and_no_further(monkeypatch: pytest.MonkeyPatch) -> None:
    made = finished_run(engineer())
    step = made.steps[0]
    judge = User.objects.create_user("judge")
    for verdict in ("agree", "override"):
        record_audit(user=judge, audit_id=uuid4(), item=step, said=Verdict(verdict))
    same = [one for one in made.steps if one.principle_id == step.principle_id]
    labels = [one for one in made.labels if one.principle_id == step.principle_id]
    found = citing([step.principle_id])[step.principle_id]
    assert (found.steps, found.labels) == (UpTo(len(same)), UpTo(len(labels)))
    assert (found.audits, found.overrides) == (UpTo(2), UpTo(1))
    monkeypatch.setattr(counting, "MOST", 1)
    assert citing([step.principle_id])[step.principle_id].audits == UpTo(1, is_more=True)
    assert citing([]) == {}
