"""The audit landing: what waits for a verdict, run by run, what people said lately, and how far they agree."""

from __future__ import annotations

from dataclasses import dataclass

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe
from django.views.decorators.vary import vary_on_headers

from constitutions_app.access import AuthenticatedHttpRequest, require_role
from constitutions_app.composed import Composed
from training_app.access import can_audit, hides_anything, hides_judgement
from training_app.core.statistics import Estimate, wilson
from training_app.counting import MOST, UpTo
from training_app.models import Audit, Run, RunAudits

NEWEST_RUNS = 8
NEWEST_AUDITS = 12


@dataclass(frozen=True)
class Judged:
    """How many steps or labels of one run there are, how many have a verdict, and how many of those override."""

    all: int
    audited: int
    overridden: int

    @property
    def waiting(self) -> int:
        return self.all - self.audited

    @property
    def rate(self) -> Estimate:
        """The share of audited items that somebody overrides, with its interval."""
        return wilson(self.overridden, self.audited)


@dataclass(frozen=True)
class RunToAudit:
    """One run with what there is to judge in it."""

    run: Run
    steps: Judged
    labels: Judged
    same_position: Estimate


@require_safe
@require_role()
@vary_on_headers("HX-Request")
def audit(request: AuthenticatedHttpRequest) -> HttpResponse:
    """Where an auditor begins."""
    recent = _RECENT.all()
    hidden = hides_judgement(request.user, recent)
    context = {
        "runs": runs_to_audit(),
        "withheld": hides_anything(request.user),
        "recent": [one for one in recent if one not in hidden],
        "can_audit": can_audit(request.user),
        "mine": UpTo.of(Audit.objects.filter(auditor=request.user).order_by()[: MOST + 1].count()),
    }
    return render(request, "training/audit.html", context)


def runs_to_audit() -> list[RunToAudit]:
    """The newest runs that made something to judge, by the counts kept of them. One query."""
    return [_to_audit(run) for run in _RUNS.all()]


_RECENT = Composed(
    lambda: Audit.objects.select_related("auditor", "label__principle", "step__principle", "step__trace").order_by(
        "-created_at", "-pk"
    )[:NEWEST_AUDITS]
)
_RUNS = Composed(
    lambda: (
        Run.objects.filter(tally__isnull=False)
        .select_related("version__constitution", "tally", "audit_tally")
        .defer("version__canonical", "config")
        .order_by("-number")[:NEWEST_RUNS]
    )
)


def _to_audit(run: Run) -> RunToAudit:
    made, said = run.tally, getattr(run, "audit_tally", None) or RunAudits(run=run)
    return RunToAudit(
        run,
        Judged(made.steps, said.steps_audited, said.steps_overridden),
        Judged(made.labels, said.labels_audited, said.labels_overridden),
        wilson(made.same_position, made.labels),
    )
