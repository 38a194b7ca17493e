"""The audit landing: what waits for a verdict, run by run, what people said lately, and how far they agree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import Count, OuterRef, Q, Subquery
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe
from django.views.decorators.vary import vary_on_headers

from constitutions_app.access import AuthenticatedHttpRequest, require_role
from training_app.access import can_audit, hides_judgement
from training_app.core.statistics import Estimate, wilson
from training_app.models import AILabel, Audit, Run, TraceStep

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
    related = Audit.objects.select_related("auditor", "label__principle", "step__principle", "step__trace")
    recent = list(related.order_by("-created_at", "-pk")[:NEWEST_AUDITS])
    hidden = hides_judgement(request.user, recent)
    context = {
        "runs": runs_to_audit(),
        "recent": [one for one in recent if one not in hidden],
        "can_audit": can_audit(request.user),
        "mine": Audit.objects.filter(auditor=request.user).count(),
    }
    return render(request, "training/audit.html", context)


def runs_to_audit() -> list[RunToAudit]:
    """The newest runs that made something to judge. Three queries."""
    labels_of = AILabel.objects.filter(run=OuterRef("pk")).values("run").annotate(n=Count("pk"))
    steps_of = TraceStep.objects.filter(trace__run=OuterRef("pk")).values("trace__run").annotate(n=Count("pk"))
    runs = Run.objects.select_related("version__constitution")
    runs = runs.annotate(labels_n=Subquery(labels_of.values("n")), steps_n=Subquery(steps_of.values("n")))
    newest = list(runs.filter(Q(labels_n__gt=0) | Q(steps_n__gt=0)).order_by("-number")[:NEWEST_RUNS])
    steps, labels = judged(newest, "step__trace__run", "step"), judged(newest, "label__run", "label")
    same_position = AILabel.objects.filter(run__in=newest, same_position=True).values("run")
    same = dict(same_position.annotate(n=Count("pk")).values_list("run", "n"))
    return [
        RunToAudit(
            run,
            Judged(run.steps_n or 0, *steps.get(run.pk, (0, 0))),
            Judged(run.labels_n or 0, *labels.get(run.pk, (0, 0))),
            wilson(same.get(run.pk, 0), run.labels_n or 0),
        )
        for run in newest
    ]


def judged(runs: Sequence[Run], run_of: str, item: str) -> dict[object, tuple[int, int]]:
    """By run: how many items have a verdict, and how many an override. One query."""
    verdicts = Audit.objects.filter(**{f"{run_of}__in": runs}).standing()
    counted = verdicts.values(run_of).annotate(
        audited=Count(item, distinct=True),
        overridden=Count(item, distinct=True, filter=Q(verdict=Audit.Verdict.OVERRIDE)),
    )
    return {row[run_of]: (row["audited"], row["overridden"]) for row in counted}
