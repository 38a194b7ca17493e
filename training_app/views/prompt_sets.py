"""Prompt sets and their rows, and the preview of the complete text a model is sent for a principle."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_POST, require_safe
from django.views.decorators.vary import vary_on_headers

from constitutions_app.access import AuthenticatedHttpRequest, require_role
from constitutions_app.core.principles import Principle, normalise
from constitutions_app.core.wordings import wordings_for
from training_app.access import get_prompt_set_for
from training_app.core.prompts import PromptFormat, comparison
from training_app.core.rows import Message
from training_app.models import Comparison, Prompt, PromptSet
from training_app.views.paging import page_of

ASKED = "(the person's prompt)"
ANSWERED = "(the model's response)"
CRITICISED = "(the model's critique)"
FIRST, SECOND = "(the response shown first)", "(the response shown second)"
LONGEST_WORDING = 20_000


@require_safe
@require_role()
@vary_on_headers("HX-Request")
def prompt_sets(request: AuthenticatedHttpRequest) -> HttpResponse:
    """Every prompt set, by kind."""
    sets = list(PromptSet.objects.select_related("created_by"))
    kinds = [(label, [one for one in sets if one.kind == kind]) for kind, label in PromptSet.Kind.choices]
    context = {"kinds": [(label, members) for label, members in kinds if members]}
    return render(request, "training/prompt_sets.html", context)


@require_safe
@require_role()
@vary_on_headers("HX-Request")
def prompt_set(request: AuthenticatedHttpRequest, slug: str) -> HttpResponse:
    """One set and its rows: prompts in their order, or human comparisons."""
    read = get_prompt_set_for(request.user, slug)
    is_comparisons = read.kind == PromptSet.Kind.COMPARISONS
    rows = (
        page_of(Comparison.objects.filter(prompt_set=read), request)
        if is_comparisons
        else page_of(Prompt.objects.filter(prompt_set=read), request, by=("position", "pk"))
    )
    context = {"set": read, "page": rows, "is_comparisons": is_comparisons, "runs": read.runs.all()[:20]}
    return render(request, f"training/prompt_set.html{'#results' if request.htmx else ''}", context)


@require_POST
@require_role()
@vary_on_headers("HX-Request")
def prompt_preview(request: AuthenticatedHttpRequest) -> HttpResponse:
    """The whole text a model is sent for the principle in an editor's form, in the paper's format. Saves nothing."""
    said: dict[str, Any] = {
        name: normalise(request.POST.get(name, ""))[:LONGEST_WORDING]
        for name in ("title", "text", "critique_request", "revision_request", "comparison_question")
    }
    wordings = wordings_for(Principle(id="preview", **said))
    form, conversation = PromptFormat(), [Message("user", ASKED)]
    parts = [
        ("Critique", form.critique(conversation, ANSWERED, wordings)),
        ("Revision", form.revision(conversation, ANSWERED, wordings, CRITICISED)),
        ("Comparison", comparison(form, "paper", conversation, wordings.comparison_question, FIRST, SECOND)),
    ]
    return render(request, f"training/prompt_preview.html{'#parts' if request.htmx else ''}", {"parts": parts})
