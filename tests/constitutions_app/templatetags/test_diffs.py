from __future__ import annotations

from html.parser import HTMLParser

import pytest
from django.template import Context, Template
from hypothesis import given
from hypothesis import strategies as st

from constitutions_app.core.diff import Span, diff_words
from constitutions_app.templatetags.diffs import diff_new, diff_old, diff_spans, visible
from tests.constitutions_app.strategies import ATTACKS


class Reader(HTMLParser):
    """Reads markup back: which elements there are, and the text within."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def test_it_marks_what_came_and_what_went() -> None:
    spans = diff_words("help with tracking people", "help with surveilling people")
    assert diff_spans(spans) == "help with <del>tracking</del><ins>surveilling</ins> people"
    assert diff_old(spans) == "help with <del>tracking</del> people"
    assert diff_new(spans) == "help with <ins>surveilling</ins> people"


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("side", ["same", "added", "removed"])
def test_hostile_text_becomes_text(attack: str, side: str) -> None:
    kinds: dict[str, tuple[str, str]] = {"same": (attack, attack), "added": ("", attack), "removed": (attack, "")}
    read = Reader(diff_spans(diff_words(*kinds[side])))
    assert set(read.tags) <= {"ins", "del", "span"}
    assert read.tags.count("ins") + read.tags.count("del") == (side != "same")


@given(st.text(alphabet=st.characters(blacklist_categories=["Cs", "Cc", "Cf", "Zl", "Zp"])))
def test_any_ordinary_text_reads_back_as_it_was(text: str) -> None:
    read = Reader(diff_spans((Span("added", text),)))
    assert read.tags == ["ins"]
    assert read.text == text


@given(st.text())
def test_nothing_that_reorders_or_hides_gets_through(text: str) -> None:
    html = visible(text.encode("utf-8", "replace").decode())
    assert not set(html) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200b\ufeff\x00\u2028")
    assert set(Reader(html).tags) <= {"span"}


def test_it_names_what_it_does_not_obey() -> None:
    assert visible("a\u202eb") == (
        'a<span class="flag" title="right-to-left override, shown and not obeyed">U+202E</span>b'
    )


def test_a_title_has_the_names_without_markup() -> None:
    html = Template("{% load diffs %}{{ text|spelled }}").render(Context({"text": "a\u202eb<i>"}))
    assert html == "aU+202Eb&lt;i&gt;"


def test_it_leaves_joiners_of_emoji_and_scripts_alone() -> None:
    for text in ("👨‍👩‍👧", "می‌خواهم", "tab\tand\nline"):
        assert visible(text) == text


def test_a_template_cannot_undo_the_escaping() -> None:
    template = Template(
        "{% load diffs %}{% autoescape off %}{% diff_spans spans %}{{ text|visible }}{% endautoescape %}"
    )
    html = template.render(Context({"spans": (Span("added", "<b>"),), "text": "<i>"}))
    assert html == "<ins>&lt;b&gt;</ins>&lt;i&gt;"
