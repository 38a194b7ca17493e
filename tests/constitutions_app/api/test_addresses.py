from __future__ import annotations

from io import StringIO
from typing import Any

from django.core.management import call_command
from drf_spectacular.generators import SchemaGenerator


def test_the_schema_is_written_without_a_warning() -> None:
    call_command("spectacular", "--validate", "--fail-on-warn", stdout=StringIO())


def test_the_schema_describes_every_address() -> None:
    generator: Any = SchemaGenerator
    schema = generator().get_schema(request=None, public=True)
    paths = {path for path in schema["paths"] if "constitutions" in path or "ledger" in path}
    assert paths == {
        "/api/constitutions/",
        "/api/constitutions/{slug}/",
        "/api/constitutions/{slug}/aliases/",
        "/api/constitutions/{slug}/blame/{new}/{key}/",
        "/api/constitutions/{slug}/branches/",
        "/api/constitutions/{slug}/compare/{old}..{new}/",
        "/api/constitutions/{slug}/draft/merge/{merged}/",
        "/api/constitutions/{slug}/draft/",
        "/api/constitutions/{slug}/publish/",
        "/api/constitutions/{slug}/review/",
        "/api/constitutions/{slug}/review/verdicts/",
        "/api/constitutions/{slug}/activity/",
        "/api/constitutions/{slug}/draft/export/{form}/",
        "/api/constitutions/{slug}/release-rules/",
        "/api/constitutions/{slug}/scenario-results/",
        "/api/constitutions/{slug}/scenarios/",
        "/api/constitutions/{slug}/scenarios/{key}/",
        "/api/constitutions/{slug}/scenarios/{key}/restore/",
        "/api/constitutions/{slug}/scenarios/{key}/retire/",
        "/api/constitutions/{slug}/suggestions/{id}/apply/",
        "/api/constitutions/{slug}/suggestions/{id}/decline/",
        "/api/constitutions/{slug}/threads/",
        "/api/constitutions/{slug}/threads/{id}/",
        "/api/constitutions/{slug}/threads/{id}/reopen/",
        "/api/constitutions/{slug}/threads/{id}/resolve/",
        "/api/constitutions/{slug}/versions/",
        "/api/constitutions/{slug}/versions/{number}/",
        "/api/constitutions/{slug}/versions/{number}/export/{form}/",
        "/api/constitutions/{slug}/versions/{number}/principles/{key}/",
        "/api/ledger/",
        "/api/ledger/{seq}/",
    }
