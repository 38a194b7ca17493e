"""The verbs of exports: asking for a file of what was judged, and letting go of one that is not written yet."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib.auth.models import User
from django.db import transaction

from constitutions_app.ledger import record
from training_app.explorer.filters import Filters
from training_app.exports import FORMATS
from training_app.models import Export, Run
from training_app.refusals import ExportRefused
from training_app.tasks import ring_export

MOST_UNDER_WAY = 5
"""Exports of one person that wait or are written at the same time."""
UNDER_WAY = (Export.State.QUEUED, Export.State.RUNNING)


def export_items(
    *, user: User, asked: Filters, form: str, texts: str = "", say: Callable[[str], None] | None = None
) -> Export:
    """Queue a file of what fits a question of the explorer and wake a `default` worker.

    `texts` is one of Export.Texts; annotated pairs are made of texts and hold at least those that are not veiled. The
    same wish of the same person that is under way is returned. Raises ExportRefused for a form there is none of, and
    while MOST_UNDER_WAY are under way.
    """
    if form not in Export.Form.values:
        raise ExportRefused(f"Items are written as {', '.join(Export.Form.values[:-1])} or {Export.Form.values[-1]}.",
                            field="form")  # fmt: skip
    if texts not in Export.Texts.values:
        raise ExportRefused("Texts are left out, veiled, or all in the file.", field="texts")
    if form == Export.Form.ICAI:
        texts = texts or Export.Texts.VEILED
    question = asked.without("sort").to_query().urlencode()
    return _queued(Export(what=Export.What.ITEMS, form=form, texts=texts, question=question, created_by=user), say)


def export_run(*, user: User, run: Run, what: str, form: str, say: Callable[[str], None] | None = None) -> Export:
    """Queue a file of the labels or the traces of a run, in the same way."""
    if form not in FORMATS.get(what, ()):
        raise ExportRefused(f"The {what} of a run are not written as {form}.", field="form")
    return _queued(Export(what=what, form=form, run=run, created_by=user), say)


def _queued(wish: Export, say: Callable[[str], None] | None) -> Export:
    with transaction.atomic():
        User.objects.select_for_update(no_key=True).get(pk=wish.created_by_id)
        under_way = list(Export.objects.filter(created_by=wish.created_by_id, state__in=UNDER_WAY))
        for one in under_way:
            if _same(one, wish):
                return one
        if len(under_way) >= MOST_UNDER_WAY:
            raise ExportRefused(
                f"{MOST_UNDER_WAY} exports of yours are under way. Wait for one, or cancel it; nothing was begun."
            )
        wish.save(force_insert=True)
        of = {"run": str(wish.run_id)} if wish.run_id else {"question": wish.question, "texts": wish.texts}
        data = {"what": wish.what, "form": wish.form, **of}
        record(actor=wish.created_by, verb="export.ask", obj=wish, data=data)
        ring_export(wish.pk, say=say)
    return wish


def _same(one: Export, other: Export) -> bool:
    return all(getattr(one, name) == getattr(other, name) for name in ("what", "form", "texts", "question", "run_id"))
