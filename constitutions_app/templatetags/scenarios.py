"""Small helps for the pages about scenarios and imports."""

from __future__ import annotations

from collections.abc import Mapping

from django import template
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from constitutions_app.models import Scenario
from constitutions_app.templatetags.diffs import spelled, visible

register = template.Library()

_TITLE = 80
_PAGES = {"label": ("training:label", "AI label"), "step": ("training:trace", "trace")}
"""Pages of the training side that a scenario may have been made from, by URL name."""


@register.filter
def visible_title(scenario: Scenario) -> SafeString:
    """A scenario's title, or the beginning of its prompt; escaped, with nothing in it obeyed."""
    return visible(_title(scenario))


@register.filter
def spelled_title(scenario: Scenario) -> str:
    """The same for places that hold no markup."""
    return spelled(_title(scenario))


@register.filter
def title_of(titles: Mapping[str, str], key: str) -> str:
    """A principle's title by its key; the key itself for one that these words lack."""
    return titles.get(key, key)


@register.simple_tag
def scenario_origin(scenario: Scenario) -> SafeString | str:
    """What it was made from, as words with a link where there is a page for it."""
    origin = scenario.origin
    kind = str(origin.get("kind", ""))
    if kind == "import":
        return format_html("the file {}", visible(str(origin.get("file", ""))))
    if kind == "starter":
        return "comes with the app"
    if kind not in _PAGES:
        return "written from scratch"
    name, words = _PAGES[kind]
    audit = " and what a person said of it" if origin.get("audit") else ""
    try:
        pk = int(origin.get("trace") or origin["id"])
        url = reverse(name, args=[pk])
    except (NoReverseMatch, KeyError, TypeError, ValueError):
        return f"{words}{audit}"
    return format_html('<a href="{}">{} {}</a>{}', url, words, pk, audit)


def _title(scenario: Scenario) -> str:
    if scenario.title:
        return scenario.title
    line = " ".join(scenario.prompt[: 4 * _TITLE].split())
    return line if len(line) <= _TITLE else f"{line[: _TITLE - 1]}…"
