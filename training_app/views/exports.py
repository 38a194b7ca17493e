"""Downloads of what a run's judge and critic said. The file is written aside first, then sent piece by piece."""

from __future__ import annotations

import tempfile
from pathlib import Path
from uuid import UUID

from django.http import Http404, HttpResponse
from django.views.decorators.http import require_safe
from django.views.decorators.vary import vary_on_headers

from constitutions_app.access import AuthenticatedHttpRequest, require_role
from training_app.access import get_run_for
from training_app.exports import ENDINGS, FORMATS, left_out_for, write_export
from training_app.views.sending import send_file


@require_safe
@require_role()
@vary_on_headers("HX-Request")
def export_feedback(request: AuthenticatedHttpRequest, run_id: UUID, what: str, form: str) -> HttpResponse:
    """The labels or the traces of a run as one file, without what this person has yet to judge blind."""
    run = get_run_for(request.user, run_id)
    if form not in FORMATS.get(what, ()):
        raise Http404("There is no such export.")
    file = tempfile.NamedTemporaryFile(prefix="export-")  # noqa: SIM115  # closed with the response
    write_export(run, what, form, Path(file.name), left_out_for(request.user))
    return send_file(request, file, f"run-{run.number}-{what}.{ENDINGS[form]}")
