"""Prompt sets and their rows, and the preview of the complete text a model is sent for a principle."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.text import slugify
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from django.views.decorators.vary import vary_on_headers

from constitutions_app.access import AuthenticatedHttpRequest, Role, require_role
from constitutions_app.core.principles import Principle, normalise
from constitutions_app.core.wordings import wordings_for
from training_app.access import get_prompt_set_for, hides_judgement
from training_app.actions import load_prompt_set
from training_app.core.prompts import PromptFormat, comparison
from training_app.core.rows import Message
from training_app.forms import LoadPromptsForm
from training_app.models import Comparison, Prompt, PromptSet
from training_app.prompt_files import LARGEST_FILE
from training_app.refusals import PromptFileRefused
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
    sets = list(PromptSet.objects.select_related("created_by", "made_by"))
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
    context = {
        "set": read,
        "page": rows,
        "is_comparisons": is_comparisons,
        "runs": read.runs.all()[:20],
        "hidden": hides_judgement(request.user, rows.rows),
    }
    return render(request, f"training/prompt_set.html{'#results' if request.htmx else ''}", context)


@require_http_methods(["GET", "HEAD", "POST"])
@require_role(Role.ENGINEER)
@vary_on_headers("HX-Request")
def load_prompts(request: AuthenticatedHttpRequest) -> HttpResponse:
    """A file becomes a frozen set, or every bad line is named with its reason and nothing is loaded."""
    form = LoadPromptsForm(request.POST or None, request.FILES or None)
    if form.is_valid() and (made := _loaded(request, form)):
        messages.success(request, f"{made.name} holds {made.rows} rows and is ready to launch with.")
        return redirect("training:prompt_set", made.slug)
    return render(request, "training/load_prompts.html", {"form": form}, status=422 if form.errors else 200)


def _loaded(request: AuthenticatedHttpRequest, form: LoadPromptsForm) -> PromptSet | None:
    """The set, or None when the file was refused; the form then says why, line by line."""
    said = form.cleaned_data
    try:
        return load_prompt_set(
            user=request.user,
            content=said["file"].read(LARGEST_FILE + 1),
            kind=said["kind"],
            slug=slugify(said["name"])[:100] or "prompts",
            name=said["name"],
            licence=said["licence"],
            file_name=said["file"].name,
            column=said["column"],
        )
    except PromptFileRefused as refusal:
        for problem in refusal.problems:
            form.add_error("file", problem)
        form.add_error(None, "Nothing was loaded. Mend the file and choose it again; the rest is kept.")
        return None


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
