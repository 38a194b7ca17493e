"""The bias meter: whether auditors and judges choose by side, length or order, and how long people take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from django.contrib.auth.models import User
from django.db.models.functions import Length
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe
from django.views.decorators.vary import vary_on_headers

from constitutions_app.access import AuthenticatedHttpRequest, require_role
from training_app.access import Person, hidden_items
from training_app.core.bias import Bias, Chosen, Orders, bias_of, orders_of
from training_app.models import AILabel, Audit, Judge

NEWEST_AUDITS = 20_000
NEWEST_LABELS = 2_000
"""Of each judge; older ones say what it did then."""
MOST_JUDGES = 20
LENGTHS = ("label__comparison__response_a", "label__comparison__response_b")


@dataclass(frozen=True)
class AuditorBias:
    """One auditor and the bias of their choices."""

    person: User
    bias: Bias


@dataclass(frozen=True)
class JudgeBias:
    """One judge and the bias of its newest labels."""

    judge: Judge
    orders: Orders


@require_safe
@require_role()
@vary_on_headers("HX-Request")
def bias(request: AuthenticatedHttpRequest) -> HttpResponse:
    """Both tables; without what this person has yet to judge blind."""
    context = {
        "auditors": auditors(request.user),
        "judges": judges(request.user),
        "newest_audits": NEWEST_AUDITS,
        "newest_labels": NEWEST_LABELS,
    }
    return render(request, "training/bias.html", context)


def auditors(reader: Person) -> Sequence[AuditorBias]:
    """Everybody who chose lately, by name. Two queries."""
    audits = Audit.objects.filter(label__isnull=False, choice__in=("a", "b"))
    audits = audits.exclude(label__in=hidden_items(reader, "label")).order_by("-created_at")
    lengths = [Length(path) for path in LENGTHS]
    rows = audits.values_list("auditor", "blind_choice", "choice", "shown_first", "seconds", *lengths)[:NEWEST_AUDITS]
    told = sorted(rows, key=lambda row: row[0])
    people = User.objects.in_bulk({row[0] for row in told})
    found = [
        AuditorBias(people[pk], bias_of(Chosen(row[1] or row[2], row[3], row[5], row[6], row[4]) for row in group))
        for pk, group in groupby(told, key=lambda row: row[0])
    ]
    return sorted(found, key=lambda one: one.person.username)


def judges(reader: Person) -> Sequence[JudgeBias]:
    """The newest judges with their newest labels. A query for each, and one."""
    found = []
    for judge in Judge.objects.order_by("-pk")[:MOST_JUDGES]:
        labels = AILabel.objects.filter(judge=judge).exclude(pk__in=hidden_items(reader, "label")).order_by("-pk")
        lengths = (Length("comparison__response_a"), Length("comparison__response_b"))
        rows = list(labels.values_list("p_ab", "p_ba", *lengths)[:NEWEST_LABELS])
        if rows:
            found.append(JudgeBias(judge, orders_of(rows)))
    return found
