"""One page of what fits a question: which items, and the places of the pages around it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection

from training_app.access import Person, can_audit, hidden_among, hidden_in_sql
from training_app.explorer import similar
from training_app.explorer.conditions import TABLES, Conditions, conditions_of
from training_app.explorer.filters import Filters
from training_app.explorer.items import fitting
from training_app.explorer.tokens import BITS, LARGEST, Fact, token
from training_app.explorer.walk import KEYS, Place, walk
from training_app.models import Audit, PromptSet
from training_app.models.facts import CONFIG

PAGE_SIZE = 25
CONSIDERED = 1000
"""So many of the newest matches of a search are looked at at once."""
WALKED_ON = 20
"""Pages that are passed over at most where everything on them waits for the person's own blind choice."""
FEW_COMPARISONS = 100
"""So many of them fill a page of labels as a rule, and are looked at before the others."""
FEW_LABELS = 300
"""So many labels are asked for words one by one."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Page:
    """Primary keys in order, and the places (`after`, `before`) of the pages around; "" where there is none."""

    items: Sequence[Any]
    after: str = ""
    before: str = ""
    looked_back: bool = False
    """Whether a search stopped at CONSIDERED matches: `after` then goes on behind them, full page or not."""


def find(
    asked: Filters, *, after: str = "", before: str = "", size: int = PAGE_SIZE, user: Person | None = None
) -> Page:
    """The page behind (or before) a place. The number of queries does not depend on how much there is.

    A place that is none begins at the beginning. Where the question tells what the AI or a peer chose, the page leaves
    out what `user` has yet to judge blind, and no place is that of such an item: that there is one would tell it.
    """
    conditions = conditions_of(asked)
    reader = user if user is not None and asked.reveals_judgement else None
    if asked.like is not None:
        return _similar(asked, _position(after or before), size, reader)
    if asked.text and asked.sort == "best":
        return _ranked(asked, conditions, _position(after or before), size, reader)
    if asked.text and asked.kind == "label":
        return _labels_by_words(asked, conditions, _place(after), size, reader)
    backwards = bool(before) and not after
    place = _place(before if backwards else after, asked.sort)
    backwards = backwards and place is not None
    found, more = _walked(asked, conditions, place, backwards, size, reader)
    if backwards:
        found.reverse()
    if not found:
        return Page(())
    has_before, has_after = (more, True) if backwards else (place is not None, more)
    return Page(
        [one.item for one in found],
        after=_spelt(found[-1]) if has_after else "",
        before=_spelt(found[0]) if has_before else "",
    )


def _walked(
    asked: Filters, conditions: Conditions, place: Place | None, backwards: bool, size: int, reader: Person | None
) -> tuple[list[Place], bool]:
    """What a page shows, in the direction of the walk, and whether more lies behind it."""
    for _ in range(WALKED_ON if reader else 1):
        found = walk(
            asked.kind, conditions, asked.sort, size=size + 1, behind=place, backwards=backwards, words=asked.text
        )
        more, found = len(found) > size, found[:size]
        told = set(_told(asked.kind, [one.item for one in found], reader))
        if told or not more:
            return [one for one in found if one.item in told], more
        place = found[-1]
    return [], False


def _told(kind: str, keys: Sequence[Any], reader: Person | None) -> Sequence[Any]:
    """Without the items that the reader has yet to judge blind. Two queries at most, none without a reader."""
    if reader is None or not can_audit(reader):
        return keys
    if kind == "audit":
        rows = Audit.objects.filter(pk__in=keys).values_list("pk", "label", "step")
        judged = {pk: ("label", label) if label else ("step", step) for pk, label, step in rows}
    else:
        judged = {key: (kind, key) for key in keys}
    hidden = hidden_among(reader, judged.values())
    return [key for key in keys if key in judged and not hidden.has(*judged[key])]


def _labels_by_words(
    asked: Filters, conditions: Conditions, place: Place | None, size: int, reader: Person | None
) -> Page:
    """Labels whose comparison has the words, the newest comparison first.

    Where few labels fit the rest of the question they are asked for the words; else the newest comparisons with the
    words are asked for such labels. Either way some thousand rows are read, whatever fits.
    """
    few = [] if conditions.is_empty else walk("label", conditions, "newest", size=FEW_LABELS + 1)
    if not few and not conditions.is_empty:
        return Page(())
    if few and len(few) <= FEW_LABELS:
        among = _Among(labels=[one.key for one in few])
        return _page_of_labels(_labels_among(among, conditions, asked.text, place, size + 1, reader), size)
    return _labels_of_newest(asked, conditions, place, size, reader)


def _labels_of_newest(
    asked: Filters, conditions: Conditions, place: Place | None, size: int, reader: Person | None
) -> Page:
    """Labels of the newest comparisons with the words: of CONSIDERED, but first of a few where these fill the page."""
    behind = Place(int(place.value) + 1) if place else None
    narrowed = _of_comparisons(conditions)
    for most in (FEW_COMPARISONS, CONSIDERED) if conditions.is_empty else (CONSIDERED,):
        read = walk("comparison", narrowed, "newest", size=most, behind=behind, words=asked.text)
        if not read:
            return Page(())
        among = _Among(comparisons=[one.key for one in read])
        rows = _labels_among(among, conditions, asked.text, place, size + 1, reader)
        if len(rows) > size or len(read) < most:
            return _page_of_labels(rows, size)
    return _page_of_labels(rows, size, last=read[-1].key)


def _page_of_labels(rows: Sequence[tuple[int, int]], size: int, last: int | None = None) -> Page:
    """The page of (comparison, label); `last`: the comparison at which the search stopped, where it did."""
    more, rows = len(rows) > size, rows[:size]
    after = f"{rows[-1][0]}~{rows[-1][1]}" if more else f"{last}~0" if last is not None else ""
    return Page([label for _, label in rows], after=after, looked_back=last is not None and not more)


def count_by_words(asked: Filters, conditions: Conditions, *, most: int) -> tuple[int, bool]:
    """How many labels fit with the words of their comparisons, at most `most`; and whether there may be more.

    As far as a page of the search looks back: the labels of the newest CONSIDERED comparisons with the words. Six
    queries at most.
    """
    few = [] if conditions.is_empty else walk("label", conditions, "newest", size=FEW_LABELS + 1)
    if not few and not conditions.is_empty:
        return 0, False
    if few and len(few) <= FEW_LABELS:
        return len(
            _labels_among(_Among(labels=[one.key for one in few]), conditions, asked.text, None, most, None)
        ), False
    read = walk("comparison", _of_comparisons(conditions), "newest", size=CONSIDERED, words=asked.text)
    among = _Among(comparisons=[one.key for one in read])
    found = len(_labels_among(among, conditions, asked.text, None, most, None)) if read else 0
    return found, len(read) == CONSIDERED


@dataclass(frozen=True)
class _Among:
    """Labels, or comparisons, of which only these come into question."""

    labels: Sequence[int] = ()
    comparisons: Sequence[int] = ()


def _labels_among(
    among: _Among, asked: Conditions, text: str, place: Place | None, size: int, reader: Person | None
) -> list[tuple[int, int]]:
    """(comparison, label), the newest comparison first, its newest label first; none that is kept from the reader."""
    # The few rows are there by their keys: "IS TRUE" keeps the index of facets, which may name half the table, out.
    parts, values = ["(facets @> %s::integer[]) IS TRUE"], [list(asked.every)]  # type: list[str], list[Any]
    for group in asked.some:
        parts.append("(facets && %s::integer[]) IS TRUE")
        values.append(list(group))
    if asked.no:
        parts.append("NOT facets && %s::integer[]")
        values.append(list(asked.no))
    if asked.p_from is not None or asked.p_to is not None:
        parts.append("p_a BETWEEN %s AND %s")
        values += [asked.p_from or 0.0, 1.0 if asked.p_to is None else asked.p_to]
    if among.labels:
        parts.append(
            "label_id = ANY(%s) AND EXISTS (SELECT 1 FROM training_app_comparisonfacts AS said "
            "WHERE said.comparison_id = facts.comparison_id AND said.words @@ websearch_to_tsquery(%s, %s))"
        )
        values += [list(among.labels), CONFIG, text]
    else:
        parts.append("comparison_id = ANY(%s)")
        values.append(list(among.comparisons))
    if asked.since or asked.before:
        parts.append(
            "EXISTS (SELECT 1 FROM training_app_ailabel AS label WHERE label.id = facts.label_id "
            "AND label.created_at >= coalesce(%s::timestamptz, '-infinity') "
            "AND label.created_at < coalesce(%s::timestamptz, 'infinity'))"
        )
        values += [asked.since, asked.before]
    if reader is not None and can_audit(reader):
        sql, kept = hidden_in_sql(reader, "label")
        parts.append(f"label_id NOT IN ({sql})")  # composed by Django; its values follow
        values += kept
    if place:
        parts.append("(comparison_id, label_id) < (%s, %s)")
        values += [int(place.value), place.key]
    where = " AND ".join(parts)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT comparison_id, label_id FROM training_app_labelfacts AS facts WHERE {where} "  # noqa: S608  # our own names
            "ORDER BY comparison_id DESC, label_id DESC LIMIT %s",
            [*values, size],
        )
        return list(cursor.fetchall())


def _of_comparisons(asked: Conditions) -> Conditions:
    """What of a question about labels is also true of their comparisons: prompt set, tag, run and version.

    A human or imported comparison belongs to no run, so besides those that a run sampled all of the sets that it was
    launched with come into question. One query where a run or a version is asked for.
    """
    every = tuple(one for one in asked.every if _kind(one) in (Fact.PROMPT_SET, Fact.TAG))
    some = [group for group in asked.some if {_kind(one) for one in group} <= {Fact.PROMPT_SET, Fact.TAG}]
    for group in (*((one,) for one in asked.every), *asked.some):
        if _kind(group[0]) in (Fact.RUN, Fact.VERSION):
            # What is first in a group says where its items lie (bounds.py), and a set's lie anywhere.
            some.append((*_sets_of(_kind(group[0]), group), *group))
    return Conditions(every=every, some=tuple(some))


def _kind(fact: int) -> Fact:
    return Fact(fact >> BITS)


def _sets_of(kind: Fact, group: Sequence[int]) -> tuple[int, ...]:
    """The sets of comparisons that some runs, or the runs of some versions, were launched with."""
    of = "runs__number__in" if kind is Fact.RUN else "runs__version__in"
    sets = PromptSet.objects.filter(kind=PromptSet.Kind.COMPARISONS, **{of: [one & LARGEST for one in group]})
    return tuple(token(Fact.PROMPT_SET, pk) for pk in sets.values_list("pk", flat=True).distinct())


def _ranked(asked: Filters, conditions: Conditions, position: int, size: int, reader: Person | None) -> Page:
    """The newest thousand matches, best first. `after` counts among them; nothing lies behind."""
    kind = "comparison" if asked.kind == "label" else asked.kind
    narrowed = _of_comparisons(conditions) if asked.kind == "label" else conditions
    read = walk(kind, narrowed, "newest", size=CONSIDERED, words=asked.text)
    ranked = _by_rank(kind, [one.key for one in read], asked.text)
    if asked.kind == "label":
        place_of = {key: place for place, key in enumerate(ranked)}
        rows = _labels_among(_Among(comparisons=ranked), conditions, asked.text, None, CONSIDERED, reader)
        items: Sequence[Any] = [label for _, label in sorted(rows, key=lambda row: (place_of[row[0]], -row[1]))]
    else:
        item_of = {one.key: one.item for one in read}
        items = _told(kind, [item_of[key] for key in ranked], reader)
    return replace(_by_position(items, position, size), looked_back=len(read) == CONSIDERED)


def _by_rank(kind: str, keys: Sequence[int], text: str) -> list[int]:
    table, key = TABLES[kind]._meta.db_table, KEYS[kind]
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {key} FROM {table} WHERE {key} = ANY(%s) "  # noqa: S608  # our own names
            f"ORDER BY ts_rank(words, websearch_to_tsquery(%s, %s), 1) DESC, {key} DESC",
            [list(keys), CONFIG, text],
        )
        return [row[0] for row in cursor.fetchall()]


def _similar(asked: Filters, position: int, size: int, reader: Person | None) -> Page:
    """Items that read like one, the most alike first; those of them that fit the rest of the question."""
    found = similar.like(asked.kind, asked.like or 0)
    if not found:
        return Page(())
    fit = set(fitting(asked.without("like")).filter(pk__in=found).values_list("pk", flat=True))
    return _by_position(_told(asked.kind, [one for one in found if one in fit], reader), position, size)


def _by_position(ordered: Sequence[Any], position: int, size: int) -> Page:
    """A page of a short list. `after` and `before` count in it."""
    return Page(
        ordered[position : position + size],
        after=f"{position + size}~0" if len(ordered) > position + size else "",
        before=f"{max(position - size, 0)}~0" if position else "",
    )


def _place(text: str, sort: str = "newest") -> Place | None:
    """A place of an address, "VALUE~KEY"; None for what is none."""
    value, _, key = text.partition("~")
    if not (key.isascii() and key.isdigit() and len(key) <= 18):
        return None
    try:
        number = float(value) if value else 0.0
        if number != number or abs(number) > 2**62:
            return None
        when: Any = _EPOCH + timedelta(microseconds=int(value)) if sort == "audited" else number
    except (ValueError, OverflowError):
        return None
    return Place(int(key), when)


def is_place(text: str, sort: str) -> bool:
    """Whether an address's `after` or `before` names a place of a list in this order."""
    return _place(text, sort) is not None


def _position(text: str) -> int:
    place = _place(text)
    return min(max(int(place.value), 0), CONSIDERED) if place else 0


def _spelt(place: Place) -> str:
    value = place.value
    if isinstance(value, datetime):
        value = round((value - _EPOCH) / timedelta(microseconds=1))
    return f"{'' if value is None else repr(value)}~{place.key}"
