"""Whether the texts of an item stand in a file: those that its person has veiled on pages stay out, unless asked for.

A file cannot ask before it shows a text. So whoever asks for it says whether veiled texts are to stand in it; where
they are not, the item stands in the file without its texts and says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from training_app.access import Person
from training_app.auditor_settings import settings_of
from training_app.core.harm import is_veiled, severity_of
from training_app.models import Export


@dataclass
class Veil:
    """What one person has veiled: from which severity, and which tags besides. `lifted`: they asked for all texts."""

    veil_from: int
    veil_tags: Sequence[str]
    lifted: bool
    _known: dict[tuple[tuple[str, ...], bool], tuple[int, bool]] = field(default_factory=dict)

    def of(self, tags: Sequence[str], is_red_team: bool) -> tuple[int, bool]:
        """How harmful the texts of a prompt with these tags may be, from 0 to 3, and whether they are veiled."""
        key = tuple(tags), is_red_team
        if key not in self._known:
            severity = severity_of(tags, is_red_team=is_red_team)
            veiled = is_veiled(tags, severity, veil_from=self.veil_from, veil_tags=self.veil_tags)
            self._known[key] = severity, veiled and not self.lifted
        return self._known[key]


def veil_of(user: Person, texts: str) -> Veil:
    """The veil over the texts of a file for this person. One query."""
    own = settings_of(user)
    return Veil(own.veil_from, own.veil_tags, lifted=texts == Export.Texts.ALL)
