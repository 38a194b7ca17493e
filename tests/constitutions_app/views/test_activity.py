from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext

import constitutions_app
import training_app
from constitutions_app import activity
from constitutions_app.actions import create_scenario, edit_principle, open_thread
from constitutions_app.activity import Asked
from constitutions_app.models import Constitution
from constitutions_app.templatetags.constitutions import VERB_WORDS, verb_words
from tests.constitutions_app.conftest import signed_in
from tests.constitutions_app.factories import draft_of, make_constitution, principle_of
from tests.constitutions_app.strategies import ATTACKS

pytestmark = pytest.mark.django_db

PAGE = "/constitutions/test/activity/"


@pytest.fixture
def busy(constitution: Constitution, author: User, admin: User) -> Constitution:
    principle = principle_of(constitution, "privacy")
    edit_principle(user=admin, principle=principle, expected=principle.revision, changes={"text": "Other words."})
    create_scenario(user=author, constitution=constitution, prompt="Why?", title="Why", principles=["privacy"])
    open_thread(user=author, draft=draft_of(constitution), key="privacy", field="text", quote="Other", body="Why?")
    make_constitution(author, name="Other")
    return constitution


def test_it_shows_everything_of_this_constitution_and_nothing_of_others(busy: Constitution, reader: User) -> None:
    page = signed_in(reader).get(PAGE).content.decode()
    for words in ("created the constitution", "published a version", "edited a principle", "wrote a scenario"):
        assert words in page
    assert "opened a thread" in page
    assert page.count("created the constitution") == 2  # an entry, and the filter's choice
    assert {entry.object_label for entry in activity.entries_of(busy)} == {"Test"}


@pytest.mark.parametrize(
    ("question", "shown"),
    [("principle=privacy", 3), ("verb=scenario.create", 1), ("verb=nothing.done", 5), ("principle=%00", None)],
)
def test_filters(busy: Constitution, reader: User, question: str, shown: int | None) -> None:
    answer = signed_in(reader).get(f"{PAGE}?{question}")
    if shown is None:
        assert answer.status_code == 400
        return
    assert answer.content.decode().count('class="item-line"') == shown


def test_one_persons_doings(busy: Constitution, admin: User, reader: User) -> None:
    page = signed_in(reader).get(f"{PAGE}?person={admin.pk}").content.decode()
    assert page.count('class="item-line"') == 1 and "edited a principle" in page


def test_pages_follow_each_other_without_gaps(
    busy: Constitution, reader: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(activity, "PAGE", 2)
    client, seen, address = signed_in(reader), [], PAGE
    for _ in range(5):
        page = client.get(address).content.decode()
        seen += re.findall(r'href="/ledger/(\d+)/"', page)
        following = re.search(r'href="(\?before=\d+)" rel="next"', page)
        if not following:
            break
        address = PAGE + following[1]
    wanted = list(activity.entries_of(busy).order_by("-seq").values_list("seq", flat=True))
    assert list(map(int, seen)) == wanted


def test_hostile_names_come_back_escaped(constitution: Constitution, author: User, reader: User) -> None:
    for attack in ATTACKS:
        create_scenario(user=author, constitution=constitution, prompt="x", title=attack[:200])
    page = signed_in(reader).get(PAGE).content.decode()
    assert "<script>alert(1)" not in page and "<svg/onload" not in page and "\u202e" not in page


def test_the_queries_stay_as_many(busy: Constitution, author: User, reader: User) -> None:
    client = signed_in(reader)

    def count() -> int:
        client.get(PAGE)
        with CaptureQueriesContext(connection) as captured:
            client.get(PAGE)
        return len(captured)

    few = count()
    for number in range(20):
        create_scenario(user=author, constitution=busy, prompt=f"Why {number}?")
    assert count() == few


GROW = """
    INSERT INTO constitutions_app_ledgerentry
        (seq, at, actor_id, actor_name, verb, object_type, object_id, object_label, body, previous_hash, hash)
    SELECT last + n, now(), %s, 'Ada', 'draft.edit_preamble', %s, %s, 'x', '{"principle":"other"}', '', %s || n
    FROM generate_series(1, %s) n, (SELECT max(seq) last FROM constitutions_app_ledgerentry) newest
"""


def test_no_question_reads_more_rows_when_the_ledger_grows(
    busy: Constitution, author: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What PostgreSQL really reads, beside 400 more entries of this constitution, 4,000 of another, 6,000 of runs."""
    with connection.cursor() as cursor:
        for kind, pk, many in (("constitution", busy.pk, 400), ("constitution", 0, 4000), ("run", 1, 6000)):
            app = "training_app" if kind == "run" else "constitutions_app"
            cursor.execute(GROW, [author.pk, f"{app}.{kind}", str(pk), f"{kind}{pk}", many])
        cursor.execute("ANALYZE constitutions_app_ledgerentry")
    monkeypatch.setattr(activity, "PAGE", 5)
    for question in (
        *(Asked(), Asked(before=20), Asked(person=author.pk), Asked(person=0)),
        *(Asked(verb="scenario.create"), Asked(principle="privacy"), Asked(principle="nobodys")),
    ):
        assert rows_read(partial(activity.page_of, busy, question)) <= 12, question
    assert rows_read(lambda: activity.verbs_of(busy)) <= 20
    assert rows_read(lambda: activity.people_of(busy)) <= 20


def rows_read(ask: Callable[[], object]) -> int:
    """How many rows of the ledger PostgreSQL reads to answer, those it throws away among them."""
    with CaptureQueriesContext(connection) as captured:
        ask()
    (query,) = captured
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {query['sql']}")
        return scanned(cursor.fetchone()[0][0]["Plan"])


def scanned(node: dict[str, Any]) -> int:
    """Rows that this step and those below it took from the ledger or one of its indexes."""
    read = 0
    if "Scan" in node["Node Type"] and ("Relation Name" in node or "Index Name" in node):
        thrown = sum(node.get(f"Rows Removed by {why}", 0) for why in ("Filter", "Index Recheck"))
        read = round((node["Actual Rows"] + thrown) * node["Actual Loops"])
    return read + sum(map(scanned, node.get("Plans", ())))


def test_every_verb_about_something_of_a_constitution_is_recorded_of_the_constitution() -> None:
    """That is why one pair of columns finds all of its activity; people belong to no constitution."""
    verbs = Path(str(constitutions_app.__file__)).parent / "actions"
    sources = [path.read_text(encoding="utf-8") for path in verbs.rglob("*.py")]
    objects = {name for text in sources for name in re.findall(r"\bobj=([\w.]+)", text)}
    assert {name for name in objects if name.split(".")[-1] != "constitution"} == {"person", "user"}


def test_every_verb_of_both_apps_has_words() -> None:
    folders = [Path(str(app.__file__)).parent for app in (constitutions_app, training_app)]
    sources = [path.read_text(encoding="utf-8") for folder in folders for path in folder.rglob("*.py")]
    verbs = {verb for text in sources for verb in re.findall(r'verb="([a-z_]+\.[a-z_]+)"', text)}
    assert {"run.launch", "version.publish"} <= verbs
    assert verbs - set(VERB_WORDS) == set()
    assert verb_words("run.launch") == "launched a run"
