"""The launch form as a YAML file: written from a run or from the form, read back into it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.core.files.uploadedfile import UploadedFile
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_safe
from django.views.decorators.vary import vary_on_headers

from constitutions_app.access import AuthenticatedHttpRequest, require_role
from training_app.access import get_run_for
from training_app.arms import name_of
from training_app.base_models import BadBaseModel, find_base_model
from training_app.forms import LaunchForm, overrides_in, values_of_preset, version_name
from training_app.models import PromptSet, Run
from training_app.run_files import LARGEST, NAMED, Fault, Offered, RunFile, read_run_file, write_run_file


@dataclass(frozen=True)
class Reading:
    """A file as it was read into the form: its text, and what of it could not be used."""

    text: str
    faults: Sequence[Fault]
    is_from_run: bool = False


@require_safe
@require_role()
@vary_on_headers("HX-Request")
def run_file(request: AuthenticatedHttpRequest, run_id: UUID) -> HttpResponse:
    """The configuration of a run as a file."""
    run = get_run_for(request.user, run_id)
    if run.preset == "write":
        raise Http404("A run that writes prompts has no such file.")
    return _download(text_of_run(run), f"run-{run.number}.yaml")


def form_as_file(form: LaunchForm) -> HttpResponse:
    """What a valid form says, as a file."""
    said = form.cleaned_data
    version, sets = said["version"], said["prompt_sets"]
    also = [version_name(one) for one in said["also"]]
    names = {name_of(one): version_name(one) for one in (version, *said["also"])}
    expects = [f"{names.get(one.arm, one.arm)}: {one.words}" for one in said["expects"]]
    choices = {**said, "version": version_name(version), "also": also, "expects": expects}
    choices["prompt_sets"] = [one.slug for one in sets]
    digests = {"version": version.digest, "prompt_sets": {one.slug: one.digest for one in sets}}
    return _download(write_run_file(choices, overrides_in(said), digests, title="A run to be launched."), "run.yaml")


def text_of_run(run: Run) -> str:
    """A run's configuration as a file's text. Three queries."""
    sets = list(run.prompt_sets.all())
    choices: dict[str, Any] = {"version": version_name(run.version), "base_model": run.base_model["name"]}
    choices |= {role: chosen["name"] for role, chosen in run.other_models.items()}
    choices |= {"preset": run.preset, "seed": run.seed, "name": run.name, "prompt_sets": [one.slug for one in sets]}
    digests = {
        "version": run.version.digest,
        "base_model": run.base_model.get("digest", ""),
        "prompt_sets": {one.slug: one.digest for one in sets},
    }
    return write_run_file(choices, run.config, digests, title=f"Run {run.number}.")


def read_into(form: LaunchForm, request: HttpRequest) -> tuple[dict[str, Any], Reading]:
    """What the form shows once a file is read into it: its values, over what was typed; and how the reading went.

    Where the file names a preset, the options it leaves out have that preset's values.
    """
    text, fault = _text_sent(request)
    shown = {name: form[name].value() for name in form.fields}
    if fault:
        return shown, Reading(text, [fault])
    read = read_run_file(text, offered_by(form))
    faults = [*read.faults, *_other_weights(read)]
    return shown | values_in(form, read), Reading(text, sorted(faults, key=lambda one: one.line))


def values_in(form: LaunchForm, read: RunFile) -> dict[str, Any]:
    """The form's values for what a file says."""
    values = {name: said for name, said in read.choices.items() if name != "prompt_sets"}
    if "preset" in values:
        values = values_of_preset(str(values["preset"])) | values
    if "expects" in read.choices:
        values["expects"] = "\n".join(read.choices["expects"])
    if "prompt_sets" in read.choices:
        chosen = [form.prompt_sets[slug] for slug in read.choices["prompt_sets"]]
        for kind in PromptSet.Kind.values:
            values[kind] = [one.slug for one in chosen if one.kind == kind]
    return values | read.options


def offered_by(form: LaunchForm) -> Offered:
    """What can be chosen in this form."""
    names: Mapping[str, list[str]] = {
        name: [str(value) for value, _ in getattr(form.fields[name], "choices", ())] for name in NAMED
    }
    return Offered(
        names,
        {slug: one.digest for slug, one in form.prompt_sets.items()},
        {name: version.digest for name, version in form.versions.items()},
    )


def _text_sent(request: HttpRequest) -> tuple[str, Fault | None]:
    """The uploaded file's text, else what stands in the field; and what is wrong with it."""
    sent = request.FILES.get("run_file")
    if isinstance(sent, UploadedFile):
        try:
            return sent.read(4 * LARGEST + 1).decode("utf-8"), None
        except UnicodeDecodeError:
            return "", Fault(1, "", "The file is not text in UTF-8.")
    text = str(request.POST.get("run_text", ""))
    return text, None if text.strip() else Fault(1, "", "There is nothing to read. Choose a file, or paste its text.")


def _other_weights(read: RunFile) -> list[Fault]:
    """A fault when the model's folder holds other weights than the file was written with. Reads the weights."""
    name = read.choices.get("base_model")
    if not name or not read.base_model_digest:
        return []
    try:
        same = find_base_model(str(name)).digest == read.base_model_digest
    except BadBaseModel as error:
        return [Fault(read.base_model_line, "base_model", str(error))]
    words = "Under this name other weights lie here than the file was written with."
    return [] if same else [Fault(read.base_model_line, "digests.base_model", words)]


def _download(text: str, name: str) -> HttpResponse:
    response = HttpResponse(text, content_type="application/yaml; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response
