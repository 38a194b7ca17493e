"""Checkpoints, what they learnt from, and whether their files still are what they were."""

from __future__ import annotations

from dataclasses import dataclass

from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.template.defaultfilters import filesizeformat
from django.views.decorators.http import require_http_methods, require_safe
from django.views.decorators.vary import vary_on_headers

from constitutions_app.access import AuthenticatedHttpRequest, get_principle_for, get_version_for, require_role
from training_app import artifacts, lineage, signatures
from training_app.access import (
    can_launch,
    get_build_for,
    get_checkpoint_for,
    get_checkpoint_to_download_for,
    hides_judgement,
)
from training_app.build_items import BuildCounts
from training_app.core.manifest import MANIFEST
from training_app.gates import gate_among, gate_of
from training_app.graph_drawing import draw
from training_app.lineage_graph import MOST_BECAME, graph_of
from training_app.measured import measured_rows
from training_app.mixture import mixture_of
from training_app.models import Audit, Checkpoint, DatasetBuild, DatasetItem, Evaluation
from training_app.templatetags.plainly import in_words
from training_app.verification import verification_of
from training_app.views.paging import page_of
from training_app.views.sending import send_known_file

MOST_CHANGES = 50
"""Audits that changed the data, listed on a checkpoint's page."""


@dataclass(frozen=True)
class ListedFile:
    """One file of the manifest."""

    name: str
    bytes: int
    digest: str


@require_safe
@require_role()
@vary_on_headers("HX-Request")
def checkpoints(request: AuthenticatedHttpRequest) -> HttpResponse:
    """Every checkpoint, newest first."""
    listed = Checkpoint.objects.select_related("run", "version__constitution").defer("manifest", "version__canonical")
    listed = listed.prefetch_related("aliases")
    page = page_of(listed, request, newest_first=True)
    return render(request, f"training/checkpoints.html{'#results' if request.htmx else ''}", {"page": page})


@require_safe
@require_role()
@vary_on_headers("HX-Request")
def checkpoint_file(request: AuthenticatedHttpRequest, pk: int, file: str) -> HttpResponse:
    """The manifest, or a file that it lists, for engineers; a download that broke off goes on where it was."""
    read = get_checkpoint_to_download_for(request.user, pk)
    digests = {MANIFEST: read.digest, **{one.name: one.digest for one in files_of(read)}}
    content = artifacts.open_file(read, file) if file in digests else None
    if content is None:
        raise Http404("This file of the checkpoint is not there: it never had one, or its weights were deleted.")
    name = f"run-{read.run.number}-{read.stage}-{file.replace('/', '-')}"
    return send_known_file(request, content, name, digests[file])


@require_http_methods(["GET", "HEAD", "POST"])
@require_role()
@vary_on_headers("HX-Request")
def checkpoint(request: AuthenticatedHttpRequest, pk: int) -> HttpResponse:
    """One checkpoint with everything that made it. Posting recomputes every digest and changes nothing."""
    read = get_checkpoint_for(request.user, pk)
    verified = verification_of(read) if request.method == "POST" else None
    if request.htmx and verified:
        return render(request, "training/checkpoint.html#verification", {"checkpoint": read, "verified": verified})
    line = lineage.of_checkpoint(read)
    evaluations = Evaluation.objects.filter(run=read.run_id).select_related("checkpoint")
    changes = audits_that_changed(line.builds)
    hidden = hides_judgement(request.user, changes)
    context = {
        "checkpoint": read,
        "line": line,
        "learnt": line.learnt,
        "builds": [(one, line.seen.of_build.get(one.pk, BuildCounts()).changed) for one in line.builds],
        "picture": draw(graph_of(line)),
        "not_drawn": len(line.descendants[MOST_BECAME:]),
        "gate": gate_among(line.builds),
        "files": files_of(read),
        "can_download": can_launch(request.user),
        "hardware": hardware_of(read),
        "verified": verified,
        "signing": signatures.signing_of(read),
        "evaluations": measured_rows(evaluations, this=read),
        "changes": [one for one in changes if one not in hidden],
    }
    return render(request, "training/checkpoint.html", context)


