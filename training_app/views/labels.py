"""AI labels: the list, and the page on which people read one and judge it."""

from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe
from django.views.decorators.vary import vary_on_headers

from constitutions_app.access import AuthenticatedHttpRequest, require_role
from training_app import lineage
from training_app.access import can_audit, get_label_for, get_label_to_audit_for, hides_judgement
from training_app.forms import LabelAuditForm, new_key
from training_app.models import AILabel, AuditQueue
from training_app.views.filters import LabelFilter
from training_app.views.judging import audits_of, finals_of, neighbours, neighbours_among_all, save_audit, verdict_of
from training_app.views.paging import filters_in, page_of


@require_safe
@require_role()
@vary_on_headers("HX-Request")
def labels(request: AuthenticatedHttpRequest) -> HttpResponse:
    """Every AI label, newest first, filtered as the URL says."""
    chosen = LabelFilter(request.GET, user=request.user)
    related = ("comparison", "principle__version", "run", "judge")
    listed = AILabel.objects.select_related(*related).defer("sent_ab", "sent_ba")
    page = page_of(chosen.apply(listed), request, newest_first=True)
    hidden = hides_judgement(request.user, page.rows)
    context = {
        "page": page,
        "filter": chosen,
        "filters": filters_in(request.GET),
        "hidden": hidden,
        "audits": audits_of(page.rows, "label", hidden),
    }
    return render(request, f"training/labels.html{'#results' if request.htmx else ''}", context)


@require_http_methods(["GET", "HEAD", "POST"])
@require_role()
@vary_on_headers("HX-Request")
def label(request: AuthenticatedHttpRequest, pk: int) -> HttpResponse:
    """One label; a verdict posted here is saved once, however often it is sent, and the next label follows."""
    get = get_label_to_audit_for if request.method == "POST" else get_label_for
    read = get(request.user, pk)
    if read in hides_judgement(request.user, [read]):
        return _hidden(request, read)
    previous, following = _neighbours(request, pk)
    form = LabelAuditForm(request.POST or None, ai_choice=read.ai_choice, initial={"idempotency_key": new_key()})
    filters = filters_in(request.GET)
    next_url = f"{reverse('training:label', args=[following or pk])}{filters}"
    if request.method == "POST" and save_audit(request, form, read):
        return redirect(next_url)
    given = audits_of([read], "label")
    audits = given.get(read.pk, [])
    context = {
        "label": read,
        "form": form,
        "audits": audits,
        "final": finals_of([read], "label", given).get(read.pk),
        "mine": verdict_of(audits, request.user.pk),
        "can_audit": can_audit(request.user),
        "previous": previous,
        "next": following,
        "next_url": next_url,
        "filters": filters,
        "taught": lineage.of_label(read),
    }
    return render(request, "training/label.html", context, status=422 if form.errors else 200)


def _neighbours(request: AuthenticatedHttpRequest, pk: int) -> tuple[int | None, int | None]:
    if not request.GET:  # the filter reads what can be chosen, which a page without one need not
        return neighbours_among_all(AILabel, pk)
    return neighbours(LabelFilter(request.GET, user=request.user).apply(AILabel.objects.all()), pk)


def _hidden(request: AuthenticatedHttpRequest, read: AILabel) -> HttpResponse:
    """The label without anything of its judgement; a verdict posted here is refused, for its answer could tell."""
    queues = AuditQueue.objects.filter(items__label=read, closed_at=None)
    context = {"label": read, "queues": queues, "filters": filters_in(request.GET)}
    status = 403 if request.method == "POST" else 200
    return render(request, "training/label_hidden.html", context, status=status)
