from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from constitutions_app.core.principles import normalise
from constitutions_app.core.saves import settle
from constitutions_app.core.words import split_words

BASE: dict[str, Any] = {"text": "one two three four", "weight": 1.0, "tags": ["a"], "strict": False}

words = st.lists(st.sampled_from(["one", "two", "three", "four", "five", "\u202e", "<b>", "👩🏽‍🚀"]), max_size=6).map(
    " ".join
)
texts = words.map(normalise)


def test_what_only_one_side_changed_is_taken_from_it() -> None:
    settled = settle(BASE, {**BASE, "text": "one two"}, {**BASE, "weight": 2.0})
    assert (settled.mine, settled.merged, settled.clashes) == ({"text": "one two"}, {}, ())


def test_words_that_do_not_touch_stand_together() -> None:
    settled = settle(BASE, {"text": "ONE two three four"}, {"text": "one two three FOUR"})
    assert settled.merged == {"text": "ONE two three FOUR"}
    assert not settled.clashes


def test_lists_are_merged_by_their_members() -> None:
    settled = settle(BASE, {"tags": ["a", "mine"]}, {"tags": ["theirs"]})
    assert sorted(settled.merged["tags"]) == ["mine", "theirs"]


def test_the_same_words_changed_twice_clash_and_every_choice_is_there() -> None:
    (clash,) = settle(BASE, {"text": "one 2 three IV"}, {"text": "ONE zwei three four"}).clashes
    assert clash.together is None
    assert clash.kept("ours") == "one 2 three IV"  # "one two" is one place: it touches what they changed
    assert clash.kept("theirs") == "ONE zwei three IV"
    assert {"2", "zwei", "IV"} <= set(clash.kept("both").split())


def test_numbers_yes_or_no_and_unknown_beginnings_clash_whole() -> None:
    clashes = settle({"weight": 1.0}, {"weight": 2.0, "text": "mine"}, {"weight": 3.0, "text": "theirs"}).clashes
    assert [(clash.name, clash.merged, clash.kept("theirs")) for clash in clashes] == [
        ("weight", None, "3.0"),
        ("text", None, "theirs"),
    ]


@given(texts, texts, texts)
def test_no_word_of_either_side_is_lost(base: str, mine: str, theirs: str) -> None:
    """Every word that a side wrote anew stands in the result, or in the clash that keeps both."""
    settled = settle({"text": base}, {"text": mine}, {"text": theirs})
    if settled.clashes:
        result = settled.clashes[0].kept("both")
    else:
        result = str({**settled.mine, **settled.merged}.get("text", theirs))
    for side in (mine, theirs):
        assert words_of(side) - words_of(base) <= words_of(result)


def words_of(text: str) -> set[str]:
    return {word.text for word in split_words(text)}


@given(texts, texts)
def test_a_save_from_what_stands_there_is_just_saved(base: str, mine: str) -> None:
    settled = settle({"text": base}, {"text": mine}, {"text": base})
    assert not settled.merged and not settled.clashes
    assert settled.mine == ({} if mine == base else {"text": mine})
