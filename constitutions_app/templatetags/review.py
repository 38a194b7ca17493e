"""Markup of review: a diff in which the words of threads are marked. Escaping happens in `diffs.py` alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise

from django import template
from django.contrib.auth.models import AnonymousUser, User
from django.utils.safestring import SafeString, mark_safe

from constitutions_app import access
from constitutions_app.core.diff import Span
from constitutions_app.templatetags.diffs import diff_spans

register = template.Library()

Mark = tuple[int, int]


@register.filter
def can_discuss(user: User | AnonymousUser) -> bool:
    """Whether the person may open threads and answer in them."""
    return access.can_discuss(user)


@register.filter
def can_approve(user: User | AnonymousUser) -> bool:
    """Whether the person's approval can count."""
    return access.can_approve(user)


@register.filter
def threads_on(counts: Mapping[str, int] | None, key: str) -> int:
    """How many open threads there are on a principle; none where nobody counted."""
    return counts.get(key, 0) if counts else 0


@register.simple_tag
def diff_marked(spans: Iterable[Span], marks: Sequence[Mark]) -> SafeString:
    """Spans as running text, what open threads are about in <mark>. Marks are code points of the new text."""
    parts = []
    for span, marked in cut(spans, marks):
        text = diff_spans([span])
        parts.append(f"<mark>{text}</mark>" if marked else text)
    return mark_safe("".join(parts))  # noqa: S308  # every part went through `diff_spans`


def cut(spans: Iterable[Span], marks: Sequence[Mark]) -> Iterator[tuple[Span, bool]]:
    """Spans cut where a mark begins or ends, each with whether it lies within one. Removed words are never marked."""
    edges = sorted({edge for mark in marks for edge in mark})
    at = 0
    for span in spans:
        if span.kind == "removed":
            yield span, False
            continue
        end = at + len(span.text)
        places = [at, *(edge for edge in edges if at < edge < end), end]
        for start, stop in pairwise(places):
            text = span.text[start - at : stop - at]
            yield Span(span.kind, text), any(first <= start < last for first, last in marks)
        at = end
