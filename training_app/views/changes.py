"""The page of what people changed in one dataset build."""

from __future__ import annotations

from django.db.models import Q
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe
from django.views.decorators.vary import vary_on_headers

from constitutions_app.access import AuthenticatedHttpRequest, require_role
from training_app.access import get_build_for, hides_judgement
from training_app.changes import changed_rows, left_out, rule_of
from training_app.models import DatasetItem
from training_app.verdicts import RULE
from training_app.views.paging import page_of

MOST_LEFT_OUT = 200


@require_safe
@require_role()
@vary_on_headers("HX-Request")
def changes(request: AuthenticatedHttpRequest, pk: int) -> HttpResponse:
    """Exactly the items of a build that differ because of people, before and after."""
    build = get_build_for(request.user, pk)
    touched = DatasetItem.objects.filter(Q(audit__isnull=False) | Q(adjudication__isnull=False), build=build)
    related = ("label__comparison", "label__principle", "step__trace__prompt", "step__principle")
    items = touched.select_related(*related, "audit__auditor", "adjudication__adjudicator")
    items = items.defer("step__sent_critique", "step__sent_revision", "label__sent_ab", "label__sent_ba")
    page = page_of(items, request, by=("position", "part"))
    said = build.rules.get("overridden", {})
    dropped, count = left_out(build, MOST_LEFT_OUT)
    changed = changed_rows(page.rows, rule_of(build), float(said.get("weight", 1.0)))
    dropped = dropped if page.is_first else []
    hidden = hides_judgement(request.user, [one.item for one in (*changed, *dropped)])
    context = {
        "build": build,
        "page": page,
        "changed": [one for one in changed if one.item not in hidden],
        "dropped": [one for one in dropped if one.item not in hidden],
        "kept_back": sum(one.item in hidden for one in (*changed, *dropped)),
        "dropped_count": count,
        "does": rule_of(build),
        "needed": said.get("verdicts_needed", 1),
        "rule": said.get("rule", RULE),
    }
    return render(request, "training/build_changes.html", context)
