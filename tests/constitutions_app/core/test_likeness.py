from __future__ import annotations

from constitutions_app.core.likeness import BY_LETTERS, Likeness, Pair
from constitutions_app.core.lint import lint, lint_principle
from constitutions_app.core.principles import Constitution, Principle

SPY, WATCH, KIND = "Do not help anyone to spy.", "Refuse to assist surveillance.", "Do not help anyone to spy at all."


def test_letters_decide_where_nothing_is_known_of_meanings() -> None:
    (pair,) = BY_LETTERS.among([SPY, WATCH, KIND])
    assert (pair.left, pair.right, pair.by) == (0, 2, "letters")


def test_meaning_decides_between_two_texts_that_have_a_vector() -> None:
    known = Likeness(frozenset({SPY, WATCH, KIND}), {(WATCH, SPY): 0.9}, "by meaning")
    assert known.among([SPY, WATCH, KIND]) == [Pair(0, 1, 0.9, "meaning")], "SPY and KIND are not near in meaning here"
    assert known.to_first([KIND, SPY, WATCH]) == []


def test_letters_decide_where_one_of_two_texts_is_too_new() -> None:
    known = Likeness(frozenset({SPY, WATCH}), {(SPY, WATCH): 0.9})
    assert [(pair.left, pair.right, pair.by) for pair in known.among([KIND, SPY, WATCH])] == [
        (0, 1, "letters"),
        (1, 2, "meaning"),
    ]


def test_the_same_words_twice_are_found_though_they_have_one_vector() -> None:
    known = Likeness(frozenset({SPY}), {})
    ((pair),) = known.among([SPY, WATCH, SPY])
    assert (pair.left, pair.right, pair.by, round(pair.share, 6)) == (0, 2, "letters", 1)


def test_every_place_of_a_text_is_named() -> None:
    known = Likeness(frozenset({SPY, WATCH}), {(SPY, WATCH): 0.9})
    found = [(pair.left, pair.right) for pair in known.among([SPY, WATCH, WATCH]) if pair.by == "meaning"]
    assert found == [(0, 1), (0, 2)]


def test_the_hint_says_what_was_compared() -> None:
    a, b = Principle("a", "A", SPY), Principle("b", "B", WATCH)
    known = Likeness(frozenset({SPY, WATCH}), {(SPY, WATCH): 0.874})
    (hint,) = (one for one in lint_principle(a, [a, b], known) if one.slug == "near_duplicate")
    assert "close in meaning to “B” (87% by meaning)" in hint.sentence
    assert [one.principle for one in lint(Constitution("x", principles=(a, b)), known) if one.slug == hint.slug] == [
        "a",
        "b",
    ]
    (hint,) = (one for one in lint_principle(a, [Principle("c", "C", SPY)]) if one.slug == "near_duplicate")
    assert "(100% alike by letters)" in hint.sentence
