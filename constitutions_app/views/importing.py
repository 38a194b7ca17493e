"""Importing: a file is uploaded, read and shown; its two lists are linked; and only then is anything written."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from constitutions_app import actions
from constitutions_app.access import (
    WRITERS,
    AuthenticatedHttpRequest,
    get_draft_for,
    get_editable_draft_for,
    get_import_for,
    get_upload_for,
    require_role,
)
from constitutions_app.comparing import compare
from constitutions_app.core.interchange import FORMATS, Imported
from constitutions_app.core.interchange.joining import WAYS, joined
from constitutions_app.forms.importing import LinkForm, NewUploadForm, UploadForm, WriteImportForm
from constitutions_app.ledger import name_of
from constitutions_app.models import Draft, Upload
from constitutions_app.uploads import imported, links_chosen, lists_to_link

SHOWN = 200
"""Most principles and scenarios of a preview that are shown one by one; all of them are written."""


@require_http_methods(["GET", "HEAD", "POST"])
@require_role(*WRITERS)
def upload(request: AuthenticatedHttpRequest) -> HttpResponse:
    """Choose a file or paste a text. `?into=` remembers the draft it is meant for."""
    form = NewUploadForm(*_sent(request))
    if request.method == "POST" and form.is_valid():
        said = form.cleaned_data
        data, name = said["content"]
        kept = actions.keep_upload(
            user=request.user,
            name=name,
            data=data,
            format=said["format"],
            licence=said["licence"],
            link=said["link"],
            beside=said["examples"],
        )
        return _to_preview(request, kept)
    waiting = Upload.objects.filter(person=request.user).only("file_name", "created_at")
    ctx = {"form": form, "waiting": waiting, "into": request.GET.get("into", "")}
    return render(request, "constitutions/import.html", ctx, status=422 if form.errors else 200)


@require_http_methods(["GET", "HEAD", "POST"])
@require_role(*WRITERS)
def preview(request: AuthenticatedHttpRequest, upload_id: UUID) -> HttpResponse:
    """What was understood, what was not and why, and what writing it would do. A POST writes it."""
    kept = get_upload_for(request.user, upload_id)
    found = imported(kept)
    if request.method != "POST":
        return _preview(request, kept, found)
    form = WriteImportForm(request.POST)
    if not form.is_valid():
        return _preview(request, kept, found, refusal=str(next(iter(form.errors.values()))[0]))
    try:
        page = _write(request, kept, found, form.cleaned_data)
    except actions.AlreadyWritten as refusal:
        return _gone(request, refusal)
    except actions.Refused as refusal:
        return _preview(request, kept, found, refusal=str(refusal))
    return page


@require_POST
@require_role(*WRITERS)
def more(request: AuthenticatedHttpRequest, upload_id: UUID) -> HttpResponse:
    """Read it as another format, or add the second file, examples or the licence."""
    kept = get_upload_for(request.user, upload_id)
    form = UploadForm(*_sent(request))
    if not form.is_valid():
        return _preview(request, kept, imported(kept), more_form=form)
    said = form.cleaned_data
    try:
        actions.add_to_upload(
            upload=kept, format=said["format"], licence=said["licence"], link=said["link"], beside=said["examples"]
        )
    except actions.AlreadyWritten as refusal:
        return _gone(request, refusal)
    except actions.Refused as refusal:
        form.add_error("examples", str(refusal))
        return _preview(request, kept, imported(kept), more_form=form)
    return _to_preview(request, kept)


@require_http_methods(["GET", "HEAD", "POST"])
@require_role(*WRITERS)
def links(request: AuthenticatedHttpRequest, upload_id: UUID) -> HttpResponse:
    """Link the paper's two lists by hand; a link counts as unconfirmed until its box is ticked."""
    kept = get_upload_for(request.user, upload_id)
    lists = lists_to_link(kept)
    if lists is None:
        messages.info(request, "There is nothing to link: that takes a file of pairs and a file of questions.")
        return redirect("constitutions:import_preview", kept.pk)
    pairs, questions = lists
    form = LinkForm(
        request.POST if request.method == "POST" else None,
        pairs=pairs,
        questions=questions,
        initial=links_chosen(kept, [pair.id for pair in pairs], len(questions)),
    )
    if request.method == "POST" and form.is_valid():
        try:
            actions.choose_links(upload=kept, choices=form.chosen())
        except actions.AlreadyWritten as refusal:
            return _gone(request, refusal)
        except actions.Refused as refusal:
            form.add_error(None, f"{refusal} Nothing was kept yet; your choices are below.")
        else:
            return _to_preview(request, kept)
    rows = [(pair, form[f"question-{n}"], form[f"confirmed-{n}"]) for n, pair in enumerate(pairs)]
    ctx = {"upload": kept, "form": form, "rows": rows, "questions": questions, "into": request.GET.get("into", "")}
    return render(request, "constitutions/import_links.html", ctx, status=422 if form.errors else 200)


