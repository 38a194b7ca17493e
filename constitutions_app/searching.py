"""Read side of search: PostgreSQL full text over what people wrote, ranked, with the found words marked.

Each place is asked once, so the number of queries is the number of places, however much there is. A place ranks its
newest thousand hits and shows the best fifty; a question that finds more than that wants another word.

Where a principle or a preamble was published unchanged again and again, only the version that brought its words is a
hit.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.postgres.search import SearchHeadline, SearchQuery, SearchRank
from django.db import models
from django.db.models import F, Value
from django.db.models.expressions import Combinable
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Coalesce, Concat, Left
from django.urls import reverse

from constitutions_app.models import (
    Change,
    Comment,
    Constitution,
    Draft,
    DraftPrinciple,
    PrincipleVersion,
    Scenario,
    Version,
    searching,
)

CONSIDERED = 1000
SHOWN = 50
LONGEST_QUESTION = 300


@dataclass(frozen=True)
class Hit:
    """One thing that was found. `parts` are the excerpt's pieces of text with whether they are found words."""

    place: str
    constitution: str
    title: str
    url: str
    rank: float
    at: datetime
    parts: tuple[tuple[str, bool], ...]


@dataclass(frozen=True)
class Place:
    """Somewhere to look: the rows, their vector, the text an excerpt is taken from, and how a row becomes a hit."""

    words: str
    rows: Callable[[], models.QuerySet[Any]]
    vector: Callable[[], Any]
    excerpt: Callable[[], Combinable]
    constitution: str
    """The path from a row to its constitution."""
    told: Callable[[Any], tuple[str, str, datetime]]
    """A row's title, address and time."""


def search(question: str, constitution: Constitution | None = None, where: str = "") -> list[Hit]:
    """The best hits, best first. `where` is one of PLACES or empty for all of them; unknown names find nothing.

    The question is what people type into search engines: words, "a phrase", or, -not. No question finds nothing.
    """
    question = question.replace("\x00", "").strip()[:LONGEST_QUESTION]
    if not question:
        return []
    query = SearchQuery(question, config=searching.CONFIG, search_type="websearch")
    asked = [PLACES[where]] if where in PLACES else [] if where else list(PLACES.values())
    hits = [hit for place in asked for hit in _hits(place, query, constitution)]
    return sorted(hits, key=lambda hit: (-hit.rank, hit.constitution, hit.title))[:SHOWN]


def _hits(place: Place, query: SearchQuery, constitution: Constitution | None) -> Iterable[Hit]:
    found = place.rows().annotate(vector=place.vector()).filter(vector=query)
    if constitution:
        found = found.filter(**{place.constitution: constitution})
    newest = found.order_by("-pk").values("pk")[:CONSIDERED]
    # Marks that nobody can have written: the text between them is escaped like all other text when it is shown.
    begin, end = secrets.token_hex(8), secrets.token_hex(8)
    rows = (
        place.rows()
        .filter(pk__in=newest)
        .annotate(
            rank=SearchRank(place.vector(), query, normalization=Value(1)),
            excerpt=SearchHeadline(
                place.excerpt(), query, config=searching.CONFIG, start_sel=begin, stop_sel=end,
                max_words=40, min_words=15, max_fragments=2, fragment_delimiter=" … ",
            ),
        )
        .order_by("-rank", "-pk")[:SHOWN]
    )  # fmt: skip
    names = place.constitution.split("__")
    for row in rows:
        owner = row
        for name in names:
            owner = getattr(owner, name)
        title, url, at = place.told(row)
        yield Hit(place.words, owner.name, title, url, row.rank, at, _parts(row.excerpt, begin, end))


def _parts(excerpt: str, begin: str, end: str) -> tuple[tuple[str, bool], ...]:
    parts: list[tuple[str, bool]] = []
    for piece in excerpt.split(begin):
        found, closed, rest = piece.partition(end)
        parts += [(found, True), (rest, False)] if closed else [(piece, False)]
    return tuple(part for part in parts if part[0])


