"""Texts that models and strangers wrote, made harmless for the eye and for the page.

Escaping, and showing characters that hide or turn text by their names, is done in one place
(`constitutions_app.templatetags.diffs.visible`). What is added here is a bound on sheer length: a model that writes a
megabyte gets its first pages shown and the rest counted, and a diff of such texts stays within a fixed effort.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from django.template import Library
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from constitutions_app.core.words import Effort, Span, diff_words
from constitutions_app.templatetags.diffs import visible

register = Library()

LONGEST = 20_000
"""Characters of one text shown on a page; the rest is counted. The API gives all of it."""

GLIMPSE = 400
"""Characters of one text in a list, where the style sheet cuts it after two lines anyway."""

DIFF_EFFORT = 200_000


@register.filter
def inert(text: str | None, limit: int = LONGEST) -> SafeString:
    """A text as it is shown: escaped, hidden characters named, and a count in place of what is too long."""
    text = text or ""
    if len(text) <= limit:
        return visible(text)
    more = f"{len(text) - limit:,}"
    return format_html('{}\n<span class="flag">cut here: {} more characters</span>', visible(text[:limit]), more)


@register.filter
def glimpse(text: str | None) -> SafeString:
    """The beginning of a text on one line, for lists."""
    text = text or ""
    start = " ".join(text[: GLIMPSE * 2].split())
    return visible(f"{start[:GLIMPSE]}…" if len(start) > GLIMPSE or len(text) > GLIMPSE * 2 else start)


@register.filter
def marked(parts: Iterable[tuple[str, bool]]) -> SafeString:
    """The pieces of an excerpt as one text, those that were searched for in <mark>."""
    shown = (f"<mark>{visible(text)}</mark>" if found else visible(text) for text, found in parts)
    return mark_safe("".join(shown))  # noqa: S308  # each piece is escaped


@register.simple_tag
def revised(old: str, new: str) -> tuple[Span, ...]:
    """What changed from one text to another, word by word, for `diff_spans`; both cut where `inert` cuts."""
    return _revised(old[:LONGEST], new[:LONGEST])


@lru_cache(maxsize=64)
def _revised(old: str, new: str) -> tuple[Span, ...]:
    """Kept for a while: an auditor sees the same two texts blind and then revealed, and so do the next auditors."""
    return diff_words(old, new, Effort(DIFF_EFFORT))
