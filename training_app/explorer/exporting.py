"""Everything that fits a question as lines of JSON, straight from the database: it writes them, we hand them on.

PostgreSQL makes each line (`row_to_json`) and streams it (COPY), so a million rows pass through a few blocks of memory.
Lines name items by id and hold no texts unless they are asked for (exported_texts.py); what a person has yet to judge
blind is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import QuerySet

from training_app.access import Person
from training_app.explorer.exported_texts import BLOCK, COLUMNS, JOINS, Veiled, harm_of, unveiled
from training_app.explorer.filters import Filters
from training_app.explorer.items import matching
from training_app.explorer.tokens import BITS, FINALS, LARGEST, STATES, Fact


def _named(fact: Fact, values: Sequence[str], name: str, *, usual: str) -> str:
    """The column of a line that says in a word which fact of a kind is true of its item; `usual` of most, unread."""
    listed = ", ".join(f"'{one}'" for one in values)
    return (
        f"CASE WHEN facts.audited_at IS NULL THEN {usual} ELSE (SELECT (ARRAY[{listed}])[1 + (one & {LARGEST})] "  # noqa: S608  # our own names
        f"FROM unnest(facts.facets) AS one WHERE one >> {BITS} = {fact.value}) END AS {name}, "
    )


_JUDGED = (
    "facts.agrees, facts.overrides, "
    + _named(Fact.STATE, STATES, "state", usual="'unaudited'")
    + _named(Fact.FINAL, FINALS, "final", usual="NULL")
    + "nullif(facts.choice, '') AS final_choice, facts.audits, facts.audited_at, "
)
_LINES = {
    "label": "SELECT item.id AS label, item.comparison_id AS comparison, run.number AS run, run.version_id AS version, "
    "item.principle_id AS principle, principle.key, judge.digest AS judge, item.p_a, item.p_ab, item.p_ba, "
    "item.p_a_clamped, item.same_position, {judged}"
    "item.created_at FROM training_app_ailabel AS item "
    "JOIN training_app_labelfacts AS facts ON facts.label_id = item.id "
    "JOIN training_app_run AS run ON run.id = item.run_id JOIN training_app_judge AS judge ON judge.id = item.judge_id "
    "LEFT JOIN constitutions_app_principleversion AS principle ON principle.id = item.principle_id",
    "step": "SELECT item.id AS step, item.trace_id AS trace, item.round, run.number AS run, "
    "principle.version_id AS version, item.principle_id AS principle, principle.key, item.flags, "
    "{judged}item.created_at "
    "FROM training_app_tracestep AS item JOIN training_app_stepfacts AS facts ON facts.step_id = item.id "
    "JOIN training_app_trace AS trace ON trace.id = item.trace_id "
    "LEFT JOIN training_app_run AS run ON run.id = trace.run_id "
    "JOIN constitutions_app_principleversion AS principle ON principle.id = item.principle_id",
    "comparison": "SELECT item.id AS comparison, item.key, item.source, run.number AS run, "
    "item.prompt_set_id AS prompt_set, item.identical, item.human_choice, item.created_at "
    "FROM training_app_comparison AS item LEFT JOIN training_app_run AS run ON run.id = item.run_id",
    "audit": "SELECT item.id AS audit, item.label_id AS label, item.step_id AS step, auditor.username AS auditor, "
    "item.verdict, item.choice, item.critique_fair, item.revision_better, item.blind, item.confidence, item.reason, "
    "item.comment, item.created_at "
    "FROM training_app_audit AS item JOIN auth_user AS auditor ON auditor.id = item.auditor_id",
}


def lines(asked: Filters, user: Person) -> Iterator[bytes]:
    """Blocks of whole and broken lines that together are a JSON line for every item that fits, in no order.

    Holds one database connection while it is read; whoever stops early closes the iterator.
    """
    return lines_of(asked.kind, matching(asked, user, telling=True))


def lines_between(
    kind: str, fits: QuerySet[Any], low: int, high: int, *, texts: Veiled | None = None
) -> Iterator[bytes]:
    """The same of those items of a query set whose keys lie between two, both included, in the order of their ids.

    The keys are those that the explorer's usual order goes by: of audits that of their facts. `texts`: with the texts,
    and what it says of how harmful they are.
    """
    key = "facts__pk" if kind == "audit" else "pk"
    fits = fits.filter(**{f"{key}__gte": low, f"{key}__lte": high})
    if texts is None:
        return lines_of(kind, fits, order=" ORDER BY item.id")
    blocks = _copied(_with_texts(kind), kind, fits, " ORDER BY item.id")
    return unveiled(kind, blocks, texts)


def lines_of(kind: str, fits: QuerySet[Any], *, order: str = "") -> Iterator[bytes]:
    """The same of a query set of items of a kind."""
    return _copied("SELECT row_to_json(line) FROM ({lines}) AS line", kind, fits, order)


def _with_texts(kind: str) -> str:
    """A statement for how harmful the texts of an item are known to be, and its line with them.

    The items are found first (OFFSET 0 holds the planner to it): of more than eight tables it does not choose an order,
    and would read them all for each stretch.
    """
    columns, _, tables = _LINES[kind].partition(" FROM ")
    table, _, joined = tables.partition(" AS item ")
    found = f"(SELECT * FROM {table} AS item{{where}} OFFSET 0) AS item"  # noqa: S608  # our own names
    line = f"SELECT row_to_json(line) FROM ({columns}, {COLUMNS[kind]}) AS line"  # noqa: S608  # our own names
    return f"SELECT {harm_of(kind)}, ({line}) FROM {found} {joined}{JOINS[kind]}{{order}}"  # noqa: S608  # our own names


def _copied(statement: str, kind: str, fits: QuerySet[Any], order: str) -> Iterator[bytes]:
    where, values = "", ()
    if fits.query.where:
        try:
            inner, values = fits.order_by().values("pk").query.sql_with_params()
        except EmptyResultSet:  # Django knows by itself that nothing can fit
            return
        where = f" WHERE item.id IN ({inner})"
    sql = statement.replace("{lines}", _LINES[kind] + "{where}{order}")
    for name, part in (("{where}", where), ("{order}", order), ("{judged}", _JUDGED)):
        sql = sql.replace(name, part)
    copying = f"COPY ({sql}) TO STDOUT WITH (FORMAT csv, QUOTE E'\\x01', DELIMITER E'\\x02')"
    with connection.cursor() as cursor, cursor.copy(copying, values) as copy:
        kept = bytearray()
        for piece in copy:
            kept += piece
            if len(kept) >= BLOCK:
                yield bytes(kept)
                kept.clear()
        yield bytes(kept)
