"""The one place where text that people or models wrote becomes diff markup: everything is escaped here.

Characters that would reorder or hide what stands around them (bidirectional overrides, zero-width and control
characters) are shown by name instead of obeyed. Left alone are joiners and marks that emoji and many scripts need.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from django import template
from django.utils.html import escape, format_html
from django.utils.safestring import SafeString, mark_safe

from constitutions_app.core.diff import Span

register = template.Library()

_DECEIVING = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u061c\u200b\u200e\u200f\u2028\u2029\u202a-\u202e\u2060-\u2064"
    "\u2066-\u2069\ud800-\udfff\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
_TAGS = {"added": "ins", "removed": "del"}


@register.filter
def visible(text: str) -> SafeString:
    """Escaped text, with characters that deceive the eye replaced by their names."""
    return mark_safe(_DECEIVING.sub(_named, str(escape(text))))  # noqa: S308  # escaped in this very line


@register.filter
def spelled(text: object) -> str:
    """The same for places that hold no markup, such as a page's title; escaped by the template as always."""
    return _DECEIVING.sub(lambda match: f"U+{ord(match.group()):04X}", str(text))


@register.simple_tag
def diff_spans(spans: Iterable[Span]) -> SafeString:
    """Spans as one running text, added parts in <ins> and removed parts in <del>."""
    return _marked(spans, ("same", "added", "removed"))


@register.simple_tag
def diff_old(spans: Iterable[Span]) -> SafeString:
    """The old side alone, what went away in <del>."""
    return _marked(spans, ("same", "removed"))


@register.simple_tag
def diff_new(spans: Iterable[Span]) -> SafeString:
    """The new side alone, what came in <ins>."""
    return _marked(spans, ("same", "added"))


def _marked(spans: Iterable[Span], kinds: tuple[str, ...]) -> SafeString:
    parts = []
    for span in spans:
        if span.kind in kinds:
            tag = _TAGS.get(span.kind)
            parts.append(f"<{tag}>{visible(span.text)}</{tag}>" if tag else visible(span.text))
    return mark_safe("".join(parts))  # noqa: S308  # every part went through `visible`


def _named(match: re.Match[str]) -> str:
    character = match.group()
    name = unicodedata.name(character, "control character").lower()
    code = f"U+{ord(character):04X}"
    return str(format_html('<span class="flag" title="{}, shown and not obeyed">{}</span>', name, code))
