"""Files of what was judged: asked for, seen coming, downloaded. Small ones of a run also at once."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe
from django.views.decorators.vary import vary_on_headers

from constitutions_app.access import AuthenticatedHttpRequest, require_role
from training_app.access import exports_of, get_export_for, get_run_for
from training_app.actions import cancel_export, export_items, export_run
from training_app.explorer.filters import Filters
from training_app.export_jobs import NotTold, open_for
from training_app.exports import ENDINGS, FORMATS, is_small, write_export
from training_app.models import Export
from training_app.preference_rows import left_out_for
from training_app.refusals import ExportRefused
from training_app.views.export_rows import file_name, rows_of
from training_app.views.sending import send_file, send_known_file
from training_app.views.steering import refusal_said

SHOWN = 50
"""Exports listed, the newest. The API lists all."""


@require_safe
@require_role()
@vary_on_headers("HX-Request")
def exports(request: AuthenticatedHttpRequest) -> HttpResponse:
    """The person's own exports. While one is under way the list asks for itself again."""
    rows = rows_of(exports_of(request.user)[:SHOWN])
    context = {"rows": rows, "is_under_way": any(not row.export.has_ended for row in rows)}
    return render(request, f"training/exports.html{'#results' if request.htmx else ''}", context)


@require_POST
@require_role()
def ask_export(request: AuthenticatedHttpRequest) -> HttpResponse:
    """Has what fits a question of the explorer written into a file."""
    asked = Filters.from_query(request.GET)
    form, _, with_texts = request.POST.get("file", "").partition(".")
    texts = Export.Texts.ALL if "veiled" in request.POST else Export.Texts.VEILED
    try:
        export_items(user=request.user, asked=asked, form=form, texts=texts if with_texts else "",
                     say=partial(messages.warning, request))  # fmt: skip
    except ExportRefused as refusal:
        messages.error(request, str(refusal))
        return redirect(f"{reverse('training:explore')}?{asked.to_query().urlencode()}")
    return redirect("training:exports")


@require_POST
@require_role()
def ask_run_export(request: AuthenticatedHttpRequest, run_id: UUID) -> HttpResponse:
    """Has the labels or the traces of a run written into a file."""
    run = get_run_for(request.user, run_id)
    what, _, form = request.POST.get("file", "").partition(".")
    try:
        export_run(user=request.user, run=run, what=what, form=form, say=partial(messages.warning, request))
    except ExportRefused as refusal:
        messages.error(request, str(refusal))
        return redirect("training:run", run_id)
    return redirect("training:exports")


@require_POST
@require_role()
def cancel(request: AuthenticatedHttpRequest, pk: UUID) -> HttpResponse:
    """Ends an export that is queued or written."""
    export = get_export_for(request.user, pk)
    with refusal_said(request, "The export is cancelled. What there was of its file is deleted."):
        cancel_export(user=request.user, export=export)
    return redirect("training:exports")


@require_safe
@require_role()
@vary_on_headers("HX-Request")
def export_file(request: AuthenticatedHttpRequest, pk: UUID) -> HttpResponse:
    """The file of one's own export; a download that broke off goes on where it was."""
    export = get_export_for(request.user, pk)
    try:
        return send_known_file(request, open_for(request.user, export), file_name(export), export.digest)
    except NotTold as reason:
        messages.error(request, str(reason))
        return redirect("training:exports")


@require_safe
@require_role()
@vary_on_headers("HX-Request")
def export_feedback(request: AuthenticatedHttpRequest, run_id: UUID, what: str, form: str) -> HttpResponse:
    """The labels or the traces of a small run as one file, without what this person has yet to judge blind."""
    run = get_run_for(request.user, run_id)
    if form not in FORMATS.get(what, ()):
        raise Http404("There is no such export.")
    if not is_small(run, what):
        return _too_large(request, run_id)
    file = tempfile.NamedTemporaryFile(prefix="export-")  # noqa: SIM115  # closed with the response
    write_export(run, what, form, Path(file.name), left_out_for(request.user))
    return send_file(request, file, f"run-{run.number}-{what}.{ENDINGS[form]}")


def _too_large(request: HttpRequest, run_id: UUID) -> HttpResponse:
    messages.info(request, "This run is too large to be written while you wait. Export it here: a worker writes it.")
    return redirect(f"{reverse('training:run', args=[run_id])}#export")
