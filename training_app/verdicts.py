"""What people's verdicts on one item come to, by a rule that gives the same answer every time.

Comments decide nothing. Of each person the newest verdict counts, unless it was taken back or says that the person
could not tell. The outcome most people name wins; between outcomes named by equally many, the one named last.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from training_app.core.asking import ALL
from training_app.models import AILabel, Audit, Run

RULE = (
    "Of each person the newest verdict on an item counts; the outcome most people name wins, "
    "and between equals the one named last. Comments decide nothing."
)
P_A = {Audit.Choice.A: 1.0, Audit.Choice.B: 0.0, Audit.Choice.NEITHER: 0.5}
AGREES = "agree"


def overridden_steps(run: Run) -> dict[int, Audit]:
    """Steps that people override, each with the audit that decides it. One query."""
    audits = Audit.objects.filter(step__trace__run=run)
    return {
        step: audit
        for step, given in _by_item(audits.order_by("created_at", "pk"), "step_id").items()
        if (audit := _deciding(given)) is not None and audit.verdict == Audit.Verdict.OVERRIDE
    }


def overridden_labels(run: Run) -> dict[int, Audit]:
    """AI labels whose p(A) people override, each with the audit that decides it. One query."""
    audits = Audit.objects.filter(label__run=run)
    return {
        label: audit
        for label, given in _by_item(audits.order_by("created_at", "pk"), "label_id").items()
        if (audit := _deciding(given)) is not None and audit.verdict == Audit.Verdict.OVERRIDE
    }


def said_of_labels(run: Run) -> dict[str, float]:
    """What people say of the run's labels, agreeing or not, as p(A) by the label's key (`key_of`). One query."""
    audits = Audit.objects.filter(label__run=run).select_related("label__comparison", "label__principle")
    said = {}
    for given in _by_item(audits.order_by("created_at", "pk"), "label_id").values():
        if (audit := _deciding(given)) is not None and audit.label is not None:
            choice = audit.choice or audit.label.ai_choice or Audit.Choice.NEITHER
            said[key_of(audit.label)] = P_A[Audit.Choice(choice)]
    return said


def p_a_of(audit: Audit) -> float:
    """The probability that an override of a label stands for: 1 for A, 0 for B, one half for neither."""
    return P_A[Audit.Choice(audit.choice)]


def key_of(label: AILabel) -> str:
    """How the core names a label: "<comparison id>/<principle id>", "*" for all. Reads its comparison and principle."""
    return f"{label.comparison.key}/{label.principle.key if label.principle else ALL}"


def _by_item(audits: Iterable[Audit], field: str) -> dict[int, list[Audit]]:
    found: dict[int, list[Audit]] = {}
    for audit in audits:
        found.setdefault(getattr(audit, field), []).append(audit)
    return found


def _deciding(given: list[Audit]) -> Audit | None:
    """The audit that decides one item, given all of its audits, oldest first."""
    newest: dict[int, Audit] = {}
    for audit in given:
        if audit.is_verdict:
            newest.pop(audit.auditor_id, None)  # so that the order is that of the newest verdicts
        if audit.decides:
            newest[audit.auditor_id] = audit
    votes = Counter(_outcome(audit) for audit in newest.values())
    if not votes:
        return None
    most = max(votes.values())
    return [audit for audit in newest.values() if votes[_outcome(audit)] == most][-1]


def _outcome(audit: Audit) -> str:
    return AGREES if audit.verdict == Audit.Verdict.AGREE else f"override {audit.choice}"
