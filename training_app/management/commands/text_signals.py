"""`manage.py text_signals FILE`: boilerplate, evasion, length and variety of a file of answers."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from training_app.core.answers import read_answers
from training_app.core.errors import BadInput
from training_app.core.text_signals import measure


class Command(BaseCommand):
    help = "Measures any JSONL file of answers (plain or gzip): shares of boilerplate and evasion, length, distinct-2."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, metavar="FILE")
        parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            found = measure(read_answers(options["file"]))
        except BadInput as error:
            raise CommandError("\n".join(part for part in (error.message, error.advice) if part)) from error
        if options["json"]:
            self.stdout.write(json.dumps(asdict(found)))
            return
        self.stdout.write(
            f"{found.n} answers, {found.length:.1f} words on average, distinct-2 {found.distinct_n:.3f}.\n"
            f"Boilerplate {found.boilerplate:.1%}, evasion {found.evasion:.1%}."
        )