@require_safe
@require_role()
@vary_on_headers("HX-Request")
def build(request: AuthenticatedHttpRequest, pk: int) -> HttpResponse:
    """One dataset build: its rules, and every row with the item it came from."""
    read = get_build_for(request.user, pk)
    items = DatasetItem.objects.filter(build=read).select_related(
        "step__trace__prompt", "step__principle", "trace__prompt", "label__comparison", "label__principle",
        "comparison__prompt_set", "audit__auditor",
    )  # fmt: skip
    items = items.defer("step__sent_critique", "step__sent_revision", "label__sent_ab", "label__sent_ba")
    page = page_of(items, request, by=("position", "part"))
    shown = (thing for item in page.rows for thing in (item.label, item.step, item.comparison))
    context = {
        "build": read,
        "page": page,
        "hidden": hides_judgement(request.user, shown),
        "taught": lineage.of_build(read),
        "rules": rules_in_words(read),
        "gate": gate_of(read),
        "mixture": mixture_of(read),
    }
    return render(request, f"training/build.html{'#results' if request.htmx else ''}", context)


@require_safe
@require_role()
@vary_on_headers("HX-Request")
def version_checkpoints(request: AuthenticatedHttpRequest, slug: str, number: int) -> HttpResponse:
    """What one version made: a page of its own, or the fragment that the version's page asks for."""
    version = get_version_for(request.user, slug, number)
    context = {"version": version, "line": lineage.of_version(version), "can_launch": can_launch(request.user)}
    part = "#made" if request.htmx else ""
    return render(request, f"training/version_checkpoints.html{part}", context)


@require_safe
@require_role()
@vary_on_headers("HX-Request")
def principle_checkpoints(request: AuthenticatedHttpRequest, slug: str, number: int, key: str) -> HttpResponse:
    """What one principle at one version did: a page of its own, or the fragment that the principle's page asks for."""
    principle = get_principle_for(request.user, slug, number, key)
    context = {"principle": principle, "version": principle.version, "line": lineage.of_principle(principle)}
    part = "#did" if request.htmx else ""
    return render(request, f"training/principle_checkpoints.html{part}", context)


def files_of(read: Checkpoint) -> list[ListedFile]:
    """The files that the manifest lists, largest first. No query, no file read."""
    files = read.manifest.get("files") or {}
    listed = [ListedFile(name, int(entry["bytes"]), str(entry["sha256"])) for name, entry in files.items()]
    return sorted(listed, key=lambda file: (-file.bytes, file.name))


def hardware_of(read: Checkpoint) -> list[tuple[str, str]]:
    """What it was made on, as pairs of words."""
    said = read.manifest.get("hardware") or {}
    return [
        (name.removesuffix("_bytes"), filesizeformat(value)) if name.endswith("_bytes") else (name, str(value))
        for name, value in said.items()
    ]


def audits_that_changed(builds: tuple[DatasetBuild, ...]) -> list[Audit]:
    """The audits that changed a row of these builds, newest first. One query."""
    audits = Audit.objects.filter(used_in__build__in=builds).select_related("auditor", "label", "step").distinct()
    return list(audits.order_by("-created_at")[:MOST_CHANGES])


def rules_in_words(read: DatasetBuild) -> list[tuple[str, str]]:
    """The rules and counts of a build as pairs of words, nested ones joined."""
    return [(name.replace("_", " "), _in_words(value)) for name, value in read.rules.items() if name != "gate"]


def _in_words(value: object) -> str:
    if isinstance(value, dict):
        parts = (f"{name.replace('_', ' ')}: {_in_words(part).rstrip('.')}" for name, part in value.items())
        return "; ".join(parts) or "none"
    if isinstance(value, list):
        return ", ".join(map(_in_words, value)) or "none"
    return in_words(value)
