"""Pages for what is not there keep no database connection, on whatever thread they are made."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_thread_that_makes_such_pages_can_do_without_the_connection_it_had() -> None:
    client = Client()
    client.force_login(User.objects.create_user("stranger"))

    def ask(address: str) -> tuple[int, bool]:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        return client.get(address).status_code, connection.connection is None

    with ThreadPoolExecutor(1) as one:
        assert one.submit(ask, "/nowhere/").result() == (404, True)
        assert one.submit(ask, "/runs/").result() == (403, True)
        assert one.submit(ask, "/nowhere/").result() == (404, True)
