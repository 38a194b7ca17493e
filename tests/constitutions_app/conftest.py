"""Three personas for every page: one who may, one who may only read, one who is nobody here."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User

from constitutions_app.access import Role
from constitutions_app.models import Constitution
from tests.constitutions_app.factories import make_constitution, make_person
from tests.signing_in import signed_in

__all__ = ["signed_in"]  # where most tests ask for it


@pytest.fixture
def author(db: None) -> User:
    return make_person("ada", Role.AUTHOR)


@pytest.fixture
def reader(db: None) -> User:
    return make_person("rita", Role.READER)


@pytest.fixture
def stranger(db: None) -> User:
    """Signed in, but without any role."""
    return make_person("sam", None)


@pytest.fixture
def admin(db: None) -> User:
    return make_person("zoe", Role.ADMIN)


@pytest.fixture
def constitution(author: User) -> Constitution:
    """Published as v1, its draft unchanged since."""
    return make_constitution(author)


@pytest.fixture
def reviewer(db: None) -> User:
    return make_person("rex", Role.REVIEWER)
