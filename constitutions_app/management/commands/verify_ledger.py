"""Checks the whole ledger and says what it checked; exits with 1 when an entry was altered, is missing or misplaced."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from constitutions_app import ledger

SHOWN = 50
"""Most problems that are printed one by one."""


class Command(BaseCommand):
    help = (
        "Recomputes every hash of the ledger and the digest of every published version. Keep the head it prints; "
        "with --head it also shows that nothing was cut off since."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--head", default="", metavar="SEQ:HASH", help="a head that an earlier run printed")

    def handle(self, *args: Any, **options: Any) -> None:
        check = ledger.verify(options["head"])
        versions = ledger.verify_versions()
        problems = [problem.sentence for problem in check.problems] + list(versions.problems)
        if problems:
            for sentence in problems[:SHOWN]:
                self.stderr.write(sentence)
            more = f", of which {SHOWN} are shown" if len(problems) > SHOWN else ""
            raise CommandError(
                f"The ledger does not verify: {len(problems)} problem{'' if len(problems) == 1 else 's'}{more}, "
                f"{check.entries} entries and {versions.count} versions checked."
            )
        self.stdout.write(
            f"The ledger verifies: {check.entries} entries (sequence, hash, previous hash, columns against body) "
            f"and the digests of {versions.count} published versions, each named by its entry."
        )
        if check.head:
            self.stdout.write(f"Head: {check.head}")
