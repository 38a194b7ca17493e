"""Scenarios: the list with how each stands under some words, one of them, and writing them."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from django.views.decorators.vary import vary_on_headers

from constitutions_app import actions
from constitutions_app.access import (
    SCENARIO_WRITERS,
    AuthenticatedHttpRequest,
    can_write_scenarios,
    get_constitution_for,
    get_draft_for,
    get_editable_scenario_for,
    get_scenario_for,
    get_version_for,
    require_role,
)
from constitutions_app.core import principles as core
from constitutions_app.core.diff import diff_words
from constitutions_app.forms.scenarios import ScenarioFilterForm, ScenarioForm
from constitutions_app.ledger import name_of
from constitutions_app.models import Constitution, Scenario
from constitutions_app.scenario_results import standings, tally

RESULTS_SHOWN = 100
TEXTS_OFFERED = 50
SCENARIOS_SHOWN = 1000


@require_safe
@require_role()
@vary_on_headers("HX-Request")
def index(request: AuthenticatedHttpRequest, slug: str) -> HttpResponse:
    """Every scenario with its result under the words asked for: the draft's, or a version's."""
    constitution = get_constitution_for(request.user, slug)
    form = _filters(request, constitution)
    ref, text = _text(request, constitution, form.cleaned_data.get("words") or "draft")
    found = standings(_asked(constitution, form.cleaned_data), text)
    state = form.cleaned_data.get("state")
    ctx = {
        "constitution": constitution,
        "form": form,
        "ref": ref,
        "rows": [one for one in found if not state or one.state == state],
        "titles": {item.id: item.title or item.id for item in text.principles},
        "tally": tally(found),
        "may_write": can_write_scenarios(request.user),
        "filtered": any(form.cleaned_data.get(name) for name in ("principle", "state", "retired")),
    }
    return render(request, f"constitutions/scenarios.html{'#results' if request.htmx else ''}", ctx)


@require_safe
@require_role()
def scenario(request: AuthenticatedHttpRequest, slug: str, key: str) -> HttpResponse:
    """One scenario, with what judges said of it, newest first."""
    read = get_scenario_for(request.user, slug, key)
    draft = get_draft_for(request.user, slug).to_core()
    versions = dict(read.constitution.versions.values_list("digest", "number"))
    results = list(read.results.all()[:RESULTS_SHOWN])
    ctx = {
        "constitution": read.constitution,
        "scenario": read,
        "standing": standings([read], draft)[0],
        "titles": {item.id: item.title or item.id for item in draft.principles},
        "results": [(result, versions.get(result.constitution_digest)) for result in results],
        "draft_digest": core.digest(draft),
        "may_write": can_write_scenarios(request.user),
    }
    return render(request, "constitutions/scenario.html", ctx)


@require_http_methods(["GET", "HEAD", "POST"])
@require_role(*SCENARIO_WRITERS)
def create(request: AuthenticatedHttpRequest, slug: str) -> HttpResponse:
    """A new one; `?principle=` ticks a principle."""
    constitution = get_constitution_for(request.user, slug)
    form = ScenarioForm(
        request.POST if request.method == "POST" else None,
        choices=_principles(constitution),
        initial={"principles": request.GET.getlist("principle")},
    )
    if request.method == "POST" and form.is_valid():
        try:
            made = actions.create_scenario(user=request.user, constitution=constitution, **form.cleaned_data)
        except actions.Refused as refusal:
            form.add_error(None, str(refusal))
        else:
            messages.success(request, f"“{made}” is kept. It has no result until a judge is asked.")
            return redirect("constitutions:scenario", slug, made.key)
    return _form_page(request, constitution, form, 422 if form.errors else 200)


@require_http_methods(["GET", "HEAD", "POST"])
@require_role(*SCENARIO_WRITERS)
def edit(request: AuthenticatedHttpRequest, slug: str, key: str) -> HttpResponse:
    """Change one; a save made from older words is refused, with both texts shown."""
    read = get_editable_scenario_for(request.user, slug, key)
    form = ScenarioForm(
        request.POST if request.method == "POST" else None,
        choices=_principles(read.constitution, read.principles),
        initial={name: getattr(read, name) for name in actions.SCENARIO_FIELDS},
    )
    if request.method == "POST" and form.is_valid():
        try:
            actions.edit_scenario(
                user=request.user, scenario=read, revision=_revision(request), changes=form.cleaned_data
            )
        except actions.ScenarioConflict as conflict:
            return _conflict(request, conflict.current, form)
        except actions.Refused as refusal:
            form.add_error(None, str(refusal))
        else:
            messages.success(request, "Saved.")
            return redirect("constitutions:scenario", slug, key)
    status = 422 if form.errors else 200
    return _form_page(request, read.constitution, form, status, scenario=read, revision=read.revision)


@require_POST
@require_role(*SCENARIO_WRITERS)
def retire(request: AuthenticatedHttpRequest, slug: str, key: str) -> HttpResponse:
    actions.retire_scenario(user=request.user, scenario=get_editable_scenario_for(request.user, slug, key))
    messages.success(request, "Retired: it is not asked for any more. Its results are kept, and it can be restored.")
    return redirect("constitutions:scenario", slug, key)


@require_POST
@require_role(*SCENARIO_WRITERS)
def restore(request: AuthenticatedHttpRequest, slug: str, key: str) -> HttpResponse:
    actions.restore_scenario(user=request.user, scenario=get_editable_scenario_for(request.user, slug, key))
    messages.success(request, "Back in use.")
    return redirect("constitutions:scenario", slug, key)


def _filters(request: HttpRequest, constitution: Constitution) -> ScenarioFilterForm:
    numbers = constitution.versions.values_list("number", flat=True)[:TEXTS_OFFERED]
    texts = [("draft", "the draft"), *((f"v{number}", f"v{number}") for number in numbers)]
    form = ScenarioFilterForm(request.GET, principles=_principles(constitution), texts=texts)
    form.is_valid()
    return form


def _text(request: AuthenticatedHttpRequest, constitution: Constitution, ref: str) -> tuple[str, core.Constitution]:
    if ref == "draft":
        return ref, get_draft_for(request.user, constitution.slug).to_core()
    return ref, get_version_for(request.user, constitution.slug, int(ref.removeprefix("v"))).to_core()


def _asked(constitution: Constitution, asked: dict[str, Any]) -> list[Scenario]:
    rows = Scenario.objects.filter(constitution=constitution, retired_at__isnull=not asked.get("retired"))
    if asked.get("principle"):
        rows = rows.filter(principles__contains=[asked["principle"]])
    return list(rows[:SCENARIOS_SHOWN])


def _principles(constitution: Constitution, more: list[str] | None = None) -> list[tuple[str, str]]:
    """The draft's principles as choices, and `more` keys that are no longer in it."""
    rows = constitution.draft.principles.values_list("key", "title")
    choices = [(key, title or key) for key, title in rows]
    known = {key for key, _ in choices}
    return [*choices, *((key, f"{key} (not in the draft)") for key in more or [] if key not in known)]


def _revision(request: HttpRequest) -> int:
    given = request.POST.get("revision", "")
    return int(given) if given.isascii() and given.isdigit() and len(given) < 10 else -1


def _conflict(request: AuthenticatedHttpRequest, current: Scenario, form: ScenarioForm) -> HttpResponse:
    clashes = [
        (form.fields[name].label or name, diff_words(_shown(getattr(current, name)), _shown(mine)))
        for name, mine in form.cleaned_data.items()
        if getattr(current, name) != mine
    ]
    by = name_of(current.updated_by)
    # The revision becomes the current one: whoever has read both texts here and saves again means it.
    return _form_page(
        request, current.constitution, form, 409, scenario=current, revision=current.revision, clashes=clashes, by=by
    )


def _shown(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _form_page(
    request: AuthenticatedHttpRequest, constitution: Constitution, form: ScenarioForm, status: int, **extra: object
) -> HttpResponse:
    ctx = {"constitution": constitution, "form": form, **extra}
    return render(request, "constitutions/scenario_form.html", ctx, status=status)
