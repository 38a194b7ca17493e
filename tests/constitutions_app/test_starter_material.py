from __future__ import annotations

import pytest
from django.contrib.auth.models import User

from constitutions_app import starter_material
from constitutions_app.actions import edit_principle
from constitutions_app.models import Constitution, LedgerEntry
from tests.constitutions_app.factories import newest

pytestmark = pytest.mark.django_db


def test_it_publishes_what_comes_with_the_app() -> None:
    made = starter_material.load()
    assert [one.slug for one in made] == ["harmless-assistant", "countable-habits"]
    body = newest(made[0]).to_core()
    assert len(body.principles) >= 16
    assert all(item.text and item.rationale and item.source.document and item.tags for item in body.principles)
    assert all(item.critique_request and item.revision_request and item.comparison_question for item in body.principles)
    assert body.exemplars


def test_loading_again_changes_nothing(author: User) -> None:
    made = starter_material.load()
    row = made[0].draft.principles.all()[0]
    edit_principle(user=author, principle=row, expected=row.revision, changes={"text": "Ours now."})
    before = LedgerEntry.objects.count()
    assert starter_material.load() == []
    assert LedgerEntry.objects.count() == before
    assert Constitution.objects.count() == 2
    row.refresh_from_db()
    assert row.text == "Ours now."


def test_it_can_be_loaded_in_a_persons_name(author: User) -> None:
    assert starter_material.load(author)[0].created_by == author
    assert not User.objects.filter(username=starter_material.SYSTEM_USER).exists()


def test_nobody_can_sign_in_as_the_system() -> None:
    person = starter_material.system_user()
    assert not person.is_active
    assert not person.has_usable_password()
