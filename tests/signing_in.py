"""A client of somebody who has signed in, with the one row that this takes.

Django's own `force_login` makes two sessions and notes the time of the sign-in, in fourteen statements; tests of pages
do it two thousand times. That people sign in as they should, tests/cai_web/test_auth.py tells.
"""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.models import User
from django.test import Client
from django.utils.crypto import get_random_string

from cai_web.sessions import SessionStore

BACKEND = "cai_web.backends.PasswordBackend"


def signed_in(user: User) -> Client:
    """A new client with the cookie of a session in which `user` has signed in."""
    client = Client()
    client.cookies[settings.SESSION_COOKIE_NAME] = session_of(user)
    return client


def session_of(user: User) -> str:
    """The key of a new session in which `user` has signed in."""
    store = SessionStore(get_random_string(32, "abcdefghijklmnopqrstuvwxyz0123456789"))
    told = {SESSION_KEY: str(user.pk), BACKEND_SESSION_KEY: BACKEND, HASH_SESSION_KEY: user.get_session_auth_hash()}
    row = store.create_model_instance(told)
    row.save(force_insert=True)
    return row.session_key