@require_POST
@require_role(*WRITERS)
def discard(request: AuthenticatedHttpRequest, upload_id: UUID) -> HttpResponse:
    kept = get_upload_for(request.user, upload_id)
    actions.discard_upload(upload=kept)
    messages.success(request, f"{kept.file_name} is forgotten. Nothing of it was written.")
    return redirect("constitutions:import")


@require_safe
@require_role()
def record(request: AuthenticatedHttpRequest, slug: str, number: int) -> HttpResponse:
    """What an imported file was, what it said beyond the words, and what of it was not understood."""
    kept = get_import_for(request.user, slug, number)
    ctx = {
        "constitution": kept.constitution,
        "import": kept,
        "number": number,
        "format_words": FORMATS.get(kept.format, kept.format),
        "facts": list(kept.provenance.items())[:SHOWN],
        "fact_count": len(kept.provenance),
    }
    return render(request, "constitutions/import_record.html", ctx)


def _sent(request: AuthenticatedHttpRequest) -> tuple[Any, Any]:
    return (request.POST, request.FILES) if request.method == "POST" else (None, None)


def _to_preview(request: AuthenticatedHttpRequest, kept: Upload) -> HttpResponse:
    """The preview's address keeps where the import is meant to go."""
    meant = {name: request.GET[name] for name in ("into", "way") if request.GET.get(name)}
    return redirect(reverse("constitutions:import_preview", args=[kept.pk], query=meant))


def _gone(request: AuthenticatedHttpRequest, refusal: actions.AlreadyWritten) -> HttpResponse:
    """Where a button was pressed twice: to the page of imports, with what happened."""
    messages.info(request, f"{refusal} Constitutions and drafts hold what was written.")
    return redirect("constitutions:import")


def _file(request: AuthenticatedHttpRequest, kept: Upload, found: Imported) -> actions.ImportedFile:
    confirmed = [key for key, said in (kept.choices or {}).items() if said["confirmed"]]
    here = {principle.id for principle in found.constitution.principles}
    return actions.ImportedFile(
        found=found,
        name=kept.file_name,
        data=bytes(kept.data),
        licence=kept.licence,
        linked_by={key: name_of(request.user) for key in confirmed if key in here},
        upload=kept.pk,
    )


def _write(request: AuthenticatedHttpRequest, kept: Upload, found: Imported, said: dict[str, Any]) -> HttpResponse:
    """Raises Refused when there is nothing to write, or something does not fit."""
    if found.is_empty:
        raise actions.Refused("Nothing of the file was understood, so there is nothing to write.")
    file = _file(request, kept, found)
    if said["into"]:
        draft = get_editable_draft_for(request.user, said["into"])
        actions.import_into_draft(
            user=request.user, draft=draft, file=file, way=said["way"] or "add", expected=said["revision"]
        )
        messages.success(request, f"{kept.file_name} is in the draft. What the draft said before is in the ledger.")
        return redirect("constitutions:draft", draft.address)
    made = actions.create_constitution(
        user=request.user,
        name=said["name"] or found.constitution.name,
        description=f"Imported from {kept.file_name} ({found.format}).",
        start=found.constitution,
        file=file,
    )
    messages.success(request, f"{made.name} is yours to write. Nothing is published yet.")
    return redirect("constitutions:detail", made.slug)


def _unfit(name: str, found: Imported) -> str:
    """Why it could not be written as a new constitution; said before anybody presses the button."""
    try:
        actions.check_start(name=name, start=found.constitution)
    except actions.Refused as refusal:
        return str(refusal)
    return ""


def _preview(
    request: AuthenticatedHttpRequest, kept: Upload, found: Imported, *, refusal: str = "", more_form: Any = None
) -> HttpResponse:
    said = request.POST if request.method == "POST" and more_form is None else request.GET
    draft = get_draft_for(request.user, said["into"]) if said.get("into") else None
    way = said["way"] if said.get("way") in WAYS else "add"
    body = found.constitution
    ctx = {
        "upload": kept,
        "found": found,
        "body": body,
        "format_words": FORMATS.get(found.format, ""),
        "principles": [(item, found.provenance.get(item.id)) for item in body.principles[:SHOWN]],
        "scenarios": found.scenarios[:SHOWN],
        "shown": SHOWN,
        "unconfirmed": {link.principle for link in found.unconfirmed_links},
        "linkable": lists_to_link(kept) is not None,
        "more_form": more_form or UploadForm(initial={"format": kept.format, "licence": kept.licence}),
        "name": said.get("name") or body.name,
        "refusal": refusal,
        "unfit": "" if refusal else _unfit(said.get("name") or body.name, found),
        "constitution": draft.constitution if draft else None,
        "drafts": Draft.objects.filter(closed_at=None).select_related("constitution").order_by("constitution__name"),
        "draft": draft,
        "way": way,
        "ways": WAYS.items(),
        "comparison": compare(now := draft.to_core(), joined(now, body, way)) if draft else None,
        "old_ref": "draft",
        "new_ref": "draft after the import",
    }
    failed = bool(refusal or (more_form is not None and more_form.errors))
    return render(request, "constitutions/import_preview.html", ctx, status=422 if failed else 200)
