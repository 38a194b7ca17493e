"""Everything a person can type into, given everything a person can paste: kept or refused, never a 500."""

from __future__ import annotations

import re
from urllib.parse import quote

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from constitutions_app.actions import create_scenario, text_revision
from constitutions_app.models import Constitution
from tests.constitutions_app.conftest import signed_in
from tests.constitutions_app.factories import draft_of, principle_of

pytestmark = pytest.mark.django_db

ATTACK = (
    '"><script>alert(1)</script><img src=x onerror=alert(1)>{{ 7|add:7 }}{% now %}'  # markup
    "\u202egnp.exe\u202c \u2066ok\u2069"  # turns the direction of what follows
    "لا تساعد אל תעזור 👩‍👩‍👧‍👦👍🏽 e\u0301 \U000e0041"  # other directions, signs of many code points, a hidden tag
    "\x1b[31m\x07\x85\u2028before\x00after \ud83d"  # controls, a null, half of a pair
)
PASTED = {"one megabyte": "x" * 1_000_000, "nothing but nulls": "\x00\x00", "everything at once": ATTACK}
_FIELDS = re.compile(r"<textarea.*?</textarea>|<input[^>]*>|data-words=\"[^\"]*\"|<option[^>]*>", re.DOTALL)
BARE = ("<script>alert(1)", "<img src=x", "\u202e", "\u2066", "\x00", "\x1b", "\U000e0041")
TEXTS = ("text", "rationale", "critique_request", "revision_request", "comparison_question")
LINES = ("title", "source_document", "source_article", "source_url", "tags", "weight", "stages")
LISTS = ("positive_examples", "negative_examples")


def forms(constitution: Constitution) -> dict[str, tuple[str, str, dict[str, object]]]:
    """By name: where a form goes, which of its fields is pasted into, and the rest of it."""
    draft, row = draft_of(constitution), principle_of(constitution, "honesty")
    editor = _url("draft_principle", "test", "honesty")
    found: dict[str, tuple[str, str, dict[str, object]]] = {
        name: (editor, name, {"revision": row.revision, "changed": name}) for name in (*TEXTS, *LINES, *LISTS)
    }
    where = {"place": "honesty:text", "quote": "true", "body": "Why?"}
    thread = {**where, "suggest": "on"}
    return found | {
        "hints": (_url("sent", "test", "honesty"), "text", {}),
        "preamble": (_url("draft_preamble", "test"), "preamble", {"revision": text_revision(draft.preamble)}),
        "exemplar": (_url("draft_exemplars", "test"), "0-critique", {"revision": text_revision(draft.exemplars)}),
        "new principle": (_url("add_principle", "test"), "title", {}),
        "change note": (_url("publish", "test"), "note", {"revision": draft.revision}),
        "branch": (_url("start_branch", "test", 1), "name", {}),
        "fork": (_url("fork", "test", 1), "name", {}),
        "alias": (_url("move_alias", "test"), "name", {"number": 1}),
        "constitution": (_url("create"), "name", {}),
        "import": (_url("import"), "text", {}),
        "scenario": (_url("create_scenario", "test"), "prompt", {}),
        "response": (_url("edit_scenario", "test", "rude"), "response_a", {"prompt": "x", "revision": 0}),
        "comment": (_url("open_thread", "test"), "body", dict(where)),
        "quote": (_url("open_thread", "test"), "quote", dict(where)),
        "suggestion": (_url("open_thread", "test"), "replacement", dict(thread)),
        "review": (_url("request_review", "test"), "note", {}),
        "person": (reverse("account"), "name", {"form": "name"}),
    }


def _url(name: str, *args: object) -> str:
    return reverse(f"constitutions:{name}", args=args)


PAGES = (
    "/constitutions/",
    "/constitutions/test/",
    "/constitutions/test/draft/principles/honesty/",
    "/constitutions/test/draft/preamble/",
    "/constitutions/test/draft/exemplars/",
    "/constitutions/test/compare/v1..draft/",
    "/constitutions/test/compare/v1..draft/?view=side-by-side",
    "/constitutions/test/draft/review/",
    "/constitutions/test/draft/principles/honesty/history/",
    "/constitutions/test/versions/",
    "/constitutions/test/scenarios/",
    "/constitutions/test/activity/",
)


@pytest.mark.parametrize("pasted", PASTED)
def test_every_field_keeps_or_refuses_what_is_pasted(
    pasted: str, constitution: Constitution, author: User, client: Client
) -> None:
    create_scenario(user=author, constitution=constitution, title="Rude", prompt="Write.")
    client = signed_in(author)
    text = PASTED[pasted]
    for name in forms(constitution):
        url, field, rest = forms(constitution)[name]
        body = {**{key: str(value) for key, value in rest.items()}, field: text}
        headers = {"X-Autosave": "1"} if "changed" in rest else {}
        encoded = "&".join(f"{_quoted(key)}={_quoted(value)}" for key, value in body.items())
        response = client.post(url, encoded, content_type="application/x-www-form-urlencoded", headers=headers)
        assert response.status_code in {200, 302, 400, 409, 413, 422}, (name, response.status_code)
    for page in PAGES:
        html = client.get(page).content.decode()
        for bare in BARE:
            assert bare not in html or _only_where_it_is_edited(html, bare), (page, bare)


def _quoted(text: str) -> str:
    return quote(text, safe="", errors="surrogatepass")


def _only_where_it_is_edited(html: str, bare: str) -> bool:
    """Hidden marks stay as they were typed in fields and in what scripts read; markup is escaped there as well."""
    return "<" not in bare and bare not in _FIELDS.sub("", html)
