"""Prompt sets and their rows, and the preview of the complete text a model is sent for a principle."""

from __future__ import annotations

from pathlib import Path
from typing import IO, Any

from django.contrib import messages
from django.contrib.auth.models import User
from django.db.models import Prefetch
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
from training_app.core.dataset_files import Columns
from training_app.core.prompts import PromptFormat, comparison
from training_app.core.rows import Message
from training_app.forms import LoadPromptsForm
from training_app.kept_files import TooLarge, forget, keep, path_of
from training_app.models import Checkpoint, Comparison, Prompt, PromptSet
from training_app.prompt_files import LARGEST_FILE, PromptFile
from training_app.prompt_previews import Preview, preview
from training_app.refusals import PromptFileRefused
from training_app.views.paging import page_of

ASKED = "(the person's prompt)"
ANSWERED = "(the model's response)"
CRITICISED = "(the model's critique)"
FIRST, SECOND = "(the response shown first)", "(the response shown second)"
RUNS_SHOWN = 20
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
    made = Checkpoint.objects.only("stage", "run").order_by("pk")
    context = {
        "set": read,
        "page": rows,
        "is_comparisons": is_comparisons,
        "runs": read.runs.prefetch_related(Prefetch("checkpoints", made))[: RUNS_SHOWN + 1],
        "runs_shown": RUNS_SHOWN,
        "hidden": hides_judgement(request.user, rows.rows),
    }
    return render(request, f"training/prompt_set.html{'#results' if request.htmx else ''}", context)


@require_http_methods(["GET", "HEAD", "POST"])
@require_role(Role.ENGINEER)
@vary_on_headers("HX-Request")
def load_prompts(request: AuthenticatedHttpRequest) -> HttpResponse:
    """A file is looked at or becomes a frozen set; or every bad line is named with its reason and nothing is loaded."""
    form = LoadPromptsForm(request.POST or None, request.FILES or None)
    seen: Preview | None = None
    if form.is_valid() and (path := _kept(request.user, form)):
        with path.open("rb") as file:
            if request.POST.get("do") == "preview":
                seen = preview(_prompt_file(form, file))
                form.offer(seen.columns)
            elif made := _loaded(request.user, form, file):
                forget(request.user, form.cleaned_data["kept"])
                messages.success(request, f"{made.name} holds {made.rows} rows and is ready to launch with.")
                return redirect("training:prompt_set", made.slug)
    context = {"form": form, "seen": seen, "kept": form.is_bound and form.data.get("kept_name")}
    return render(request, "training/load_prompts.html", context, status=422 if form.errors else 200)


def _kept(user: User, form: LoadPromptsForm) -> Path | None:
    """Where the form's file lies: one that comes with it is kept first. None when there is none; the form says why."""
    said = form.cleaned_data
    if file := said["file"]:
        try:
            said |= {"kept": keep(user, file, most=LARGEST_FILE), "kept_name": str(file.name)[:200]}
        except TooLarge:
            form.add_error("file", f"The file is larger than {LARGEST_FILE // 2**20} MiB; split it into several sets.")
            return None
        _remember(form, str(said["kept"]), said["kept_name"])
    path = path_of(user, said["kept"])
    if path is None:
        form.add_error("file", "The file is no longer kept here. Choose it again.")
        _remember(form, "", "")
    return path


def _remember(form: LoadPromptsForm, kept: str, name: str) -> None:
    """Let the form be shown with the file that is kept, or without one."""
    data = {field: form.data.get(field, "") for field in form.fields}
    data["kept"], data["kept_name"] = kept, name
    form.data = data


def _prompt_file(form: LoadPromptsForm, file: IO[bytes]) -> PromptFile:
    said = form.cleaned_data
    return PromptFile(file, said["kind"], said["kept_name"], _columns(form))


def _columns(form: LoadPromptsForm) -> Columns:
    said = form.cleaned_data
    return Columns(said["column"], said["chosen"], said["rejected"])


def _loaded(user: User, form: LoadPromptsForm, file: IO[bytes]) -> PromptSet | None:
    """The set, or None when the file was refused; the form then says why, line by line."""
    said = form.cleaned_data
    try:
        return load_prompt_set(
            user=user,
            content=file,
            kind=said["kind"],
            slug=slugify(said["name"])[:100] or "prompts",
            name=said["name"],
            licence=said["licence"],
            file_name=said["kept_name"],
            columns=_columns(form),
        )
    except PromptFileRefused as refusal:
        for problem in refusal.problems:
            form.add_error("file", problem)
        form.add_error(None, "Nothing was loaded. Say otherwise what stands where, or mend the file; the rest is kept.")
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
