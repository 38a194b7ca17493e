"""What a file of published traces says under one version: every round with the principle its key names, or why not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256

from constitutions_app.core.interchange.naming import Ids
from constitutions_app.core.wordings import Wordings, wordings_for
from constitutions_app.models import PrincipleVersion, Version
from training_app.core.paper_traces import LONGEST_QUOTE, Misread, ReadRound, ReadTrace, read_traces
from training_app.prompt_files import LARGEST_FILE


@dataclass(frozen=True)
class Cited:
    """A principle of the version, and what a model is asked under it."""

    row: PrincipleVersion
    wordings: Wordings

    def has_words_of(self, one: ReadRound) -> bool:
        """Whether the round was asked with these words, as far as the file says."""
        return one.critique_request in ("", self.wordings.critique_request) and one.revision_request in (
            "",
            self.wordings.revision_request,
        )


@dataclass(frozen=True)
class TraceFile:
    """A file read whole. With anything in `misread`, nothing of it may be imported; `cited` goes by the file's keys."""

    digest: str
    traces: tuple[ReadTrace, ...]
    misread: tuple[Misread, ...]
    cited: Mapping[str, Cited]

    @property
    def rounds(self) -> Iterator[ReadRound]:
        """Those of all traces, in order."""
        return (one for trace in self.traces for one in trace.rounds)

    @property
    def keys(self) -> dict[str, int]:
        """How many rounds cite which key."""
        return dict(sorted(Counter(one.key for one in self.rounds).items()))

    @property
    def other_wordings(self) -> int:
        """Rounds that were asked with other words than the principle they cite has in this version."""
        return sum(not self.cited[one.key].has_words_of(one) for one in self.rounds)


def read_trace_file(content: bytes, version: Version) -> TraceFile:
    """Read a file under a version; writes nothing. Two queries."""
    digest = sha256(content).hexdigest()
    if len(content) > LARGEST_FILE:
        too_large = f"The file is larger than {LARGEST_FILE // 2**20} MiB; split it into several."
        return TraceFile(digest, (), (Misread(0, "", too_large),), {})
    read = list(read_traces(content.split(b"\n")))
    traces = [one for one in read if isinstance(one, ReadTrace)]
    cited = _cited((one.key for trace in traces for one in trace.rounds), version)
    misread = [one for one in read if isinstance(one, Misread)]
    misread += [
        Misread(trace.line, one.key[:LONGEST_QUOTE], f"{version} has no principle of this key (round {number}).")
        for trace in traces
        for number, one in enumerate(trace.rounds, start=1)
        if one.key not in cited
    ]
    if not read:
        misread = [Misread(0, "", "The file holds no line. Each line should be one trace.")]
    understood = tuple(trace for trace in traces if all(one.key in cited for one in trace.rounds))
    return TraceFile(digest, understood, tuple(sorted(misread, key=lambda one: one.line)), cited)


def _cited(keys: Iterable[str], version: Version) -> dict[str, Cited]:
    """The principle each key means, for those that mean one.

    An import of the paper's list keeps its key as the principle's id and first in its source's article, so that a
    principle is found even after a person gave it another id.
    """
    rows = {row.key: row for row in PrincipleVersion.objects.filter(version=version)}
    known: dict[str, Cited] = {}
    principles = [(one, Cited(rows[one.id], wordings_for(one))) for one in version.to_core().principles]
    for principle, cited in principles:
        known.setdefault(principle.source.article.partition(";")[0].strip(), cited)
    known |= {principle.id: cited for principle, cited in principles}
    meant = {key: known.get(key) or known.get(Ids().keep(key, "pair")) for key in set(keys)}
    return {key: cited for key, cited in meant.items() if cited}
