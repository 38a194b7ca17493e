"""Have a model write new red-team prompts: the form, and the run it queues."""

from __future__ import annotations

from functools import partial

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods
from django.views.decorators.vary import vary_on_headers

from constitutions_app.access import AuthenticatedHttpRequest, Role, require_role
from constitutions_app.models import Version
from training_app.actions import write_prompts as write
from training_app.base_models import available_names
from training_app.models import PromptSet, Run
from training_app.refusals import LaunchRefused
from training_app.write_form import WritePromptsForm


@require_http_methods(["GET", "HEAD", "POST"])
@require_role(Role.ENGINEER)
@vary_on_headers("HX-Request")
def write_prompts(request: AuthenticatedHttpRequest) -> HttpResponse:
    """Fill in, launch; what is refused says why, and nothing typed is lost."""
    form = _form(request)
    if form.is_bound and form.is_valid() and (run := _launched(request, form)):
        messages.success(request, f"Run {run.number} was launched. Its prompts become a set when it ends.")
        return redirect("training:run", run.pk)
    context = {"form": form, "can_write": bool(form.versions and form.prompt_sets)}
    return render(request, "training/write_prompts.html", context, status=422 if form.errors else 200)


def _launched(request: AuthenticatedHttpRequest, form: WritePromptsForm) -> Run | None:
    """The run, or None when the launch was refused; the form then says why."""
    said = form.cleaned_data
    try:
        return write(
            user=request.user,
            seeds=form.prompt_sets[said["seeds"]],
            version=form.versions[said["version"]],
            base_model=said["base_model"],
            seed=said["seed"],
            options=form.options(),
            name=said["name"],
            run_id=said["idempotency_key"],
            say=partial(messages.warning, request),
        )
    except LaunchRefused as refusal:
        form.add_error(refusal.field if refusal.field in form.fields else None, str(refusal))
        return None


def _form(request: AuthenticatedHttpRequest) -> WritePromptsForm:
    versions = (
        Version.objects.select_related("constitution").defer("canonical").order_by("constitution__name", "-number")
    )
    initial = {"seeds": request.GET.get("seeds", "").replace("\x00", "")}
    return WritePromptsForm(
        request.POST if request.method == "POST" else None,
        initial=initial,
        versions=versions,
        base_models=available_names(),
        prompt_sets=PromptSet.objects.all(),
    )
