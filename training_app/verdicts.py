"""What people's verdicts on one item come to, by a rule that gives the same answer every time.

Comments decide nothing. Of each person the newest verdict counts, unless it was taken back or says that the person
could not tell. An adjudication is the last word, the newest of several. Without one, the outcome that most people name
wins; between outcomes named by equally many, the one named last. A final outcome says where it comes from: nobody
disagreed (unanimous), somebody had the last word (adjudicated), or people disagree and nobody has had it (unresolved).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, TypeVar

from training_app.core.asking import ALL
from training_app.models import Adjudication, AILabel, Audit, Run

RULE = (
    "Of each person the newest verdict on an item counts. An adjudication is the last word; without one the outcome "
    "most people name wins, and between equals the one named last. Comments decide nothing."
)
P_A = {Audit.Choice.A: 1.0, Audit.Choice.B: 0.0, Audit.Choice.NEITHER: 0.5}
AGREES = "agree"
DECIDE = (Audit.Verdict.AGREE, Audit.Verdict.OVERRIDE)
"""Verdicts that can decide; any other one that is no comment takes back what its person said before."""


class Vote(Protocol):
    """As much of an audit as it takes to decide by."""

    @property
    def auditor_id(self) -> int: ...
    @property
    def verdict(self) -> str: ...
    @property
    def choice(self) -> str: ...


Said = TypeVar("Said", bound=Vote)


class Source(StrEnum):
    """Where a final outcome comes from."""

    UNANIMOUS = "unanimous"
    ADJUDICATED = "adjudicated"
    UNRESOLVED = "unresolved"


@dataclass(frozen=True)
class Final:
    """What people's verdicts on one item come to. `choice` is that of an override of a label, else "".

    `audit` is the verdict that decides, or with an adjudication the last one that says the same, if any does.
    `backing`: how many people name this outcome, the adjudicator among them.
    """

    verdict: str
    choice: str
    source: Source
    backing: int
    audit: Audit | None
    adjudication: Adjudication | None = None

    @property
    def overrides(self) -> bool:
        return self.verdict == Audit.Verdict.OVERRIDE

    @property
    def is_open(self) -> bool:
        """Whether people disagree and nobody had the last word."""
        return self.source is Source.UNRESOLVED

    @property
    def words(self) -> str:
        """What it comes to, for people: "final: overridden (b)"."""
        return f"final: overridden{f' ({self.choice})' if self.choice else ''}" if self.overrides else "final: agreed"

    def counts(self, needed: int) -> bool:
        """Whether at least `needed` people name this outcome; what was adjudicated always counts."""
        return self.adjudication is not None or self.backing >= needed

    @property
    def p_a(self) -> float:
        """The probability that an override of a label stands for: 1 for A, 0 for B, one half for neither."""
        return P_A[Audit.Choice(self.choice)]


def final_steps(run: Run) -> dict[int, Final]:
    """What people's verdicts on the steps of a run come to, by step. Two queries."""
    return _final(
        Audit.objects.filter(step__trace__run=run), Adjudication.objects.filter(step__trace__run=run), "step_id"
    )


def final_labels(run: Run) -> dict[int, Final]:
    """What people's verdicts on the AI labels of a run come to, by label. Two queries."""
    return _final(Audit.objects.filter(label__run=run), Adjudication.objects.filter(label__run=run), "label_id")


def overridden_steps(run: Run) -> dict[int, Final]:
    """Steps that people override. Two queries."""
    return {step: final for step, final in final_steps(run).items() if final.overrides}


def overridden_labels(run: Run) -> dict[int, Final]:
    """AI labels whose p(A) people override. Two queries."""
    return {label: final for label, final in final_labels(run).items() if final.overrides}


def overridden_among(*, labels: Collection[int] = (), steps: Collection[int] = ()) -> dict[int, Final]:
    """Of these AI labels, or of these steps, those that people override. Two queries."""
    kind, keys = ("label", labels) if labels else ("step", steps)
    mine = {f"{kind}__in": keys}
    finals = _final(Audit.objects.filter(**mine), Adjudication.objects.filter(**mine), f"{kind}_id")
    return {item: final for item, final in finals.items() if final.overrides}


def final_of(given: Iterable[Audit], adjudications: Sequence[Adjudication] = ()) -> Final | None:
    """What the audits of one item come to, oldest first, with its adjudications, oldest first. None: nothing stands."""
    votes = standing(given)
    if adjudications:
        last = adjudications[-1]
        outcome = outcome_of(last)
        same = [one for one in votes if outcome_of(one) == outcome]
        choice = last.choice if last.verdict == Audit.Verdict.OVERRIDE else ""
        backing = len({one.auditor_id for one in same} | {last.adjudicator_id})
        return Final(last.verdict, choice, Source.ADJUDICATED, backing, same[-1] if same else None, last)
    decided = deciding(votes)
    if decided is None:
        return None
    outcomes = Counter(outcome_of(one) for one in votes)
    source = Source.UNANIMOUS if len(outcomes) == 1 else Source.UNRESOLVED
    choice = decided.choice if decided.verdict == Audit.Verdict.OVERRIDE else ""
    return Final(decided.verdict, choice, source, outcomes[outcome_of(decided)], decided)


def said_of_labels(run: Run) -> dict[str, float]:
    """What people say of the run's labels, agreeing or not, as p(A) by the label's key (`key_of`). Three queries."""
    finals = final_labels(run)
    labels = AILabel.objects.filter(pk__in=list(finals)).select_related("comparison", "principle")
    return {key_of(label): _p_a(finals[label.pk].choice or label.ai_choice) for label in labels.order_by("pk")}


def _p_a(choice: str) -> float:
    return P_A[Audit.Choice(choice or Audit.Choice.NEITHER)]


def key_of(label: AILabel) -> str:
    """How the core names a label: "<comparison id>/<principle id>", "*" for all. Reads its comparison and principle."""
    return f"{label.comparison.key}/{label.principle.key if label.principle else ALL}"


def standing(given: Iterable[Said]) -> list[Said]:
    """Of all that was said of one item, oldest first, each person's newest verdict, in the order they were given."""
    newest: dict[int, Said] = {}
    for one in given:
        if one.verdict != Audit.Verdict.COMMENT:
            newest.pop(one.auditor_id, None)  # so that the order is that of the newest verdicts
        if one.verdict in DECIDE:
            newest[one.auditor_id] = one
    return list(newest.values())


def deciding(standing: Sequence[Said]) -> Said | None:
    """The standing verdict that decides one item: the last among those of the outcome that most people name."""
    votes = Counter(outcome_of(one) for one in standing)
    if not votes:
        return None
    most = max(votes.values())
    return [one for one in standing if votes[outcome_of(one)] == most][-1]


def outcome_of(said: Vote | Adjudication) -> str:
    """What a verdict comes to: "agree" or "override b"."""
    return AGREES if said.verdict == Audit.Verdict.AGREE else f"override {said.choice}".strip()


def _final(audits: Iterable[Audit], adjudications: Iterable[Adjudication], field: str) -> dict[int, Final]:
    """Models order both oldest first."""
    said, last = _by_item(audits, field), _by_item(adjudications, field)
    found = {item: final_of(said.get(item, ()), last.get(item, ())) for item in {*said, *last}}
    return {item: final for item, final in sorted(found.items()) if final is not None}


Row = TypeVar("Row", Audit, Adjudication)


def _by_item(rows: Iterable[Row], field: str) -> Mapping[int, list[Row]]:
    found: dict[int, list[Row]] = {}
    for row in rows:
        found.setdefault(getattr(row, field), []).append(row)
    return found
