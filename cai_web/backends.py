"""Who somebody is: by password or by one-time link, as their libraries check them, and read together with their roles.

Reading the person begins every page, so it is one statement that is composed once.
"""

from __future__ import annotations

from django.contrib.auth import backends
from django.contrib.auth.models import User
from sesame import backends as links

from constitutions_app.access import PERSON


class PasswordBackend(backends.ModelBackend):
    def get_user(self, user_id: int) -> User | None:
        """The person, unless they may not sign in any more."""
        person = PERSON.first(person=user_id)
        return person if self.user_can_authenticate(person) else None


class LinkBackend(links.ModelBackend):  # type: ignore[misc]  # sesame ships no types
    get_user = PasswordBackend.get_user
