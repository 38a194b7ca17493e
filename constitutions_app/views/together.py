"""Several people in one draft: who is here, and what they saved."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from django.http import HttpResponse, JsonResponse
from django.views.decorators.http import require_POST

from constitutions_app import actions, presence
from constitutions_app.access import WRITERS, AuthenticatedHttpRequest, get_editable_draft_for, require_role
from constitutions_app.forms.drafts import PlaceForm
from constitutions_app.forms.principles import principle_values
from constitutions_app.models import Draft
from constitutions_app.templatetags.diffs import spelled
from constitutions_app.views import editing


@require_POST
@require_role(*WRITERS)
def here(request: AuthenticatedHttpRequest, slug: str) -> HttpResponse:
    """A page's beat: where the person is, and the revision that its form shows. Answers with who and what is new."""
    draft = get_editable_draft_for(request.user, slug)
    form = PlaceForm(request.POST)
    if not form.is_valid():
        return editing.unfit(form.errors)
    if not form.cleaned_data["place"]:
        presence.leave(request.user, draft, form.cleaned_data["left"])
        return HttpResponse(status=204)
    place = form.cleaned_data["place"]
    presence.beat(request.user, draft, place)
    people = [{**asdict(one), "name": spelled(one.name)} for one in presence.others(request.user, draft)]
    theirs = _news(draft, place, form.cleaned_data["revision"])
    return JsonResponse({"people": people, "revision": draft.revision, "theirs": theirs})


def _news(draft: Draft, place: str, known: str) -> dict[str, Any] | None:
    """What the form at `place` should show, when that is no longer what the page knows."""
    by = editing.editor_name(draft)
    if place in presence.PARTS:
        value = draft.preamble if place == "preamble" else draft.exemplars
        revision: int | str = actions.text_revision(value)
        fields: Any = {"preamble": value} if place == "preamble" else actions.exemplar_fields(draft.exemplars)
    else:
        row = draft.principles.filter(key=place).select_related("updated_by").first()
        if row is None or str(row.revision) == known:
            return None
        revision, fields, by = row.revision, principle_values(row), editing.editor_name(row)
    return None if str(revision) == known else {"revision": revision, "by": spelled(by), "fields": fields}
