"""What an import found in a file: what was understood, what was not and why, by line.

Nothing is written anywhere by an import; these values are the preview that a person looks at first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from constitutions_app.core.principles import Constitution, Exemplar, Principle, digest
from constitutions_app.core.scenarios import Scenario

Provenance = Mapping[str, str | int | float]
"""Facts about where one principle came from, such as its votes, by the name they have in the file."""

_MAX_REMARKS = 1000
_MAX_EXCERPT = 300


@dataclass(frozen=True)
class NotUnderstood:
    """A place of the file that did not become a principle or scenario. `line` counts from 1; 0 means the whole file."""

    line: int
    text: str
    reason: str


@dataclass(frozen=True)
class Link:
    """A principle whose wordings come from two lists that were paired by position only; a person must confirm it."""

    principle: str
    position: int
    line: int
    linked_line: int


@dataclass(frozen=True)
class Choice:
    """Which question, by its position from 0, a person links to a pair (None: none), and whether they are sure."""

    question: int | None
    confirmed: bool = False


@dataclass
class Remarks:
    """Collects what was not understood. Keeps the first thousand; the rest is counted."""

    items: list[NotUnderstood] = field(default_factory=list)
    left_out: int = 0

    def add(self, line: int, text: object, reason: str) -> None:
        """Note that `text`, standing in `line`, was not understood because of `reason` (one sentence)."""
        if len(self.items) >= _MAX_REMARKS:
            self.left_out += 1
            return
        excerpt = (text if isinstance(text, str) else repr(text)[: _MAX_EXCERPT + 1]).strip()
        if len(excerpt) > _MAX_EXCERPT:
            excerpt = excerpt[: _MAX_EXCERPT - 1] + "…"
        self.items.append(NotUnderstood(line, excerpt.encode("utf-8", "replace").decode("utf-8"), reason))

    def all(self) -> tuple[NotUnderstood, ...]:
        """Everything noted, in the order of the file's lines."""
        noted = sorted(self.items, key=lambda item: item.line)
        if self.left_out:
            noted.append(NotUnderstood(0, "", f"{self.left_out} further places were not understood either."))
        return tuple(noted)


@dataclass(frozen=True)
class Found:
    """What one format's reader understood. An empty name means that the file does not say one."""

    name: str = ""
    preamble: str = ""
    principles: tuple[Principle, ...] = ()
    exemplars: tuple[Exemplar, ...] = ()
    scenarios: tuple[Scenario, ...] = ()
    provenance: Mapping[str, Provenance] = field(default_factory=dict)
    links: tuple[Link, ...] = ()


@dataclass(frozen=True)
class Imported:
    """The preview of an import. `format` is empty where no format was recognised."""

    format: str
    constitution: Constitution
    scenarios: tuple[Scenario, ...] = ()
    not_understood: tuple[NotUnderstood, ...] = ()
    provenance: Mapping[str, Provenance] = field(default_factory=dict)
    unconfirmed_links: tuple[Link, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing at all was understood."""
        found = self.constitution
        return not (found.principles or found.exemplars or found.preamble or self.scenarios)

    def as_json(self) -> dict[str, object]:
        """The preview as plain JSON values, as `import_constitution --json` prints it."""
        body = asdict(self.constitution)
        return {
            "format": self.format,
            "name": body["name"],
            "preamble": body["preamble"],
            "principles": list(body["principles"]),
            "exemplars": list(body["exemplars"]),
            "scenarios": [asdict(scenario) for scenario in self.scenarios],
            "not_understood": [asdict(item) for item in self.not_understood],
            "provenance": {key: dict(facts) for key, facts in self.provenance.items()},
            "unconfirmed_links": [asdict(link) for link in self.unconfirmed_links],
            "digest": digest(self.constitution),
        }
