from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from constitutions_app.core.text_merge import Hunk, TextMerge, Written, merge_text
from constitutions_app.core.words import split_words
from tests.constitutions_app.strategies import texts

WORDS = ["alpha", "beta", "gamma", "delta", ",", ".", "not\n\nif", "harm"]
plain = st.lists(st.sampled_from(WORDS), max_size=14).map(" ".join)


def words(text: str) -> Counter[str]:
    return Counter(word.text for word in split_words(text))


def swapped(merge: TextMerge) -> tuple[str | Hunk, ...]:
    return tuple(
        Hunk(piece.base, piece.theirs, piece.ours) if isinstance(piece, Hunk) else piece for piece in merge.pieces
    )


def test_both_edits_are_made() -> None:
    merged = merge_text(
        "The assistant answers and helps.", "The assistant answers plainly and helps.", "It answers and helps kindly."
    )
    assert merged.conflicts == ()
    assert merged.text() == "It answers plainly and helps kindly."


@pytest.mark.parametrize(
    ("base", "ours", "theirs", "expected"),
    [
        ("a b c", "a X b c", "a Y c", "a X Y c"),  # inserted before a replaced word
        ("a b c", "a b X c", "a Y c", "a Y X c"),  # inserted after a replaced word
        ("a b c d", "a X c d", "a b Y d", "a X Y d"),  # neighbours replaced
        ("a b c", "a c", "a b", "a"),  # neighbours removed
        ("a b c", "b c", "a X b c", "X b c"),  # inserted behind a removed first word
        ("a, b.", "a, b, c.", "A, b.", "A, b, c."),
        ("one\n\ntwo", "one\n\ntwo more", "one too\n\ntwo", "one too\n\ntwo more"),
        ("a-b c", "a b c", "a-b d", "a b d"),
        ("如果没有说明", "如果有说明", "如果没有解释", "如果有解释"),
        ("alpha of beta", "gamma of delta", "alpha to beta", "gamma to delta"),
    ],
)
def test_edits_that_only_touch_do_not_conflict(base: str, ours: str, theirs: str, expected: str) -> None:
    for first, second in ((ours, theirs), (theirs, ours)):
        merged = merge_text(base, first, second)
        assert merged.conflicts == ()
        assert merged.text() == expected


def test_a_conflict_carries_all_three_texts() -> None:
    merged = merge_text("be very kind today", "be rather kind today", "be quite kind today now")
    assert merged.pieces == ("be", Hunk(" very", " rather", " quite"), " kind today now")
    assert merged.text({0: "theirs"}) == "be quite kind today now"
    assert merged.text({0: "base"}) == "be very kind today now"
    assert merged.text({0: "both"}) == "be rather quite kind today now"
    assert merged.text({0: Written("always")}) == "be always kind today now"
    assert merged.text({0: Written("")}) == "be kind today now"


def test_two_different_insertions_in_one_place_conflict_and_equal_ones_do_not() -> None:
    assert merge_text("a b", "a X b", "a Y b").conflicts == (Hunk("", " X", " Y"),)
    assert merge_text("", "x", "y").pieces == (Hunk("", "x", "y"),)
    assert merge_text("a b", "a X b", "a X b").text() == "a X b"


def test_an_emptied_conflict_at_the_beginning_leaves_no_white_space() -> None:
    merged = merge_text("one two", "uno two", "eins two")
    assert merged.text({0: Written("")}) == "two"


@given(texts, texts)
def test_merging_with_an_unchanged_side_gives_the_other(base: str, edited: str) -> None:
    assert merge_text(base, edited, base).text() == edited
    assert merge_text(base, base, edited).text() == edited
    assert merge_text(base, edited, edited).text() == edited
    assert merge_text(base, base, base).conflicts == ()


@given(texts, texts, texts)
def test_sides_can_be_exchanged(base: str, ours: str, theirs: str) -> None:
    assert swapped(merge_text(base, ours, theirs)) == merge_text(base, theirs, ours).pieces


@given(plain, plain, plain)
def test_no_word_that_a_side_wrote_is_lost(base: str, ours: str, theirs: str) -> None:
    everything = words(merge_text(base, ours, theirs).text(otherwise="both"))
    for side in (ours, theirs):
        assert words(side) - words(base) <= everything


@given(texts, texts, texts)
def test_no_character_that_a_side_wrote_is_lost(base: str, ours: str, theirs: str) -> None:
    def signs(text: str) -> Counter[str]:
        return Counter("".join(text.split()))

    everything = signs(merge_text(base, ours, theirs).text(otherwise="both"))
    for side in (ours, theirs):
        assert signs(side) - signs(base) <= everything


@st.composite
def separate_edits(draw: st.DrawFn) -> tuple[str, str, str, list[str]]:
    """A base of different words, each of which at most one side replaces, removes or puts a word behind."""
    size = draw(st.integers(0, 12))
    base = [f"w{index}" for index in range(size)]
    sides: list[list[str]] = [[], []]
    expected: list[str] = []
    for index, word in enumerate(base):
        editor = draw(st.integers(-1, 1))
        edit = draw(st.sampled_from(["replace", "remove", "insert"]))
        new = {"replace": [f"x{index}"], "remove": [], "insert": [word, f"y{index}"]}[edit] if editor >= 0 else [word]
        expected += new
        for side in (0, 1):
            sides[side] += new if side == editor else [word]
    return " ".join(base), " ".join(sides[0]), " ".join(sides[1]), expected


@given(separate_edits())
def test_edits_of_different_words_never_conflict(case: tuple[str, str, str, list[str]]) -> None:
    base, ours, theirs, expected = case
    merged = merge_text(base, ours, theirs)
    assert merged.conflicts == ()
    assert merged.text().split() == expected
    assert "  " not in merged.text()
