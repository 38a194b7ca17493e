from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from constitutions_app.core.ancestry import ancestors, common_ancestor
from constitutions_app.core.blame import State, blame
from constitutions_app.core.words import split_words
from tests.constitutions_app.strategies import texts


def runs(*states: State) -> list[tuple[str, str]]:
    return [(run.text, run.origin) for run in blame(states)]


def test_each_word_belongs_to_the_state_it_came_in_with() -> None:
    assert runs(
        State("1", (), "Say what is true."),
        State("2", ("1",), "Say only what is true."),
        State("3", ("2",), "Say only what is true and kind."),
    ) == [("Say ", "1"), ("only ", "2"), ("what is true ", "1"), ("and kind", "3"), (".", "1")]


def test_a_merge_gives_each_sides_words_to_that_side() -> None:
    assert runs(
        State("1", (), "Be honest with people."),
        State("2", ("1",), "Always be honest with people."),
        State("3", ("1",), "Be honest with all people."),
        State("4", ("2", "3"), "Always be honest with all people."),
    ) == [("Always be ", "2"), ("honest with ", "1"), ("all ", "3"), ("people.", "1")]


def test_an_unknown_parent_is_passed_over() -> None:
    assert runs(State("1", ("0",), "Be kind.")) == [("Be kind.", "1")]
    assert runs(State("1", (), "")) == []
    assert blame(()) == ()


@given(st.lists(texts, min_size=1, max_size=6), st.data())
def test_the_runs_are_the_text_and_every_word_was_in_its_origin(history: list[str], data: st.DataObject) -> None:
    states = [
        State(str(at), tuple({str(data.draw(st.integers(0, at - 1))) for _ in range(2)}) if at else (), text)
        for at, text in enumerate(history)
    ]
    found = blame(states)
    last = states[-1].text
    assert "".join(run.text for run in found) == (last if split_words(last) else "")
    for run in found:
        origin = {word.text for word in split_words(states[int(run.origin)].text)}
        assert {word.text for word in split_words(last) if word.text in run.text.split()} <= origin | {""}


@given(st.integers(1, 12), st.data())
def test_a_common_ancestor_is_one_of_both_and_none_is_nearer(size: int, data: st.DataObject) -> None:
    graph = {
        node: tuple(sorted(data.draw(st.sets(st.integers(0, node - 1), max_size=2)))) if node else ()
        for node in range(size)
    }
    ours, theirs = (data.draw(st.integers(0, size - 1)) for _ in range(2))
    found = common_ancestor(graph, [ours], [theirs])
    common = ancestors(graph, [ours]) & ancestors(graph, [theirs])
    assert (found is None) == (not common)
    if found is not None:
        assert found in common
        assert not any(found in ancestors(graph, graph[node]) for node in common)


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [((3,), (4,), 2), ((5,), (4,), 4), ((1,), (1,), 1), ((0,), (9,), None)],
)
def test_a_merge_makes_its_second_parent_common(
    ours: tuple[int, ...], theirs: tuple[int, ...], expected: int | None
) -> None:
    graph = {1: (), 2: (1,), 3: (2,), 4: (2,), 5: (3, 4), 0: (), 9: ()}
    assert common_ancestor(graph, ours, theirs) == expected
