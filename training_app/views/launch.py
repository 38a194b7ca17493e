"""The launch form: every effective value shown, nothing typed lost, one sentence when a launch is refused."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods
from django.views.decorators.vary import vary_on_headers

from constitutions_app.access import AuthenticatedHttpRequest, Role, require_role
from constitutions_app.models import Version
from training_app.actions import launch_group, launch_run
from training_app.base_models import available_names
from training_app.forms import LaunchForm, overrides_in, values_of_config, values_of_preset, version_name
from training_app.models import PromptSet, Run, RunGroup
from training_app.other_models import server_choices
from training_app.refusals import LaunchRefused
from training_app.run_files import read_run_file
from training_app.stale import newest_versions
from training_app.views.launch_files import Reading, form_as_file, offered_by, read_into, text_of_run
from training_app.views.launch_plan import LaunchPlan

DEFAULT_PRESET = "demo"
DEFAULT_SEED = 7


@require_http_methods(["GET", "HEAD", "POST"])
@require_role(Role.ENGINEER)
@vary_on_headers("HX-Request")
def launch(request: AuthenticatedHttpRequest) -> HttpResponse:
    """Fill in, look at every value, launch.

    `fill` lays a preset's values into the form, `read_file` those of a YAML file, `write_file` makes one, and `look`
    shows what would run; none of them launches anything.
    """
    if request.method == "POST" and "look" in request.POST:
        return _page(request, launch_form(request.POST), part="plan")
    if request.method == "POST" and "read_file" in request.POST:
        values, reading = read_into(launch_form(request.POST), request)
        return _page(request, launch_form(initial=values), status=422 if reading.faults else 200, reading=reading)
    if request.method == "POST" and "fill" not in request.POST:
        form = launch_form(request.POST)
        if "write_file" in request.POST and form.is_valid():
            return form_as_file(form)
        if "write_file" not in request.POST and form.is_valid() and (launched := _launched(request, form)):
            if isinstance(launched, RunGroup):
                messages.success(request, "The runs were launched. Workers take them one after another.")
                return redirect("training:run_group", launched.pk)
            messages.success(request, f"Run {launched.number} was launched.")
            return redirect("training:run", launched.pk)
        return _page(request, form, status=422)
    form = launch_form(initial=_initial(request.POST if request.method == "POST" else request.GET))
    like = _earlier(request.GET)
    return _page(request, form, reading=_not_here(like, form) if like else None, like=like)


def _launched(request: AuthenticatedHttpRequest, form: LaunchForm) -> Run | RunGroup | None:
    """The run, or the runs to be compared; None when the launch was refused: the form then says why."""
    said = form.cleaned_data
    common: dict[str, Any] = {
        **{
            name: said[name]
            for name in ("version", "base_model", "prompt_sets", "preset", "name", "judge", "generator", "accept_older")
        },
        "user": request.user,
        "overrides": overrides_in(said),
        "say": partial(messages.warning, request),
    }
    try:
        if said["arms"] or said["also"] or said["seeds"] > 1:
            seeds = list(range(said["seed"], said["seed"] + said["seeds"]))
            return launch_group(
                arms=form.sides(said), seeds=seeds, expects=said["expects"], group_id=said["idempotency_key"], **common
            )
        return launch_run(seed=said["seed"], run_id=said["idempotency_key"], **common)
    except LaunchRefused as refusal:
        form.add_error(refusal.field if refusal.field in form.fields else None, str(refusal))
        return None


def launch_form(data: QueryDict | None = None, initial: Mapping[str, Any] | None = None) -> LaunchForm:
    """The form with everything that can be chosen. Two queries and one look into MODELS_ROOT."""
    versions = (
        Version.objects.select_related("constitution").defer("canonical").order_by("constitution__name", "-number")
    )
    models = [(name, name) for name in available_names()]
    sets = PromptSet.objects.all()
    return LaunchForm(
        data, initial=initial, versions=versions, base_models=models, servers=server_choices(), prompt_sets=sets
    )


def _initial(query: QueryDict) -> dict[str, Any]:
    """What the form starts from: the preset's values, then what the URL (or a filled-in form) says of the rest."""
    earlier = _earlier(query)
    values = {"seeds": 1} | (_like(earlier) if earlier else _first_choice())
    for name in ("preset", "version", "base_model", "judge", "generator", "seed", "name", "arms", "expects", "seeds"):
        values[name] = query.get(name, values.get(name))
    values["also"] = query.getlist("also")
    for kind in PromptSet.Kind.values:
        values[kind] = query.getlist(kind) if "fill" in query else query.getlist(kind) or values.get(kind, [])
    options = values_of_config(earlier.config) if earlier else values_of_preset(str(values["preset"]))
    return options | values


def _like(run: Run) -> dict[str, Any]:
    """The choices an earlier run was launched with. Two queries."""
    version = Version.objects.select_related("constitution").defer("canonical").get(pk=run.version_id)
    values: dict[str, Any] = {"preset": run.preset, "seed": run.seed, "name": run.name}
    values |= {"version": version_name(version), "base_model": run.base_model.get("name")}
    values |= {role: chosen["name"] for role, chosen in run.other_models.items()}
    for prompt_set in run.prompt_sets.all():
        values.setdefault(prompt_set.kind, []).append(prompt_set.slug)
    return values


def _first_choice() -> dict[str, Any]:
    """The newest version of the oldest constitution's main branch, and the first set of each kind: starter material."""
    values: dict[str, Any] = {"preset": DEFAULT_PRESET, "seed": DEFAULT_SEED, "name": ""}
    newest = newest_versions().select_related("constitution").defer("canonical").order_by("constitution_id").first()
    values["version"] = version_name(newest) if newest else ""
    for prompt_set in PromptSet.objects.order_by("pk"):
        values.setdefault(prompt_set.kind, [prompt_set.slug])
    return values


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _earlier(query: QueryDict) -> Run | None:
    """The run that the address names to start from."""
    like = _uuid(query.get("like", ""))
    runs = Run.objects.select_related("version__constitution", "source")
    return runs.filter(pk=like).exclude(preset="write").first() if like else None


def _not_here(earlier: Run, form: LaunchForm) -> Reading | None:
    """What an earlier run was launched with and cannot be chosen any more; None when all of it can."""
    faults = read_run_file(text_of_run(earlier), offered_by(form)).faults
    return Reading("", faults, is_from_run=True) if faults else None


def _page(
    request: AuthenticatedHttpRequest,
    form: LaunchForm,
    *,
    status: int = 200,
    reading: Reading | None = None,
    like: Run | None = None,
    part: str = "form",
) -> HttpResponse:
    """The whole page, or the part of it that htmx asks for."""
    context = {
        "form": form,
        "plan": LaunchPlan(form),
        "reading": reading,
        "like": like,
        "run_text": reading.text if reading else request.POST.get("run_text", ""),
        "can_anything": bool(form.versions),
    }
    template = f"training/launch.html#{part}" if request.htmx else "training/launch.html"
    return render(request, template, context, status=status)
