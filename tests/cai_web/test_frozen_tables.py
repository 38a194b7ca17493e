"""The test suite's own promise: frozen tables are emptied between tests, and the rows of migrations stay."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group, User
from django.db import IntegrityError, connection, transaction


@pytest.mark.parametrize("turn", [1, 2])
@pytest.mark.django_db(transaction=True)
def test_a_frozen_row_refuses_change_and_does_not_reach_the_next_test(turn: int) -> None:
    assert not User.objects.exists()
    assert Group.objects.filter(name="reader").exists()
    User.objects.create_user("ada")
    Group.objects.create(name="of this test only")
    with connection.cursor() as cursor:
        cursor.execute("SELECT tgrelid::regclass::text FROM pg_trigger WHERE tgname LIKE '%_refuses_truncate'")
        frozen = [row[0] for row in cursor.fetchall()]
        assert frozen
        for table in frozen:
            with pytest.raises(IntegrityError, match="frozen"), transaction.atomic():
                cursor.execute(f"TRUNCATE {table} CASCADE")


@pytest.mark.django_db(transaction=True)
def test_a_group_made_by_a_test_is_gone() -> None:
    assert not Group.objects.filter(name="of this test only").exists()
