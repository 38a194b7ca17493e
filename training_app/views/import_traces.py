"""Import of published traces: a file and a version become traces, or every place that is not understood is named."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods
from django.views.decorators.vary import vary_on_headers

from constitutions_app.access import AuthenticatedHttpRequest, Role, require_role
from training_app.actions import import_traces
from training_app.forms import ImportTracesForm
from training_app.models import TraceImport
from training_app.prompt_files import LARGEST_FILE
from training_app.refusals import TraceFileRefused

MOST_NAMED = 50
"""Places not understood that the page names; the command prints all."""


@require_http_methods(["GET", "HEAD", "POST"])
@require_role(Role.ENGINEER)
@vary_on_headers("HX-Request")
def import_traces_page(request: AuthenticatedHttpRequest) -> HttpResponse:
    """A file becomes traces that cite the chosen version's principles, or nothing is imported and it says why."""
    form = ImportTracesForm(request.POST or None, request.FILES or None)
    if form.is_valid() and (made := _imported(request, form)):
        messages.success(request, f"{made.file_name} holds {made.rows} traces with {made.steps} rounds to audit.")
        return redirect(f"{reverse('training:traces')}?file={made.pk}")
    return render(request, "training/import_traces.html", {"form": form}, status=422 if form.errors else 200)


def _imported(request: AuthenticatedHttpRequest, form: ImportTracesForm) -> TraceImport | None:
    """The import, or None when the file was refused; the form then says why, line by line."""
    said = form.cleaned_data
    try:
        return import_traces(
            user=request.user,
            version=said["version"],
            content=said["file"].read(LARGEST_FILE + 1),
            file_name=said["file"].name,
            licence=said["licence"],
        )
    except TraceFileRefused as refusal:
        for place in refusal.places[:MOST_NAMED]:
            form.add_error("file", place.sentence)
        if more := len(refusal.places) - MOST_NAMED:
            form.add_error("file", f"And {more} more places.") if more > 0 else None
        form.add_error(None, "Nothing was imported. Mend the file, or choose another version, and choose it again.")
        return None
