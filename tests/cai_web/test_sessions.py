"""Sessions: read by one statement, over when their time is, and gone after signing out."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone

from cai_web.sessions import SessionStore

pytestmark = pytest.mark.django_db


def test_what_was_kept_is_read_again() -> None:
    kept = SessionStore()
    kept["said"] = "Grüße"
    kept.save()
    assert SessionStore(kept.session_key)["said"] == "Grüße"


def test_a_session_that_is_over_or_was_never_there_is_empty_and_gets_another_key() -> None:
    kept = SessionStore()
    kept["said"] = "something"
    kept.save()
    Session.objects.update(expire_date=timezone.now() - timedelta(seconds=1))
    for key in (kept.session_key, "nobody-has-this-key"):
        found = SessionStore(key)
        assert found.get("said") is None and found.session_key is None


def test_signing_out_ends_it(client: Client) -> None:
    client.force_login(User.objects.create_user("ada"), backend="cai_web.backends.PasswordBackend")
    key = client.session.session_key
    assert SessionStore(key)["_auth_user_id"]
    client.logout()
    assert not SessionStore(key).load()
