"""Who wrote which words: what is read to say so, and version numbers that stay those of their own line."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from constitutions_app import actions
from constitutions_app.histories import history_of
from constitutions_app.models import Constitution
from tests.constitutions_app.conftest import signed_in
from tests.constitutions_app.factories import draft_of, newest, principle_of
from tests.constitutions_app.views.test_activity import GROW, scanned

pytestmark = pytest.mark.django_db


def edit(user: User, constitution: Constitution, text: str, branch: str = "main") -> None:
    row = principle_of(constitution, "honesty", branch)
    actions.edit_principle(user=user, principle=row, expected=row.revision, changes={"text": text})


def rows_read(constitution: Constitution) -> tuple[int, int]:
    """How many queries the history takes, and how many rows of the ledger PostgreSQL reads for them."""
    with CaptureQueriesContext(connection) as captured:
        history_of(draft_of(constitution), "honesty")
    read = 0
    with connection.cursor() as cursor:
        for query in captured:
            if "ledgerentry" in query["sql"]:
                cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {query['sql']}")
                read += scanned(cursor.fetchone()[0][0]["Plan"])
    return len(captured), read


def test_what_is_read_does_not_grow_with_the_ledger(constitution: Constitution, author: User) -> None:
    edit(author, constitution, "Say what is true.")
    few, _ = rows_read(constitution)
    with connection.cursor() as cursor:
        for kind, pk, many in (("constitution", constitution.pk, 2000), ("constitution", 0, 2000)):
            cursor.execute(GROW, [author.pk, f"constitutions_app.{kind}", str(pk), f"{kind}{pk}", many])
        cursor.execute("ANALYZE constitutions_app_ledgerentry")
    queries, read = rows_read(constitution)
    assert queries == few
    assert read <= 12, "entries about other principles were read"


def test_a_principle_named_in_somebodys_words_is_not_taken_for_one(constitution: Constitution, author: User) -> None:
    row = principle_of(constitution, "privacy")
    changes = {"text": '{"principle":"honesty"}'}
    actions.edit_principle(user=author, principle=row, expected=row.revision, changes=changes)
    fields = dict(history_of(draft_of(constitution), "honesty").fields)
    assert [words.label for words in fields["text"]] == ["v1"]


def test_each_line_tells_its_own_versions(constitution: Constitution, author: User) -> None:
    """Versions are numbered through all branches: v2 of a branch is no part of what main's v3 says."""
    first = newest(constitution)
    actions.start_branch(user=author, version=first, name="softer")
    edit(author, constitution, "Say softly what is true.", "softer")
    actions.publish_version(user=author, draft=draft_of(constitution, "softer"), note="Softly.")
    edit(author, constitution, "Say plainly what is true.")
    actions.publish_version(user=author, draft=draft_of(constitution), note="Plainly.")
    main, side = (history_of(draft_of(constitution, name), "honesty") for name in ("main", "softer"))
    assert [str(moment.version) for moment in main.moments] == ["v3", "v1"]
    assert [str(moment.version) for moment in side.moments] == ["v2", "v1"]
    assert "softly" not in "".join(words.text for words in dict(main.fields)["text"])
    assert {words.label for words in dict(side.fields)["text"]} == {"v1", "v2"}


def test_both_directions_merge_published_heads_into_drafts(constitution: Constitution, author: User) -> None:
    """A branch's head into main's draft and main's head into the branch's, each over the page of conflicts."""
    actions.start_branch(user=author, version=newest(constitution), name="softer")
    heads = {}
    for branch, word in (("softer", "softly"), ("main", "plainly")):
        edit(author, constitution, f"Say {word} what is true and mark what is uncertain.", branch)
        heads[branch] = actions.publish_version(user=author, draft=draft_of(constitution, branch), note=word)
    client = signed_in(author)
    for into, other, kept in (("test", "softer", "plainly"), ("test@softer", "main", "softly")):
        page = f"/constitutions/{into}/draft/merge/"
        assert f'value="{heads[other].pk}"' in client.get(page).content.decode()
        asked = {"version": heads[other].pk}
        html = client.get(page, asked).content.decode()
        assert "softly" in html and "plainly" in html and 'value="theirs"' in html
        name = html.split('name="choice-', 1)[1].split('"', 1)[0]
        branch = into.partition("@")[2] or "main"
        revision = draft_of(constitution, branch).revision
        refused = client.post(page, {**asked, "revision": revision})
        assert refused.status_code != 302, "nothing was decided"
        done = client.post(page, {**asked, "revision": revision, f"choice-{name}": "ours"})
        assert done.status_code == 302, done.content.decode()
        draft = draft_of(constitution, branch)
        assert kept in principle_of(constitution, "honesty", branch).text
        assert draft.merging == heads[other]
        merged = actions.publish_version(user=author, draft=draft, note="Merged.")
        assert (merged.parent, merged.second_parent) == (heads[branch], heads[other])
        assert len({moment.anchor for moment in history_of(merged, "honesty").moments}) == len(
            history_of(merged, "honesty").moments
        )
