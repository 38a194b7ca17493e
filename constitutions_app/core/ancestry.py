"""The graph of versions: who descends from whom, and where two lines last agreed.

A graph is a mapping of a node to its parents (none, one, or two after a merge). Left out: the recursive merge of
several nearest common ancestors (criss-cross merges); the newest of them is taken, so that such a merge may show a
conflict that was settled before, and never drops words.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

Graph = Mapping[int, tuple[int, ...]]


def ancestors(graph: Graph, starts: Iterable[int]) -> frozenset[int]:
    """All nodes reached from `starts` by parents, the starts included."""
    seen: set[int] = set()
    waiting = list(starts)
    while waiting:
        node = waiting.pop()
        if node not in seen:
            seen.add(node)
            waiting.extend(graph.get(node, ()))
    return frozenset(seen)


def common_ancestor(graph: Graph, ours: Iterable[int], theirs: Iterable[int]) -> int | None:
    """The newest (greatest) node that both sides descend from and no other common one does; None for strangers."""
    common = ancestors(graph, ours) & ancestors(graph, theirs)
    beaten = ancestors(graph, [parent for node in common for parent in graph.get(node, ())])
    return max(common - beaten, default=None)
