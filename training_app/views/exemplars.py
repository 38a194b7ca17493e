"""The worked examples of a version for each model family: read them, and keep others for a family."""

from __future__ import annotations

import json

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods
from django.views.decorators.vary import vary_on_headers

from constitutions_app.access import AuthenticatedHttpRequest, get_version_for, require_role
from constitutions_app.models import Version
from training_app.access import can_launch, require_engineer
from training_app.actions import save_exemplars
from training_app.core.errors import BadInput
from training_app.core.exemplars import exemplar_rows, read_exemplars
from training_app.forms import ExemplarsForm
from training_app.models import ExemplarSet


@require_http_methods(["GET", "HEAD", "POST"])
@require_role()
@vary_on_headers("HX-Request")
def exemplars(request: AuthenticatedHttpRequest, slug: str, number: int) -> HttpResponse:
    """What each family is shown; posting keeps other examples for one family."""
    version = get_version_for(request.user, slug, number)
    if request.method == "POST":
        require_engineer(request.user)
    own = version.to_core().exemplars
    text = json.dumps(exemplar_rows(own), indent=2, ensure_ascii=False)
    form = ExemplarsForm(request.POST or None, initial={"exemplars": text})
    if form.is_bound and form.is_valid() and (kept := _saved(request, version, form)):
        messages.success(request, f"Runs of {kept.family} models show these examples from now on.")
        return redirect("training:exemplars", slug, number)
    context = {"version": version, "sets": _sets(version), "own": own, "form": form,
               "can_save": can_launch(request.user)}  # fmt: skip
    return render(request, "training/exemplars.html", context, status=422 if form.errors else 200)


def _saved(request: AuthenticatedHttpRequest, version: Version, form: ExemplarsForm) -> ExemplarSet | None:
    """The set, or None when the examples cannot be used; the form then says which one and why."""
    said = form.cleaned_data
    try:
        examples = read_exemplars(said["exemplars"])
    except BadInput as error:
        form.add_error("exemplars", f"{error.message} {error.advice}".strip())
        return None
    return save_exemplars(
        user=request.user, version=version, family=said["family"], exemplars=examples, note=said["note"]
    )


def _sets(version: Version) -> list[tuple[ExemplarSet, bool]]:
    """Every set of the version, newest first, and whether it is the one its family is shown."""
    found = list(ExemplarSet.objects.filter(version=version).select_related("created_by"))
    newest: dict[str, int] = {}
    for one in found:
        newest.setdefault(one.family, one.pk)
    return [(one, newest[one.family] == one.pk) for one in found]
