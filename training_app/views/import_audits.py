"""Import of audits made elsewhere: a file and a run become audits, or every place not understood is named."""

from __future__ import annotations

from collections.abc import Sequence

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods
from django.views.decorators.vary import vary_on_headers

from constitutions_app.access import AuthenticatedHttpRequest, Role, require_role
from training_app.actions import import_audits
from training_app.audit_files import LARGEST_FILE, MatchedFile, match_file
from training_app.models import Run
from training_app.refusals import AuditFileRefused

MOST_NAMED = 50
MOST_RUNS = 200


class ImportAuditsForm(forms.Form):
    """A file, the run whose labels it judges, and where it comes from."""

    file = forms.FileField(help_text="Our own export of labels (JSONL), or annotated pairs (ICAI 2.0, JSON).")
    run = forms.ModelChoiceField(queryset=Run.objects.none(), help_text="Whose labels the file judges.")
    source = forms.CharField(
        max_length=200, label="Where from", help_text="Kept with every verdict: who gave them, and with which tool."
    )
    check_only = forms.BooleanField(required=False, label="Only look: say what is understood, and import nothing")

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]  # whatever Form takes
        field = self.fields["run"]
        if isinstance(field, forms.ModelChoiceField):
            newest = Run.objects.order_by("-number").values("pk")[:MOST_RUNS]
            field.queryset = Run.objects.filter(pk__in=newest).order_by("-number")


@require_http_methods(["GET", "HEAD", "POST"])
@require_role(Role.ENGINEER, Role.AUDITOR)
@vary_on_headers("HX-Request")
def import_audits_page(request: AuthenticatedHttpRequest) -> HttpResponse:
    """Look at a file, or import it; then the numbers of its run."""
    form = ImportAuditsForm(request.POST or None, request.FILES or None)
    seen: MatchedFile | None = None
    if form.is_valid():
        said = form.cleaned_data
        content = said["file"].read(LARGEST_FILE + 1)
        if said["check_only"]:
            seen = match_file(content, said["run"])
            _name(form, seen.problems)
        elif _imported(request, form, content):
            return redirect(f"{reverse('training:numbers')}?run={said['run'].number}")
    context = {"form": form, "seen": seen}
    return render(request, "training/import_audits.html", context, status=422 if form.errors else 200)


def _imported(request: AuthenticatedHttpRequest, form: ImportAuditsForm, content: bytes) -> bool:
    said = form.cleaned_data
    try:
        made = import_audits(
            user=request.user,
            run=said["run"],
            content=content,
            file_name=said["file"].name,
            source=said["source"],
        )
    except AuditFileRefused as refusal:
        _name(form, refusal.problems)
        form.add_error(None, "Nothing was imported. Mend the file, or choose another run, and choose it again.")
        return False
    messages.success(request, f"{made.file_name} holds {made.rows} verdicts on the labels of {made.run}.")
    return True


def _name(form: ImportAuditsForm, problems: Sequence[str]) -> None:
    """Beside the file, every place that was not understood, as many as a page can show."""
    for problem in problems[:MOST_NAMED]:
        form.add_error("file", problem)
    if (more := len(problems) - MOST_NAMED) > 0:
        form.add_error("file", f"And {more} more places.")