def _text(*columns: Combinable | str) -> Combinable:
    """Columns one after the other, each as far as it is indexed: words are found in all of them."""
    parts: list[Combinable] = []
    for column in columns:
        parts += [Value("\n"), Left(F(column) if isinstance(column, str) else column, searching.SHORT)]
    return Concat(*parts[1:], output_field=models.TextField()) if len(parts) > 2 else parts[1]


def _draft(row: DraftPrinciple) -> tuple[str, str, datetime]:
    title = f"{row.title or row.key}, {'draft' if row.draft.is_main else f'branch {row.draft.branch}'}"
    return title, f"{reverse('constitutions:draft', args=[row.draft.address])}?at={row.key}", row.updated_at


def _version(row: PrincipleVersion) -> tuple[str, str, datetime]:
    version = row.version
    url = reverse("constitutions:principle", args=[version.constitution.slug, version.number, row.key])
    return f"{row.title or row.key}, {version}", url, version.created_at


def _preamble(row: Draft) -> tuple[str, str, datetime]:
    title = f"Preamble, {'draft' if row.is_main else f'branch {row.branch}'}"
    return title, f"{reverse('constitutions:draft', args=[row.address])}?at=preamble", row.updated_at


def _published_preamble(row: Version) -> tuple[str, str, datetime]:
    return (
        f"Preamble, {row}",
        reverse("constitutions:version", args=[row.constitution.slug, row.number]),
        row.created_at,
    )


def _new_preambles() -> models.QuerySet[Version]:
    """Versions whose preamble is not their parent's."""
    return (
        Version.objects.annotate(
            before=Coalesce(
                searching.published_preamble("parent__canonical"), Value(""), output_field=models.TextField()
            )
        )
        .exclude(before=searching.published_preamble())
        .select_related("constitution")
        .defer("canonical")
    )


def _note(row: Version) -> tuple[str, str, datetime]:
    url = reverse("constitutions:version", args=[row.constitution.slug, row.number])
    return f"Change note of {row}", url, row.created_at


def _comment(row: Comment) -> tuple[str, str, datetime]:
    draft = row.thread.draft
    url = reverse("constitutions:thread", args=[draft.address, row.thread_id])
    about = row.thread.key or "the preamble"
    return f"Said of {about}", url, row.created_at


def _scenario(row: Scenario) -> tuple[str, str, datetime]:
    url = reverse("constitutions:scenario", args=[row.constitution.slug, row.key])
    return row.title or row.key, url, row.updated_at


PLACES = {
    "drafts": Place(
        "draft",
        lambda: DraftPrinciple.objects.filter(draft__closed_at=None).select_related("draft__constitution"),
        searching.draft_words,
        lambda: _text("text", "title", "rationale"),
        "draft__constitution",
        _draft,
    ),
    "versions": Place(
        "version",
        lambda: (
            PrincipleVersion.objects.exclude(change=Change.SAME)
            .select_related("version__constitution")
            .defer("version__canonical")
        ),
        searching.version_words,
        lambda: _text("text", "title", KeyTextTransform("rationale", "body")),
        "version__constitution",
        _version,
    ),
    "preambles": Place(
        "preamble of a draft",
        lambda: Draft.objects.filter(closed_at=None).select_related("constitution"),
        searching.preamble_words,
        lambda: _text("preamble"),
        "constitution",
        _preamble,
    ),
    "published_preambles": Place(
        "preamble of a version",
        _new_preambles,
        searching.published_preamble_words,
        lambda: _text(searching.published_preamble()),
        "constitution",
        _published_preamble,
    ),
    "notes": Place(
        "change note",
        lambda: Version.objects.select_related("constitution").defer("canonical"),
        searching.note_words,
        lambda: _text("note"),
        "constitution",
        _note,
    ),
    "threads": Place(
        "thread",
        lambda: Comment.objects.select_related("thread__draft__constitution"),
        searching.comment_words,
        lambda: _text("body"),
        "thread__draft__constitution",
        _comment,
    ),
    "scenarios": Place(
        "scenario",
        lambda: Scenario.objects.select_related("constitution"),
        searching.scenario_words,
        lambda: _text("prompt", "title", "response_a", "response_b", "note"),
        "constitution",
        _scenario,
    ),
}
"""Where search looks, by the name that stands in the address."""
