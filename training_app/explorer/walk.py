"""Pages of a list in an order, whichever filters: one statement that reads about as much as it shows.

The planner guesses where few rows among millions fit, and a wrong guess reads them all. So the list is cut into
stretches, each four times the one before, and one statement asks for them one after the other:

    (rows of stretch 1 that fit) UNION ALL (rows of stretch 2 that fit) UNION ALL ... LIMIT 51

PostgreSQL stops as soon as it has enough. Every stretch is answered by the GIN index of facets (and words), which
jumps through the longer lists to where the shorter ones are. So frequent facts are found in the first stretches, and
rare ones cost what they hold. `+ 0` keeps the planner from reading a stretch along its order after all, and
`explorer_in_turn` from reading several at once. Without filters the order's own index is read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import connection

from training_app.explorer.bounds import bounds_of, bounds_of_each, rows_by_column
from training_app.explorer.conditions import TABLES, Conditions
from training_app.explorer.tokens import ID_SHIFTS, THOUSAND, Fact, cover_ids, cover_p, thousandth, token
from training_app.models.facts import CONFIG

FIRST_IDS = 2 << min(ID_SHIFTS)
GROWTH = 4
FEW = 1000
"""So many rows are sorted rather than looked for along an order that no stretches are known of."""

LOOKED_AT = 10_000
"""So many rows are looked at along an order before the rest is sorted."""

KEYS = {"label": "label_id", "comparison": "comparison_id", "step": "step_id", "audit": "id"}
"""The column of a table of facts that the usual order goes by."""
ITEMS = {"label": "label_id", "comparison": "comparison_id", "step": "step_id", "audit": "audit_id"}
"""The column that names the item."""
EXPRESSIONS = {"p_low": "p_a", "p_high": "p_a", "unsure": "abs(p_a - 0.5)", "audited": "audited_at"}
"""What an order goes by before the key; nothing for "newest" and "oldest"."""
EVERYWHERE = (0, 2**62)
"""Between these all keys lie: what asks nothing needs no closer bounds."""
SAME_POSITION = Conditions(every=(token(Fact.SAME_POSITION, 1),))
DESCENDING = frozenset({"newest", "p_high", "audited"})


@dataclass(frozen=True)
class Place:
    """A row's place in an order: its key, and the number (or time) of the order, None where it goes by keys alone."""

    key: int
    value: Any = None
    item: Any = field(default=None, compare=False)
    """The primary key of the item."""


@dataclass(frozen=True)
class _Part:
    """A condition in SQL with its values."""

    sql: str
    values: tuple[Any, ...] = ()


def walk(
    kind: str,
    asked: Conditions,
    sort: str,
    *,
    size: int,
    behind: Place | None = None,
    backwards: bool = False,
    words: str = "",
) -> list[Place]:
    """At most `size` rows that fit, in order, behind a place; `backwards` reads against the order. At most 3 queries.

    `words` is a search, for the kinds that have words of their own. Times are those of the item and become a stretch
    of keys, which a row written late may lie beside.
    """
    descending = (sort in DESCENDING) != backwards
    first, last = EVERYWHERE if asked.is_empty and not words else bounds_of(kind, asked)
    if last < first:
        return []
    expression = EXPRESSIONS.get(sort, "")
    filters = _filters(asked, words)
    if not expression:
        branches = _by_key(kind, filters, first, last, descending, behind)
    elif sort == "audited":
        branches = _by_audit(kind, asked, filters, first, last, descending, behind)
    else:
        branches = _by_likelihood(asked, filters, expression, first, last, descending, behind)
    parts = list(branches)
    if not parts:
        return []
    statement = " UNION ALL ".join(f"({part.sql})" for part in parts)
    values = [value for part in parts for value in part.values]
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM ({statement}) AS walked LIMIT explorer_in_turn(%s)", [*values, size])  # noqa: S608  # our own names
        return [Place(key, value, item) for key, value, item in cursor.fetchall()]


