"""Boxes and arcs: where they stand, and that none hides another."""

from __future__ import annotations

import re
from dataclasses import asdict
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training_app.core.config import PRESETS
from training_app.graph_drawing import GAP, HEIGHT, WIDTH, Edge, Graph, Node, draw
from training_app.lineage_graph import stage_graph
from training_app.plan import plan_of


def graph(*edges: tuple[int, int], boxes: int = 5) -> Graph:
    nodes = tuple(Node(f"n{number}", "kind", f"name {number}", "/") for number in range(boxes))
    return Graph(nodes, tuple(Edge(f"n{start}", f"n{end}", ("12 rows",)) for start, end in edges))


def test_neighbours_are_joined_straight_and_the_rest_by_arcs_beside_them() -> None:
    picture = draw(graph((0, 1), (0, 2), (1, 3), (3, 4)))
    straight, outer, arc, last = picture.lines
    assert "Q" not in straight.d + last.d and "Q" in outer.d and "Q" in arc.d
    assert [box.y for box in picture.boxes] == [4 + number * (HEIGHT + GAP) for number in range(5)]
    assert all(word.x > WIDTH for line in (outer, arc) for word in line.words)


def test_words_of_arcs_into_one_box_never_lie_on_one_another() -> None:
    nodes = graph().nodes
    into = (("weights",), ("4 rows", "2 changed by people"), ("weights",), ("4 rows",))
    edges = [Edge(f"n{number % 3}", "n4", counts) for number, counts in enumerate(into)]
    picture = draw(Graph(nodes, tuple(edges)))
    words = [word for line in picture.lines for word in line.words]
    assert [word.text for word in words] == ["weights", "4 rows", "2 changed by people", "4 rows"]
    assert len({word.y for word in words}) == len(words)
    assert max(word.y for word in words) < picture.height


@given(st.sets(st.tuples(st.integers(0, 7), st.integers(0, 7)).filter(lambda pair: pair[0] < pair[1]), max_size=20))
def test_arcs_of_one_track_never_overlap(edges: set[tuple[int, int]]) -> None:
    picture = draw(graph(*sorted(edges), boxes=8))
    tracks: dict[str, list[tuple[int, int]]] = {}
    for (start, end), line in zip(sorted(edges), picture.lines, strict=True):
        if end > start + 1:
            tracks.setdefault(re.findall(r"Q(\d+)", line.d)[0], []).append((start, end))
    for there in tracks.values():
        ordered = sorted(there)
        assert all(first[1] <= second[0] for first, second in pairwise(ordered))


def test_what_was_made_never_stands_above_what_it_was_made_from() -> None:
    with pytest.raises(ValueError, match="stands before"):
        draw(graph((2, 1)))


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_every_preset_has_a_graph_of_its_stages(preset: str) -> None:
    planned = plan_of(asdict(PRESETS[preset]))
    stages = stage_graph(planned)
    assert [node.key for node in stages.nodes] == [one.slug for one in planned]
    assert len(draw(stages).lines) == sum(len(one.stages) for one in planned)


@pytest.mark.parametrize(
    ("name", "is_matter", "shown"),
    [
        ("Harmless assistant v2", True, "Harmless assistant v2"),
        ("Harmless assistant of v12", True, "Harmless assistan… v12"),
        ("SmolLM2-135M-Instruct", False, "SmolLM2-135M-Instru…"),
        ("Reward model of another run", False, "Reward model of… run"),
    ],
)
def test_a_name_that_does_not_fit_keeps_its_number(name: str, is_matter: bool, shown: str) -> None:
    assert draw(Graph((Node("a", "x", name, "/", is_matter=is_matter),), ())).boxes[0].shown == shown
