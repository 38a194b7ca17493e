"""Markdown that a model wrote, read as little as is safe: emphasis, lists, quotations and code, and nothing that loads,
links or looks like a heading of our own page. Whatever is not understood stays as it was written.

Two guards one behind the other: markdown-it makes no HTML of what it was given, and nh3 lets through only the few tags
that are listed here.
"""

from __future__ import annotations

from dataclasses import dataclass

import nh3
from django.template import Library
from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt

from constitutions_app.templatetags.diffs import spelled
from training_app.templatetags.matter import LONGEST, inert

register = Library()

TAGS = {"p", "br", "em", "strong", "code", "pre", "ul", "ol", "li", "blockquote"}
LEFT_ALONE = ["heading", "lheading", "link", "image", "autolink", "reference", "html_block", "html_inline", "hr"]

FOLD_FROM = 2600
"""Characters from which a text is folded."""
SHOWN = 1800

_reader = MarkdownIt("commonmark", {"html": False, "breaks": True}).disable(LEFT_ALONE)


@dataclass(frozen=True)
class Folded:
    """A text in two parts: what is shown at once, and what is behind a fold (often nothing)."""

    shown: str
    rest: str

    @property
    def more(self) -> int:
        """Characters behind the fold."""
        return len(self.rest)


@register.filter
def written(text: str | None, raw: bool = False) -> SafeString:
    """A model's text with its Markdown read; `raw`, or too long to be read, as it was written."""
    text = text or ""
    if raw or len(text) > LONGEST:
        return inert(text)
    html = nh3.clean(_reader.render(spelled(text)), tags=TAGS, attributes={}, link_rel=None)
    return mark_safe(html)  # noqa: S308  # made by markdown-it without HTML, and cleaned by nh3 in the line above


@register.simple_tag
def folded(text: str | None) -> Folded:
    """The text, cut at the end of a paragraph or line or word where it is long."""
    text = text or ""
    if len(text) <= FOLD_FROM:
        return Folded(text, "")
    for sign in ("\n\n", "\n", " "):
        if (at := text.rfind(sign, SHOWN // 2, SHOWN)) != -1:
            return Folded(text[:at], text[at:].lstrip())
    return Folded(text[:SHOWN], text[SHOWN:])