def counts(kind: str, questions: Sequence[Conditions], *, most: int, words: str = "") -> list[int]:
    """How many rows fit each question, none counted beyond `most`. Two queries, however many questions."""
    if not questions:
        return []
    parts = _counted(kind, questions, most, words)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {', '.join(part.sql for part in parts)}",  # our own names
            [value for part in parts for value in part.values],
        )
        return list(cursor.fetchone())


def _counted(kind: str, questions: Sequence[Conditions], most: int, words: str) -> list[_Part]:
    """How many rows fit each question, at most `most`, as one value each. One query, or none."""
    by_column = [None if words else rows_by_column(kind, asked) for asked in questions]
    others = [asked for asked, rows in zip(questions, by_column, strict=True) if rows is None]
    spans = iter(bounds_of_each(kind, others) if others else [])
    return [
        _number(*rows, most) if rows else _number_between(kind, asked, *next(spans), most, words)
        for asked, rows in zip(questions, by_column, strict=True)
    ]


def _number_between(kind: str, asked: Conditions, first: int, last: int, most: int, words: str) -> _Part:
    """How many rows fit, stretch by stretch. Their order does not matter, so they are not put in any."""
    if last < first:
        return _Part("0")
    branches = list(_by_key(kind, _filters(asked, words), first, last, True, None, in_order=False))
    rows = " UNION ALL ".join(f"({part.sql})" for part in branches)
    return _number(rows, [value for part in branches for value in part.values], most)


def _number(rows: str, values: Sequence[Any], most: int) -> _Part:
    limited = f"SELECT 1 FROM ({rows}) AS fits LIMIT explorer_in_turn(%s)"  # noqa: S608  # our own names
    return _Part(f"(SELECT count(*) FROM ({limited}) AS counted)", (*values, most))  # noqa: S608  # our own names


def _filters(asked: Conditions, words: str) -> list[_Part]:
    """The conditions that the index of facets answers, and those that belong to them."""
    parts = [_Part("facets && %s::integer[]", (list(group),)) for group in asked.some]
    if asked.every:
        parts.insert(0, _Part("facets @> %s::integer[]", (list(asked.every),)))
    if asked.no:
        parts.append(_Part("NOT facets && %s::integer[]", (list(asked.no),)))
    if asked.p_from is not None:
        parts.append(_Part("p_a + 0 >= %s", (asked.p_from,)))
    if asked.p_to is not None:
        parts.append(_Part("p_a + 0 <= %s", (asked.p_to,)))
    if words:
        parts.append(_Part("words @@ websearch_to_tsquery(%s, %s)", (CONFIG, words)))
    return parts


def _select(kind: str, value: str, order: str, parts: Sequence[_Part]) -> _Part:
    """The rows that meet all parts, ordered where an order is given."""
    table, where = TABLES[kind]._meta.db_table, " AND ".join(part.sql for part in parts) or "TRUE"
    sql = (
        f"SELECT {KEYS[kind]}, {value}, {ITEMS[kind]} FROM {table} WHERE {where}{f' ORDER BY {order}' if order else ''}"  # noqa: S608  # our own names
    )
    return _Part(sql, tuple(one for part in parts for one in part.values))


def _by_key(
    kind: str, filters: Sequence[_Part], first: int, last: int, descending: bool, behind: Place | None, *,
    in_order: bool = True,
) -> Iterator[_Part]:  # fmt: skip
    key, way = KEYS[kind], "DESC" if descending else "ASC"
    if behind:
        first, last = (first, min(last, behind.key - 1)) if descending else (max(first, behind.key + 1), last)
    size = FIRST_IDS if filters else last - first + 1
    while first <= last:
        low, high = (max(first, last - size + 1), last) if descending else (first, min(last, first + size - 1))
        loose = " + 0" if filters else ""
        parts = [*filters, _Part(f"{key}{loose} BETWEEN %s AND %s", (low, high))]
        if filters:
            parts.append(_Part("facets && %s::integer[]", (cover_ids(low, high),)))
        yield _select(kind, "NULL", f"{key}{loose} {way}" if in_order else "", parts)
        first, last = (first, low - 1) if descending else (high + 1, last)
        size *= GROWTH


