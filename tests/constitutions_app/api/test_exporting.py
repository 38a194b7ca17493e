from __future__ import annotations

import pytest
from django.contrib.auth.models import User

from constitutions_app.core.interchange import WRITTEN, read_bytes
from constitutions_app.core.principles import digest
from constitutions_app.models import Constitution
from tests.constitutions_app.api.calls import API
from tests.constitutions_app.conftest import signed_in
from tests.constitutions_app.factories import newest

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("form", WRITTEN)
def test_exports_keep_the_digest(constitution: Constitution, reader: User, form: str) -> None:
    client = signed_in(reader)
    for place in ("versions/1", "draft"):
        answer = client.get(f"{API}/{place}/export/{form}/")
        assert digest(read_bytes(answer.content, "x").constitution) == newest(constitution).digest
    assert client.get(f"{API}/draft/export/docx/").status_code == 404
