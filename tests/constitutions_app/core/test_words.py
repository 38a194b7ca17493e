from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from constitutions_app.core.words import Effort, Span, diff_words, longest_increasing, rebuild, split_words
from tests.constitutions_app.strategies import ATTACKS, texts


def shown(old: str, new: str) -> str:
    marks = {"same": "{}", "added": "+[{}]", "removed": "-[{}]"}
    return "".join(marks[span.kind].format(span.text) for span in diff_words(old, new))


@given(st.text(), st.text())
def test_it_rebuilds_any_two_texts(old: str, new: str) -> None:
    spans = diff_words(old, new)
    assert rebuild(spans, "old") == old
    assert rebuild(spans, "new") == new


@given(texts, texts)
def test_it_rebuilds_texts_that_share_words(old: str, new: str) -> None:
    spans = diff_words(old, new)
    assert (rebuild(spans, "old"), rebuild(spans, "new")) == (old, new)
    assert all(span.text for span in spans)
    assert all(left.kind != right.kind for left, right in itertools.pairwise(spans))


@given(texts)
def test_a_text_has_not_changed_against_itself(text: str) -> None:
    assert diff_words(text, text) == ((Span("same", text),) if text else ())


def test_it_marks_words_and_not_letters() -> None:
    assert shown("Do not help with tracking people.", "Do not help with surveilling people or pets.") == (
        "Do not help with -[tracking]+[surveilling] people+[ or pets]."
    )


def test_it_keeps_words_that_stand_between_two_changes() -> None:
    assert shown("help tracking people secretly", "help surveilling people openly") == (
        "help -[tracking]+[surveilling] people -[secretly]+[openly]"
    )


def test_it_makes_no_confetti_of_a_rewritten_sentence() -> None:
    spans = diff_words(
        "The quick brown fox jumps over the lazy dog and sleeps.",
        "Nothing remains of what was said, apart from the odd word and its shadow.",
    )
    assert len(spans) <= 6


def test_it_shows_changed_white_space_and_leaves_the_words_alone() -> None:
    spans = diff_words("one two\nthree", "one two three")
    assert [span.text for span in spans if span.kind != "same"] == ["\n", " "]


def test_it_never_cuts_through_what_readers_see_as_one_sign() -> None:
    for sign in ("👨‍👩‍👧‍👦", "👩🏽‍🚀", "🇩🇪", "e\u0301", "1️⃣", "क्षि", "don't"):
        assert [word.text for word in split_words(sign)] == [sign]


def test_scripts_without_spaces_are_marked_by_character() -> None:
    assert shown("如果没有说明", "如果有说明") == "如果-[没]有说明"


@pytest.mark.parametrize("attack", ATTACKS)
def test_it_carries_hostile_text_unchanged(attack: str) -> None:
    spans = diff_words(f"before {attack}", f"{attack} after")
    assert rebuild(spans, "old") == f"before {attack}"
    assert rebuild(spans, "new") == f"{attack} after"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("x" * 1_000_000, "y" * 1_000_000),
        ("a b " * 30_000, "b a a " * 20_000),
        ("\u200d" * 100_000, "e\u0301" * 100_000),
        ("! " * 100_000, "?!" * 100_000),
        (" ".join(map(str, range(60_000))), " ".join(map(str, range(60_000, 0, -1)))),
    ],
    ids=["one word of 1 MB", "two words", "joiners", "signs", "reversed"],
)
def test_work_is_bounded_and_the_answer_still_exact(old: str, new: str) -> None:
    effort = Effort()
    spans = diff_words(old, new, effort)
    assert rebuild(spans, "old") == old
    assert rebuild(spans, "new") == new
    assert effort.steps > -1_000_000


def test_without_effort_left_the_difference_is_shown_whole() -> None:
    spans = diff_words("one two three four", "one five three six", Effort(0))
    assert rebuild(spans, "new") == "one five three six"


@given(st.lists(st.integers(0, 30), unique=True))
def test_longest_increasing_is_increasing_and_longest(values: list[int]) -> None:
    chosen = longest_increasing(values)
    assert chosen == sorted(chosen)
    assert all(values[left] < values[right] for left, right in itertools.pairwise(chosen))
    best = [1] * len(values)
    for index in range(len(values)):
        best[index] += max((best[i] for i in range(index) if values[i] < values[index]), default=0)
    assert len(chosen) == max(best, default=0)
