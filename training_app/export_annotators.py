"""Who annotates the pairs of a file: principles under a judge or a critic, auditors under a principle, and people.

Who does is noted while pairs are written, in numbers that whoever goes on with a file reads again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from django.contrib.auth.models import User

from constitutions_app.models import PrincipleVersion, Version
from training_app.core.annotated_pairs import Annotator
from training_app.models import AILabel, Audit, Judge, TraceStep
from training_app.preference_rows import cites

PEOPLE = "people"
JUDGE, CRITIC, AUDITOR = "judge", "critic", "auditor"
ALL = "All principles of the version at once."

Key = tuple[str | int, ...]
"""What somebody is, then primary keys; 0 where there is none."""


class Annotators:
    """Everybody who annotated what is written so far. Looks each up once."""

    def __init__(self, noted: Iterable[Sequence[str | int]] = ()) -> None:
        self._known: dict[Key, Annotator] = {}
        self._principles: dict[int, PrincipleVersion] = {}
        self._versions: dict[int, Version] = {}
        self._judges: dict[int, Judge] = {}
        self._noted: dict[Key, None] = dict.fromkeys(tuple(one) for one in noted)

    @property
    def noted(self) -> list[list[str | int]]:
        """What to go on with another time."""
        return [list(key) for key in self._noted]

    @property
    def has_people(self) -> bool:
        """Whether choices of people, from outside, stand in the file."""
        return (PEOPLE,) in self._noted

    def all(self) -> list[Annotator]:
        """Everybody, in the order in which they came."""
        return [self._annotator(key) for key in self._noted]

    def of_label(self, label: AILabel, version: int) -> str:
        """The annotator of an AI label: its principle, or all of the version at once, under its judge. Noted."""
        return self._note((JUDGE, label.principle_id or 0, label.judge_id, 0 if label.principle_id else version))

    def of_step(self, step: TraceStep) -> str:
        """The annotator of a revision: its principle, as the critic applied it. Noted."""
        return self._note((CRITIC, step.principle_id))

    def of_audit(self, audit: Audit) -> str:
        """The annotator of a verdict: its auditor, under the principle of what was judged. Noted."""
        about = audit.label or audit.step
        return self._note((AUDITOR, audit.auditor_id, (about.principle_id if about else None) or 0))

    def people(self) -> str:
        """People whose choice came with a comparison. Noted."""
        return self._note((PEOPLE,))

    def _note(self, key: Key) -> str:
        self._noted[key] = None
        return self._annotator(key).id

    def _annotator(self, key: Key) -> Annotator:
        if key not in self._known:
            self._known[key] = self._looked_up(key)
        return self._known[key]

    def _looked_up(self, key: Key) -> Annotator:
        what, *keys = key
        numbers = [int(one) for one in keys]
        if what == PEOPLE:
            return Annotator(PEOPLE, "People", "human", "The choice of people that came with a comparison.")
        if what == JUDGE:
            return self._judge(*numbers)
        if what == CRITIC:
            principle = self._principle(numbers[0])
            said = {**cites(principle.version, principle.key), "role": "critique and revision"}
            return Annotator(_id(CRITIC, principle.pk), f"{principle}, revising", "principle", principle.text, said)
        auditor, cited = User.objects.get(pk=numbers[0]), self._principle(numbers[1]) if numbers[1] else None
        name = auditor.get_username()
        said = {"auditor": name, **(cites(cited.version, cited.key) if cited else {})}
        asked = f"What {name} chose under this principle: {cited.text}" if cited else f"What {name} chose."
        return Annotator(_id(AUDITOR, *numbers), f"{name}, {cited or 'all principles'}", "human", asked, said)

    def _judge(self, principle_id: int, judge_id: int, version_id: int) -> Annotator:
        if judge_id not in self._judges:
            self._judges[judge_id] = Judge.objects.get(pk=judge_id)
        digest = self._judges[judge_id].digest
        if principle_id:
            principle = self._principle(principle_id)
            said = {**cites(principle.version, principle.key), "judge_digest": digest}
            return Annotator(_id(principle_id, principle.text, digest), str(principle), "principle",
                             principle.text, said)  # fmt: skip
        if version_id not in self._versions:
            self._versions[version_id] = Version.objects.select_related("constitution").get(pk=version_id)
        said = {**cites(self._versions[version_id], None), "judge_digest": digest}
        return Annotator(_id(None, ALL, digest, version_id), "All principles", "principle", ALL, said)

    def _principle(self, pk: int) -> PrincipleVersion:
        if pk not in self._principles:
            cited = PrincipleVersion.objects.select_related("version__constitution").defer("version__canonical")
            self._principles[pk] = cited.get(pk=pk)
        return self._principles[pk]


def _id(*parts: object) -> str:
    return hashlib.sha256("|".join(map(str, parts)).encode()).hexdigest()[:16]
