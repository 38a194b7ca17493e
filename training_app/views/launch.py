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
from training_app.arms import ALONE, OFFERED
from training_app.base_models import available_names
from training_app.estimates import Estimate, estimate_for, prompts_used
from training_app.forms import LaunchForm, overrides_in, values_of_config, values_of_preset, version_name
from training_app.mixture import Mixture, expected_mixture
from training_app.models import PromptSet, Run, RunGroup
from training_app.other_models import server_choices
from training_app.refusals import LaunchRefused

DEFAULT_PRESET = "demo"
DEFAULT_SEED = 7


@require_http_methods(["GET", "HEAD", "POST"])
@require_role(Role.ENGINEER)
@vary_on_headers("HX-Request")
def launch(request: AuthenticatedHttpRequest) -> HttpResponse:
    """Fill in, look at every value, launch. `fill` lays a preset's values into the form and launches nothing."""
    if request.method == "POST" and "fill" not in request.POST:
        form = launch_form(request.POST)
        if form.is_valid() and (launched := _launched(request, form)):
            if isinstance(launched, RunGroup):
                messages.success(request, "The runs are queued. Workers take them one after another.")
                return redirect("training:run_group", launched.pk)
            messages.success(request, f"Run {launched.number} is queued. A worker takes it as soon as one is free.")
            return redirect("training:run", launched.pk)
        return _page(request, form, status=422)
    form = launch_form(initial=_initial(request.POST if request.method == "POST" else request.GET))
    return _page(request, form)


def _launched(request: AuthenticatedHttpRequest, form: LaunchForm) -> Run | RunGroup | None:
    """The run, or the runs to be compared; None when the launch was refused: the form then says why."""
    said = form.cleaned_data
    common: dict[str, Any] = {
        **{
            name: said[name]
            for name in ("version", "base_model", "prompt_sets", "preset", "name", "judge", "generator")
        },
        "user": request.user,
        "overrides": overrides_in(said),
        "say": partial(messages.warning, request),
    }
    try:
        if said["arms"] or said["seeds"] > 1:
            arms = OFFERED[said["arms"]][1] if said["arms"] else ALONE
            seeds = range(said["seed"], said["seed"] + said["seeds"])
            return launch_group(arms=arms, seeds=list(seeds), group_id=said["idempotency_key"], **common)
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
    like = _uuid(query.get("like", ""))
    earlier = Run.objects.filter(pk=like).exclude(preset="write").first() if like else None
    values = _like(earlier) if earlier else _first_choice()
    for name in ("preset", "version", "base_model", "judge", "generator", "seed", "name", "arms", "seeds"):
        values[name] = query.get(name, values.get(name))
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
    """The newest version of the oldest constitution, and the first set of each kind: the starter material."""
    values: dict[str, Any] = {"preset": DEFAULT_PRESET, "seed": DEFAULT_SEED, "name": ""}
    newest = (
        Version.objects.select_related("constitution").defer("canonical").order_by("constitution_id", "-number").first()
    )
    values["version"] = version_name(newest) if newest else ""
    for prompt_set in PromptSet.objects.order_by("pk"):
        values.setdefault(prompt_set.kind, [prompt_set.slug])
    return values


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _page(request: AuthenticatedHttpRequest, form: LaunchForm, *, status: int = 200) -> HttpResponse:
    part = "#form" if request.htmx else ""
    context = {
        "form": form,
        "estimate": _estimate(form),
        "mixture": _mixture(form),
        "can_anything": bool(form.versions),
    }
    return render(request, f"training/launch.html{part}", context, status=status)


def _estimate(form: LaunchForm) -> Estimate | None:
    """From what the form shows, valid or not: what cannot be read counts as the preset's own value."""
    sets = _sets(form)
    config = form.config_shown()
    base_model = _named(form, "base_model") or next(iter(available_names()), "")
    prompts = prompts_used(sets, config["max_prompts"])
    return estimate_for(preset=_named(form, "preset"), base_model=base_model, prompts=prompts, config=config)


def _mixture(form: LaunchForm) -> Mixture | None:
    """What the reward model's loss will be made of, from what the form shows."""
    return expected_mixture(_sets(form), form.config_shown())


def _sets(form: LaunchForm) -> list[tuple[str, int]]:
    """Kind and rows of every set the form shows as chosen."""
    shown = {name: form[name].value() for name in PromptSet.Kind.values}
    chosen = [slug for kind in PromptSet.Kind.values for slug in shown[kind] or () if slug in form.prompt_sets]
    return [(form.prompt_sets[slug].kind, form.prompt_sets[slug].rows) for slug in chosen]


def _named(form: LaunchForm, field: str) -> str:
    """What is chosen, as text that a query can hold."""
    return str(form[field].value() or "").replace("\x00", "")
