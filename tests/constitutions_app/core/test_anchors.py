from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from constitutions_app.core.anchors import Anchor, Orphaned, anchor, follow
from constitutions_app.core.words import split_words
from tests.constitutions_app.strategies import texts

OLD = "The assistant answers honestly and helps people with care."


def on(text: str, quote: str) -> Anchor:
    start = text.index(quote)
    return Anchor(start, start + len(quote), quote)


def followed(quote: str, new: str, old: str = OLD) -> str:
    place = follow(on(old, quote), old, new)
    assert isinstance(place, Anchor)
    assert new[place.start : place.end] == place.quote
    return place.quote


@pytest.mark.parametrize(
    ("new", "quote"),
    [
        ("First of all: The assistant answers honestly and helps people with care.", "helps people"),
        ("The assistant answers and helps people with care.", "helps people"),
        ("The assistant answers honestly and helps all people with care.", "helps all people"),
        ("The assistant answers honestly and serves people with care.", "serves people"),
        ("The assistant answers honestly and helps everybody with care.", "helps everybody"),
        ("The assistant answers honestly and gladly helps people today with care.", "helps people"),
        ("The assistant answers honestly and helps with care.", "helps"),
    ],
)
def test_it_follows_the_words(new: str, quote: str) -> None:
    assert followed("helps people", new) == quote


def test_it_follows_a_sentence_that_moved() -> None:
    old = "Be kind to everyone you meet. Never lie about what you know."
    assert followed(
        "Be kind to everyone you meet.", "Never lie about what you know. Be kind to everyone you meet.", old
    )


def test_it_says_where_the_words_were_when_all_are_gone() -> None:
    new = "The assistant answers honestly with care."
    assert follow(on(OLD, "helps people"), OLD, new) == Orphaned("helps people", len("The assistant answers honestly"))


def test_a_single_word_that_stands_elsewhere_is_no_place_to_go() -> None:
    assert isinstance(follow(on("one two three", "one"), "one two three", "two three and only then one"), Orphaned)


def test_an_anchor_beside_its_words_is_put_right_or_orphaned() -> None:
    wrong = Anchor(0, 5, "helps people")
    assert follow(wrong, OLD, OLD) == on(OLD, "helps people")
    assert follow(Anchor(3, 9, "nowhere at all"), OLD, "short") == Orphaned("nowhere at all", 3)
    assert follow(Anchor(400, 900, "nowhere"), OLD, "short") == Orphaned("nowhere", 5)
    assert isinstance(follow(Anchor(-5, -1, ""), OLD, "short"), Orphaned)


def test_a_selection_grows_to_whole_words() -> None:
    assert anchor(OLD, 7, 16).quote == "assistant answers"
    assert anchor("a 👩🏽‍🚀 flies", 3, 4).quote == "👩🏽‍🚀"
    with pytest.raises(ValueError, match="at least one word"):
        anchor("a   b", 2, 3)


@st.composite
def anchored(draw: st.DrawFn) -> tuple[str, Anchor]:
    text = draw(texts)
    words = split_words(text)
    assume(words)
    first = draw(st.integers(0, len(words) - 1))
    last = draw(st.integers(first, len(words) - 1))
    return text, anchor(text, words[first].start, words[last].end)


@given(anchored(), texts)
def test_it_always_quotes_the_new_text(case: tuple[str, Anchor], new: str) -> None:
    old, place = case
    moved = follow(place, old, new)
    if isinstance(moved, Anchor):
        assert 0 <= moved.start < moved.end <= len(new)
        assert new[moved.start : moved.end] == moved.quote
        assert moved.quote.strip()
    else:
        assert 0 <= moved.near <= len(new)


@given(anchored())
def test_it_stays_where_nothing_changed(case: tuple[str, Anchor]) -> None:
    text, place = case
    assert follow(place, text, text) == place


@given(st.lists(st.integers(0, 3), min_size=3, max_size=12), st.data())
def test_edits_elsewhere_leave_the_quote_as_it_is(edits: list[int], data: st.DataObject) -> None:
    old = [f"w{index}" for index in range(len(edits))]
    first = data.draw(st.integers(0, len(old) - 1))
    last = data.draw(st.integers(first, len(old) - 1))
    new: list[str] = []
    for index, edit in enumerate(edits):
        kept = [f"w{index}"]
        new += kept if first <= index <= last else [kept, [f"x{index}"], [], [*kept, f"y{index}"]][edit]
    quote = " ".join(old[first : last + 1])
    begins = len(" ".join([*old[:first], ""]))
    place = follow(Anchor(begins, begins + len(quote), quote), " ".join(old), " ".join(new))
    assert isinstance(place, Anchor)
    assert place.quote == quote
