"""Verbs that import: an uploaded file waits for a decision, and then becomes a constitution or goes into a draft.

An upload is nobody's business but its owner's and changes no constitution, so it has no entry in the ledger; writing it
has one, which names the file by its digest.
"""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict

from django.contrib.auth.models import User
from django.db import transaction

from constitutions_app.actions.drafting import MAX_EXEMPLARS, Refused, locked_open, principle_row, touch
from constitutions_app.actions.imported_files import MAX_LICENCE, AlreadyWritten, ImportedFile, keep_file, use_up
from constitutions_app.core import principles as core
from constitutions_app.core.diff import diff_constitutions
from constitutions_app.core.interchange.documents import MAX_BYTES
from constitutions_app.core.interchange.imported import Choice
from constitutions_app.core.interchange.joining import ADD, REPLACE, joined
from constitutions_app.ledger import record
from constitutions_app.models import Draft, DraftPrinciple, Import, Upload

MAX_UPLOADS = 20
"""Uploads that wait per person; the oldest make room for new ones."""
MAX_BESIDE = MAX_BYTES
"""Most bytes of the files that lie beside one upload, all of them together."""


def keep_upload(
    *,
    user: User,
    name: str,
    data: bytes,
    format: str = "",
    licence: str = "",
    link: tuple[bytes, str] | None = None,
    beside: Mapping[str, bytes] | None = None,
) -> Upload:
    """Put a file aside until its owner read the preview. `link` is the paper's other file, `beside` its examples."""
    with transaction.atomic():
        kept = Upload.objects.create(
            person=user, file_name=name[:200], data=data, format=format, licence=licence[:MAX_LICENCE]
        )
        _put_beside(kept, link, beside or {})
        waiting = Upload.objects.filter(person=user).order_by("-created_at", "-pk").values_list("pk", flat=True)
        Upload.objects.filter(pk__in=list(waiting[MAX_UPLOADS:])).delete()
    return kept


def add_to_upload(
    *,
    upload: Upload,
    format: str,
    licence: str,
    link: tuple[bytes, str] | None = None,
    beside: Mapping[str, bytes] | None = None,
) -> Upload:
    """Read an upload as another format, or add the paper's other file or the Model Spec's examples to it.

    Raises Refused, nothing kept, when the files beside it become too large together, or when it is gone.
    """
    with transaction.atomic():
        row = _waiting(upload)
        row.format, row.licence = format, licence[:MAX_LICENCE]
        _put_beside(row, link, beside or {})
    return row


def choose_links(*, upload: Upload, choices: Mapping[str, Choice]) -> Upload:
    """Keep which question belongs to which pair, and which of these links the person has confirmed.

    Raises Refused, nothing kept, when one question is linked twice.
    """
    chosen = Counter(choice.question for choice in choices.values() if choice.question is not None)
    for number, times in chosen.items():
        if times > 1:
            raise Refused(f"Question {number + 1} is linked {times} times; a question belongs to one pair.")
    with transaction.atomic():
        row = _waiting(upload)
        row.choices = {key: asdict(choice) for key, choice in choices.items()}
        row.save(update_fields=["choices"])
    return row


def discard_upload(*, upload: Upload) -> None:
    """Forget an upload."""
    upload.delete()


def import_into_draft(
    *, user: User, draft: Draft, file: ImportedFile, way: str = ADD, expected: int | None = None
) -> Import:
    """Bring a file's words into a draft, its scenarios and provenance along. `expected` is the revision that was read.

    Raises Refused, nothing written, when the draft changed meanwhile, when something does not fit, and when the draft
    has all of it already.
    """
    with transaction.atomic():
        draft = locked_open(draft)
        use_up(file)
        if expected is not None and expected != draft.revision:
            raise Refused("The draft changed while you were reading. Look at the preview again, then import.")
        before = draft.to_core()
        after = joined(before, file.found.constitution, way)
        if len(after.exemplars) > max(MAX_EXEMPLARS, len(before.exemplars)):
            raise Refused(f"A draft holds at most {MAX_EXEMPLARS} exemplars; with these it would be more.")
        _write(draft, before, after, user)
        if way == REPLACE:
            # Words merged before are out again: the next version does not descend from them.
            Draft.objects.filter(pk=draft.pk).update(merging=None)
        kept = keep_file(user, draft.constitution, file)
        data = {
            **file.told(),
            "way": way,
            "branch": draft.branch,
            "summary": diff_constitutions(before, after).summary,
            "replaced": core.canonical_json(before),
        }
        record(actor=user, verb="draft.import", obj=draft.constitution, data=data)
    return kept


def _write(draft: Draft, before: core.Constitution, after: core.Constitution, user: User) -> None:
    """Make the draft say `after`; a principle that stays word for word keeps its row."""
    draft.preamble = after.preamble
    draft.exemplars = [asdict(exemplar) for exemplar in after.exemplars]
    draft.save(update_fields=["preamble", "exemplars"])
    rows = {row.key: row for row in draft.principles.all()}
    draft.principles.exclude(key__in=[principle.id for principle in after.principles]).delete()
    said = {principle.id: principle for principle in before.principles}
    fresh, placed = [], []
    for position, principle in enumerate(after.principles, start=1):
        row = rows.get(principle.id)
        if row and said[principle.id] == principle:
            row.position = position
            placed.append(row)
            continue
        if row:
            row.delete()
        fresh.append(principle_row(draft, principle, position, user))
    DraftPrinciple.objects.bulk_update(placed, ["position"])
    DraftPrinciple.objects.bulk_create(fresh)
    touch(draft, user)


def _waiting(upload: Upload) -> Upload:
    """The upload's row, fresh and locked. Raises AlreadyWritten when it is gone: saving it would bring it back."""
    row = Upload.objects.select_for_update().filter(pk=upload.pk).first()
    if row is None:
        raise AlreadyWritten
    return row


def _put_beside(upload: Upload, link: tuple[bytes, str] | None, beside: Mapping[str, bytes]) -> None:
    if link is not None:
        upload.link_data, upload.link_name, upload.choices = link[0], link[1][:200], None
    upload.beside = {**upload.beside, **{path: _as_text(data) for path, data in beside.items()}}
    if sum(map(_size, upload.beside.values())) > MAX_BESIDE:
        raise Refused(
            f"With these the example files are larger than {MAX_BESIDE // 1_000_000} MB together. They were not added; "
            "import the file from the shell instead."
        )
    upload.save()


def _size(text: str) -> int:
    """How many bytes a text in base64 stands for: three for every four letters, less one for each pad."""
    return len(text) // 4 * 3 - text[-2:].count("=")


def _as_text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
