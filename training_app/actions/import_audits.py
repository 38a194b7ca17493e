"""Import audits: a file of verdicts that people gave elsewhere becomes audits that say where they come from."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from uuid import UUID, uuid5

from django.contrib.auth.models import User
from django.db import transaction

from constitutions_app.access import OUTSIDE
from constitutions_app.ledger import record
from training_app.audit_files import match_file, verdict_on
from training_app.models import Audit, AuditImport, Run
from training_app.refusals import AuditFileRefused

BATCH = 1000
NAMESPACE = UUID("5d0a3c1e-7f5b-4c55-9a0e-3f0f6f1f2b77")


def import_audits(*, user: User | None, run: Run, content: bytes, file_name: str, source: str) -> AuditImport:
    """Keep the verdicts of a file on the labels of `run`; returns the import. The same file again is the one there.

    Everybody whom the file names gets an account that nobody can sign in to, one a source, so that each person's newest
    verdict counts as it does with people here. Raises AuditFileRefused with every place that was not understood; then
    nothing is written.
    """
    found = match_file(content, run)
    if found.problems:
        raise AuditFileRefused(tuple(found.problems))
    with transaction.atomic():
        Run.objects.select_for_update(of=("self",)).get(pk=run.pk)  # of two imports at once, one waits
        if earlier := AuditImport.objects.filter(run=run, digest=found.digest).first():
            return earlier
        made = AuditImport.objects.create(
            run=run, file_name=file_name[:200], digest=found.digest, format=found.format, source=source[:200],
            rows=len(found.meant), created_by=user,
        )  # fmt: skip
        people = _accounts(source, found.people)
        Audit.objects.bulk_create(
            (
                Audit(
                    id=uuid5(NAMESPACE, f"{run.pk} {found.digest} {one.label.pk} {one.read.auditor}"),
                    auditor=people[one.read.auditor],
                    label=one.label,
                    verdict=verdict_on(one.label, one.read.choice),
                    choice=one.read.choice,
                    blind=one.read.blind,
                    confidence=one.read.confidence,
                    reason=one.read.reason,
                    comment=one.read.comment,
                    imported=made,
                )
                for one in found.meant
            ),
            batch_size=BATCH,
        )
        data = {"run": str(run.pk), "file": made.file_name, "digest": made.digest, "source": made.source}
        record(actor=user, verb="audits.import", obj=made, data=data | {"rows": made.rows, "people": found.people})
    return made


def _accounts(source: str, names: Iterable[str]) -> dict[str, User]:
    """An account for each person of a source, made the first time; nobody can sign in to it and it has no role."""
    found = {}
    for name in names:
        username = f"{OUTSIDE}{sha256(f'{source} {name}'.encode()).hexdigest()[:16]}"
        user, created = User.objects.get_or_create(
            username=username, defaults={"is_active": False, "first_name": name[:150], "last_name": f"({source})"[:150]}
        )
        if created:
            user.set_unusable_password()
            user.save(update_fields=["password"])
        found[name] = user
    return found
