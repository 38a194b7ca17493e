"""What people changed in a dataset build: every item that would be otherwise without them, before and after.

A row that people changed names the audit or adjudication (DatasetItem); what they had left out stands in the rules of
the build. Both are frozen with it, so the page says what was so when it was built.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from training_app.models import Adjudication, AILabel, Audit, DatasetBuild, DatasetItem, TraceStep
from training_app.verdicts import P_A

OPTIONS = ("overridden_labels", "overridden_steps")


@dataclass(frozen=True)
class Change:
    """One item, what the stage would have seen without people, what it sees, and who decided."""

    label: AILabel | None
    step: TraceStep | None
    before: str
    after: str
    by: Audit | Adjudication

    @property
    def item(self) -> AILabel | TraceStep | None:
        return self.label or self.step


def rule_of(build: DatasetBuild) -> str:
    """What the build did with overridden items: "override", "drop", "keep" or "weight". Builds of old say nothing."""
    said = build.rules.get("overridden", {})
    usual = "drop" if build.stage == "sft" else "override"
    return str(next((said[name] for name in OPTIONS if name in said), usual))


def changed_rows(items: Sequence[DatasetItem], rule: str, weight: float) -> list[Change]:
    """The rows among `items` that people changed. No query, when they carry label, audit and adjudication."""
    return [
        Change(item.label, item.step, *_row_words(item.label, by, rule, weight), by)
        for item in items
        if (by := item.adjudication or item.audit) is not None
    ]


def left_out(build: DatasetBuild, most: int) -> tuple[list[Change], int]:
    """Items that people had left out of the build, at most `most`, and how many there are. Three queries."""
    if rule_of(build) != "drop":
        return [], 0
    said: Mapping[str, Any] = build.rules.get("overridden", {})
    adjudications = Adjudication.objects.filter(pk__in=said.get("adjudications", ())[:most])
    found: list[Audit | Adjudication] = list(adjudications.select_related(*_RELATED, "adjudicator"))
    decided = {(one.label_id, one.step_id) for one in found}
    audits = Audit.objects.filter(pk__in=said.get("audits", ())[:most]).select_related(*_RELATED, "auditor")
    found += [one for one in audits if (one.label_id, one.step_id) not in decided]
    rows = [Change(one.label, one.step, _before(one), "left out", one) for one in found]
    return rows[:most], int(said.get("dropped", len(rows)))


_RELATED = ("label__comparison", "label__principle", "step__trace__prompt", "step__principle")


def _before(by: Audit | Adjudication) -> str:
    return f"p(A) {by.label.p_a_clamped:.2f}" if by.label else "trained on"


def _row_words(label: AILabel | None, by: Audit | Adjudication, rule: str, weight: float) -> tuple[str, str]:
    if label is None:
        return "trained on", "changed"
    before = f"p(A) {label.p_a_clamped:.2f}"
    if rule == "weight":
        return f"{before}, weight 1", f"{before}, weight {weight:g}"
    return before, f"p(A) {P_A[Audit.Choice(by.choice)]:.2f}"
