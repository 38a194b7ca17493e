from __future__ import annotations

import pytest
from django.contrib.auth.models import User

from constitutions_app.models import (
    Constitution,
    Import,
)
from tests.constitutions_app.api.calls import send
from tests.constitutions_app.conftest import signed_in

pytestmark = pytest.mark.django_db

POLIS = "comment-id,comment-body,agrees\n1,AI should be clear.,5\n2,,1\n"


def test_an_import_shows_first_and_writes_when_asked(author: User, reader: User) -> None:
    client = signed_in(author)
    body = {"text": POLIS, "file_name": "town.csv", "licence": "CC0"}
    shown = send(client, "post", "/api/import/", body).json()
    assert (shown["format"], shown["written"], len(shown["not_understood"])) == ("polis", None, 1)
    assert not Constitution.objects.exists()
    written = send(client, "post", "/api/import/", {**body, "write": True})
    assert (written.status_code, written.json()["written"]) == (201, "town")
    assert Import.objects.get().licence == "CC0"
    assert send(client, "post", "/api/import/", {"text": "Dear all", "write": True}).status_code == 409
    assert send(signed_in(reader), "post", "/api/import/", body).status_code == 403
