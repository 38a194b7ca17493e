"""`manage.py rebuild_explorer`: holds the explorer's tables against a full scan and puts right what differs."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from training_app.explorer import rebuild


class Command(BaseCommand):
    help = "Holds what the explorer says of labels, steps, comparisons and audits against a full scan; mends it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--check", action="store_true", help="only look; exit code 1 where something differs")

    def handle(self, *args: Any, **options: Any) -> None:
        found = rebuild.check(mend=not options["check"])
        for name, count in found.items():
            self.stdout.write(f"{name}: {count:,} differ" if count else f"{name}: all agree")
        if options["check"] and any(found.values()):
            raise CommandError("Nothing was changed. Without --check the rows that differ are written anew.")
