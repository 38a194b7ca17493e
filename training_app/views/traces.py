"""Traces: the list, and the page on which people read a critique and its revision and judge each step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.contrib.auth.models import User
from django.db.models import Prefetch
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe
from django.views.decorators.vary import vary_on_headers

from constitutions_app.access import AuthenticatedHttpRequest, require_role
from training_app.access import can_audit, can_launch, get_step_to_audit_for, get_trace_for, hides_judgement
from training_app.forms import StepAuditForm, new_key
from training_app.models import Audit, Trace, TraceStep
from training_app.verdicts import Final
from training_app.views.blindness import require_told
from training_app.views.filters import TraceFilter
from training_app.views.judging import audits_of, finals_of, neighbours, save_audit, verdict_of
from training_app.views.paging import filters_in, page_of


@dataclass(frozen=True)
class ReadStep:
    """One step as its page shows it: with the text it started from, its audits, and the form for a new one."""

    step: TraceStep
    before: str
    before_name: str
    audits: Sequence[Audit]
    final: Final | None
    """What all of them come to."""
    is_hidden: bool
    """Whether this person has yet to judge it blind, in a queue."""
    mine: Audit | None
    form: StepAuditForm
    has_keys: bool
    next_url: str
    """Where to go once a verdict is saved."""


@require_safe
@require_role()
@vary_on_headers("HX-Request")
def traces(request: AuthenticatedHttpRequest) -> HttpResponse:
    """Every trace, newest first, filtered as the URL says."""
    chosen = TraceFilter(request.GET, user=request.user)
    steps = TraceStep.objects.select_related("principle__version").defer("sent_critique", "sent_revision")
    with_steps = Prefetch("steps", queryset=steps.order_by("round"), to_attr="step_list")
    listed = Trace.objects.select_related("prompt__prompt_set", "run", "imported").prefetch_related(with_steps)
    page = page_of(chosen.apply(listed), request, newest_first=True)
    shown = [step for trace in page.rows for step in trace.step_list]  # type: ignore[attr-defined]  # see Prefetch
    hidden = hides_judgement(request.user, shown)
    context = {
        "page": page,
        "filter": chosen,
        "filters": filters_in(request.GET),
        "audits": audits_of(shown, "step", hidden),
        "can_import": can_launch(request.user),
    }
    return render(request, f"training/traces.html{'#results' if request.htmx else ''}", context)


@require_safe
@require_role()
@vary_on_headers("HX-Request")
def trace(request: AuthenticatedHttpRequest, pk: int) -> HttpResponse:
    """One trace with all its steps."""
    return _page(request, get_trace_for(request.user, pk))


@require_POST
@require_role()
def audit_step(request: AuthenticatedHttpRequest, pk: int) -> HttpResponse:
    """Save a verdict on one step once, however often it is sent, and go on to what is next to judge."""
    step = get_step_to_audit_for(request.user, pk)
    require_told(request.user, step)
    form = StepAuditForm(request.POST, auto_id=f"s{step.round}_%s")
    if not save_audit(request, form, step):
        return _page(request, get_trace_for(request.user, step.trace_id), refused=(step.pk, form))
    given = Audit.objects.filter(auditor=request.user, step__trace=step.trace_id).standing()
    waiting = TraceStep.objects.filter(trace=step.trace_id).exclude(audits__in=given).values_list("round", flat=True)
    _, following = _neighbours(request, step.trace_id)
    return redirect(next_url(step, list(waiting.order_by("round")), following, filters_in(request.GET)))


def next_url(step: TraceStep, waiting: Sequence[int], following: int | None, filters: str) -> str:
    """What to read after a step: the next round of its trace that waits for a verdict, else the next trace."""
    later = next((number for number in waiting if number > step.round), None)
    if later is not None:
        return f"{reverse('training:trace', args=[step.trace_id])}{filters}#s{later}"
    return f"{reverse('training:trace', args=[following or step.trace_id])}{filters}"


def _page(
    request: AuthenticatedHttpRequest, read: Trace, *, refused: tuple[int, StepAuditForm] | None = None
) -> HttpResponse:
    previous, following = _neighbours(request, read.pk)
    filters = filters_in(request.GET)
    context = {
        "trace": read,
        "steps": _read_steps(request.user, read, refused, following, filters),
        "can_audit": can_audit(request.user),
        "previous": previous,
        "next": following,
        "filters": filters,
    }
    return render(request, "training/trace.html", context, status=422 if refused else 200)


def _neighbours(request: AuthenticatedHttpRequest, pk: int) -> tuple[int | None, int | None]:
    return neighbours(TraceFilter(request.GET, user=request.user).apply(Trace.objects.all()), pk)


def _read_steps(
    user: User, read: Trace, refused: tuple[int, StepAuditForm] | None, following: int | None, filters: str
) -> list[ReadStep]:
    """The steps in order; the first one still without this person's verdict gets the keys. Four queries."""
    steps = list(TraceStep.objects.filter(trace=read).select_related("principle__version__constitution"))
    hidden = hides_judgement(user, steps)
    audits = audits_of(steps, "step", hidden)
    finals = finals_of(steps, "step", audits, hidden)
    mine = {step.pk: verdict_of(audits.get(step.pk, []), user.pk) for step in steps}
    waiting = [step.round for step in steps if mine[step.pk] is None and step not in hidden]
    shown, before, before_name = [], read.initial_response, "the initial response"
    for step in steps:
        shown.append(
            ReadStep(
                step=step,
                before=before,
                before_name=before_name,
                audits=audits.get(step.pk, []),
                final=finals.get(step.pk),
                is_hidden=step in hidden,
                mine=mine[step.pk],
                form=refused[1] if refused and refused[0] == step.pk else _empty_form(step),
                has_keys=step.round in waiting[:1],
                next_url=next_url(step, waiting, following, filters),
            )
        )
        before, before_name = step.revision, f"round {step.round}"
    return shown


def _empty_form(step: TraceStep) -> StepAuditForm:
    return StepAuditForm(initial={"idempotency_key": new_key()}, auto_id=f"s{step.round}_%s")
