"""Second opinions: where people disagree, and the page on which somebody has the last word.

What the reader has yet to judge blind is left out, of the list and of the page: they would read what others said before
they have chosen.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe
from django.views.decorators.vary import vary_on_headers

from constitutions_app.access import AuthenticatedHttpRequest, require_role
from training_app.access import (
    can_adjudicate,
    get_label_for,
    get_label_to_adjudicate_for,
    get_step_for,
    get_step_to_adjudicate_for,
    hides_judgement,
)
from training_app.actions import adjudicate
from training_app.counting import UpTo
from training_app.disagreements import decided_ones, disputed, kept_back, open_ones
from training_app.forms import new_key
from training_app.models import AILabel, Audit, TraceStep
from training_app.refusals import AuditRefused
from training_app.views.judging import name_of_item

STEP_OUTCOMES = ((Audit.Verdict.AGREE, "the revision stands"), (Audit.Verdict.OVERRIDE, "overridden"))


class AdjudicationForm(forms.Form):
    """A final outcome and the reason for it."""

    idempotency_key = forms.UUIDField(widget=forms.HiddenInput)
    outcome = forms.ChoiceField(widget=forms.RadioSelect)
    note = forms.CharField(widget=forms.Textarea(attrs={"rows": 3}), max_length=10_000)

    def __init__(self, *args: Any, item: AILabel | TraceStep, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["outcome"]
        if isinstance(field, forms.ChoiceField):
            field.choices = list(Audit.Choice.choices if isinstance(item, AILabel) else STEP_OUTCOMES)


@require_safe
@require_role()
@vary_on_headers("HX-Request")
def disagreements(request: AuthenticatedHttpRequest) -> HttpResponse:
    """What nobody has decided, the widest disagreement first; or, asked for, what somebody has."""
    kind = "steps" if request.GET.get("kind") == "steps" else "labels"
    state = "decided" if request.GET.get("state") == "decided" else "open"
    item, after = kind.removesuffix("s"), request.GET.get("after", "")
    found = (decided_ones if state == "decided" else open_ones)(item, request.user, after=after)
    here = {**({"kind": kind} if kind == "steps" else {}), **({"state": state} if state == "decided" else {})}
    context = {
        "kind": kind,
        "state": state,
        "found": found.items,
        "first": f"?{urlencode(here)}" if after else "",
        "next": f"?{urlencode({**here, 'after': found.after})}" if found.after else "",
        "kept_back": UpTo.of(kept_back(item, request.user)),
    }
    return render(request, "training/disagreements.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@require_role()
@vary_on_headers("HX-Request")
def adjudicate_label(request: AuthenticatedHttpRequest, pk: int) -> HttpResponse:
    """The last word on one AI label."""
    get = get_label_to_adjudicate_for if request.method == "POST" else get_label_for
    return _page(request, get(request.user, pk))


@require_http_methods(["GET", "HEAD", "POST"])
@require_role()
@vary_on_headers("HX-Request")
def adjudicate_step(request: AuthenticatedHttpRequest, pk: int) -> HttpResponse:
    """The last word on one step."""
    get = get_step_to_adjudicate_for if request.method == "POST" else get_step_for
    return _page(request, get(request.user, pk))


def _page(request: AuthenticatedHttpRequest, item: AILabel | TraceStep) -> HttpResponse:
    form = AdjudicationForm(request.POST or None, item=item, initial={"idempotency_key": new_key()})
    if request.method == "POST" and _saved(request, form, item):
        back = "training:disagreements"
        response = redirect(back)
        response["Location"] += "" if isinstance(item, AILabel) else "?kind=steps"
        return response
    hidden = item in hides_judgement(request.user, [item])
    found = None if hidden else disputed(item)
    context = {
        "hidden": hidden,
        "item": item,
        "label": item if isinstance(item, AILabel) else None,
        "step": item if isinstance(item, TraceStep) else None,
        "name": name_of_item(item),
        "found": found,
        "form": form,
        "may": found is not None and can_adjudicate(request.user, [one.auditor_id for one in found.said]),
    }
    return render(request, "training/adjudicate.html", context, status=422 if form.errors else 200)


def _saved(request: AuthenticatedHttpRequest, form: AdjudicationForm, item: AILabel | TraceStep) -> bool:
    """Keep the last word and say so; False, and the form says why, when it was refused."""
    if not form.is_valid():
        return False
    said = form.cleaned_data
    try:
        made = adjudicate(
            user=request.user,
            adjudication_id=said["idempotency_key"],
            item=item,
            outcome=said["outcome"],
            note=said["note"],
        )
    except AuditRefused as refusal:
        form.add_error(refusal.field if refusal.field in form.fields else None, str(refusal))
        return False
    messages.success(request, f"Decided on {name_of_item(item)}, {timezone.localtime(made.created_at):%H:%M:%S}.")
    return True