def _by_likelihood(
    asked: Conditions, filters: Sequence[_Part], expression: str, first: int, last: int, descending: bool,
    behind: Place | None,
) -> Iterator[_Part]:  # fmt: skip
    """Stretches of p(A), or of its distance from one half, in thousandths."""
    way = "DESC" if descending else "ASC"
    by_distance = expression != "p_a"
    low, high = 0.0, 0.5 if by_distance else 1.0
    if not by_distance:
        low, high = asked.p_from or low, high if asked.p_to is None else asked.p_to
    if behind:
        low, high = (low, min(high, behind.value)) if descending else (max(low, behind.value), high)
    begin, end = thousandth(low), thousandth(high)
    along = (
        not filters or asked == SAME_POSITION
    )  # for which an index of its own is kept: it clusters far from the ends
    size = THOUSAND if along else 1
    while begin <= end:
        start, stop = (max(begin, end - size + 1), end) if descending else (begin, min(end, begin + size - 1))
        loose = expression if along else f"({expression} + 0)"
        upper = stop + 1 if stop < THOUSAND - 1 else 2 * THOUSAND
        parts = [*filters, _Part(f"{loose} >= %s AND {loose} < %s", (start / THOUSAND, upper / THOUSAND))]
        parts.append(_Part("label_id + 0 BETWEEN %s AND %s", (first, last)))
        if behind:
            parts.append(_Part(f"({loose}, label_id) {'<' if descending else '>'} (%s, %s)",
                               (behind.value, behind.key)))  # fmt: skip
        if not along:
            sides = [(start, stop)] if not by_distance else [(500 - stop - 1, 500 - start), (500 + start, 500 + stop)]
            cover = [block for one in sides for block in cover_p(max(one[0] - 1, 0), min(one[1] + 1, THOUSAND - 1))]
            parts.append(_Part("facets && %s::integer[]", (cover,)))
        yield _select("label", expression, f"{loose} {way}, label_id {way}", parts)
        begin, end = (begin, start - 1) if descending else (stop + 1, end)
        size *= GROWTH


def _by_audit(
    kind: str, asked: Conditions, filters: Sequence[_Part], first: int, last: int, descending: bool,
    behind: Place | None,
) -> Iterator[_Part]:  # fmt: skip
    """By when somebody last said something: few rows are sorted, many are met soon enough along the order."""
    way, key = "DESC" if descending else "ASC", KEYS[kind]
    spoken = [_Part("audited_at IS NOT NULL")]
    if behind:
        beyond = "<" if descending else ">"
        spoken.append(_Part(f"(audited_at, {key}) {beyond} (%s, %s)", (behind.value, behind.key)))
    order = f"audited_at {way}, {key} {way}"
    span = _Part(f"{key} + 0 BETWEEN %s AND %s", (first, last))
    few = walk(kind, asked, "newest", size=FEW) if filters else []
    if not filters or len(few) < FEW:
        fit = [_Part(f"{key} = ANY(%s)", ([one.key for one in few],))] if filters else []
        yield _select(kind, "audited_at", order, [*fit, *spoken, span])
        return
    # The newest so many are looked at one by one; the others, where these do not do, are sorted.
    table, rows = TABLES[kind]._meta.db_table, " AND ".join(one.sql for one in spoken)
    seen = tuple(value for one in spoken for value in one.values)
    ordered = f"FROM {table} WHERE {rows} ORDER BY {order}"
    where = " AND ".join(one.sql for one in [*filters, span])
    asked_for = tuple(value for one in [*filters, span] for value in one.values)
    yield _Part(
        f"SELECT {key}, audited_at, {ITEMS[kind]} FROM (SELECT * {ordered} LIMIT {LOOKED_AT}) AS near WHERE {where}",  # noqa: S608  # our own names
        (*seen, *asked_for),
    )
    edge = f"(SELECT audited_at, {key} {ordered} OFFSET {LOOKED_AT - 1} LIMIT 1)"
    behind_them = _Part(f"(audited_at, {key}) {'<' if descending else '>'} {edge}", seen)
    yield _select(
        kind, "audited_at", f"(audited_at + interval '0') {way}, {key} {way}", [*filters, *spoken, span, behind_them]
    )
