"""A graph of what was made from what, as plain geometry: one box below the other, lines between neighbours, arcs at the
right for the rest. A template writes the numbers into an SVG.

One column reads the same on a phone as on a desk, and no line ever crosses a box, however many there are. Arcs that
overlap run on tracks of their own, short ones inside long ones. What is left out: cycles, which lineage has none of.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

WIDTH, HEIGHT, GAP = 200, 52, 30
"""A box, and the room between two, in CSS pixels; a box with two links gives each of them half of its height."""
TRACK, CORNER, MARGIN = 16, 6, 4
STEM = 20
"""Where the line to the next box below leaves, counted from the box's left edge."""
LABEL, LINE = 100, 15
"""Room for the words of an arc at the right, and the height of one line of them."""
LONGEST, LONGEST_MATTER = 20, 22
"""Characters of a name that fit into a box; the letters of the constitution's words are narrower."""
LAST_WORD = 5
"""A last word of so many characters, a version's number, stays where a name is cut."""


@dataclass(frozen=True)
class Node:
    """A thing with an address. `kind_url` makes its first line a link of its own, to what made it."""

    key: str
    kind: str
    name: str
    url: str
    kind_url: str = ""
    is_current: bool = False
    is_matter: bool = False
    """Named in words of the constitution's authors."""


@dataclass(frozen=True)
class Edge:
    """From what was used to what was made of it; `counts` say of how much."""

    start: str
    end: str
    counts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Graph:
    """Nodes in an order in which each comes after everything it was made from."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]

    def pairs(self) -> list[tuple[Node, Node, Edge]]:
        """The edges with both their ends, in the order of what was made."""
        by_key = {node.key: node for node in self.nodes}
        place = {node.key: number for number, node in enumerate(self.nodes)}
        ordered = sorted(self.edges, key=lambda edge: (place[edge.end], place[edge.start]))
        return [(by_key[edge.start], by_key[edge.end], edge) for edge in ordered]


@dataclass(frozen=True)
class Box:
    """A node at its place."""

    node: Node
    y: int
    kind_y: int
    name_y: int
    shown: str


@dataclass(frozen=True)
class Words:
    """One line of an edge's counts at its place."""

    x: int
    y: int
    text: str


@dataclass(frozen=True)
class Line:
    """An edge as the `d` of a path, its head, and its counts."""

    d: str
    head: str
    words: tuple[Words, ...]


@dataclass(frozen=True)
class Picture:
    """Everything of one drawing."""

    graph: Graph
    width: int
    height: int
    boxes: tuple[Box, ...]
    lines: tuple[Line, ...]
    box_width: int = WIDTH
    box_height: int = HEIGHT
    half: int = HEIGHT // 2
    left: int = MARGIN
    text_x: int = MARGIN + 12


def draw(graph: Graph) -> Picture:
    """The graph as one column of boxes. Raises ValueError for an edge that leads upwards: it would be a cycle."""
    place = {node.key: number for number, node in enumerate(graph.nodes)}
    if any(place[edge.start] >= place[edge.end] for edge in graph.edges):
        raise ValueError("an edge leads to something that stands before what it was made from")
    spans = [(place[edge.start], place[edge.end]) for edge in graph.edges]
    tracks = _tracks(spans)
    outermost = MARGIN + WIDTH + TRACK * (max(tracks, default=0) + 1)
    told = any(edge.counts for edge, track in zip(graph.edges, tracks, strict=True) if track)
    ends = (span[1] if track else None for span, track in zip(spans, tracks, strict=True))
    beside = [*_beside([*zip(graph.edges, ends, strict=True)], outermost)]
    lowest = max((words[-1].y for words in beside if words), default=0)
    return Picture(
        graph=graph,
        width=outermost + (LABEL if told else 0),
        height=max(len(graph.nodes) * (HEIGHT + GAP) - GAP, lowest) + 2 * MARGIN,
        boxes=tuple(_box(node, number) for number, node in enumerate(graph.nodes)),
        lines=tuple(
            _arc(span, track, words) if track else _stem(edge, span)
            for edge, span, track, words in zip(graph.edges, spans, tracks, beside, strict=True)
        ),
    )


def _box(node: Node, place: int) -> Box:
    y = _top(place)
    return Box(node, y, y + 18, y + 40, _fitting(node.name, LONGEST_MATTER if node.is_matter else LONGEST))


def _fitting(name: str, longest: int) -> str:
    """A name as it fits into a box: "A constitution…", "A constituti… v12"."""
    if len(name) <= longest:
        return name
    last = name.rpartition(" ")[2]
    end = f"… {last}" if len(last) <= LAST_WORD else "…"
    return name[: longest - len(end)] + end


def _top(place: int) -> int:
    return MARGIN + place * (HEIGHT + GAP)


def _tracks(spans: Sequence[tuple[int, int]]) -> list[int]:
    """For each edge its track; 0 for neighbours. Arcs of one track do not overlap; short ones go first."""
    found = [0] * len(spans)
    taken: list[list[tuple[int, int]]] = []
    arcs = [number for number, (start, end) in enumerate(spans) if end > start + 1]
    for number in sorted(arcs, key=lambda one: (spans[one][1] - spans[one][0], spans[one])):
        start, end = spans[number]
        track = next(
            (place for place, there in enumerate(taken) if all(end <= low or start >= high for low, high in there)),
            len(taken),
        )
        if track == len(taken):
            taken.append([])
        taken[track].append((start, end))
        found[number] = track + 1
    return found


def _stem(edge: Edge, span: tuple[int, int]) -> Line:
    x, start, end = MARGIN + STEM, _top(span[0]) + HEIGHT, _top(span[1])
    words = Words(x + 10, start + GAP // 2 + 4, ", ".join(edge.counts))
    return Line(f"M{x} {start}V{end - 6}", f"M{x} {end}l-4 -7h8z", (words,) if edge.counts else ())


def _arc(span: tuple[int, int], track: int, words: tuple[Words, ...]) -> Line:
    """Out at the lower right of one box, along its track, and in at the upper right of the other."""
    side, turn = MARGIN + WIDTH, MARGIN + WIDTH + TRACK * track
    start, end = _top(span[0]) + HEIGHT - 14, _way_in(span[1])
    d = (
        f"M{side} {start}H{turn - CORNER}Q{turn} {start} {turn} {start + CORNER}"
        f"V{end - CORNER}Q{turn} {end} {turn - CORNER} {end}H{side + 6}"
    )
    return Line(d, f"M{side} {end}l7 -4v8z", words)


def _way_in(place: int) -> int:
    """Where arcs come into a box."""
    return _top(place) + 14


def _beside(arcs: Sequence[tuple[Edge, int | None]], x: int) -> Iterator[tuple[Words, ...]]:
    """For each edge the words of its arc (None as its end: it has none), those into one box below one another.

    Words that several arcs into a box share ("weights") stand there once; figures stand there for each.
    """
    taken: dict[int, list[str]] = {}
    for edge, end in arcs:
        if end is None:
            yield ()
            continue
        above = taken.setdefault(end, [])
        first = len(above)
        above += [text for text in edge.counts if text[:1].isdigit() or text not in above]
        yield tuple(Words(x, _way_in(end) + 4 + place * LINE, above[place]) for place in range(first, len(above)))
