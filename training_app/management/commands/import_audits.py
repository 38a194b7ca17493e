"""`manage.py import_audits FILE --run N --source WORDS`: verdicts given elsewhere become audits of a run's labels."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from training_app.actions import import_audits
from training_app.audit_files import match_file
from training_app.models import Run
from training_app.refusals import AuditFileRefused

SHOWN = 100
"""Most places not understood that are printed one by one; --json prints all of them."""


class Command(BaseCommand):
    help = (
        "Imports people's verdicts on AI labels: lines of our own export of labels (JSONL), or the human annotators of "
        "annotated pairs (ICAI 2.0). If one place is not understood, nothing is imported."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, metavar="FILE")
        parser.add_argument("--run", type=int, required=True, metavar="NUMBER", help="the run whose labels were judged")
        parser.add_argument("--source", required=True, help="where the verdicts were given, in a few words")
        parser.add_argument("--dry-run", action="store_true", help="say what was understood and write nothing")
        parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")

    def handle(self, *args: Any, **options: Any) -> None:
        run = Run.objects.filter(number=options["run"]).first()
        if run is None:
            raise CommandError(f"There is no run {options['run']}. Nothing was imported.")
        try:
            content = options["file"].read_bytes()
        except OSError as error:
            raise CommandError(f"{options['file']} cannot be read: {error.strerror}. Nothing was imported.") from error
        found = match_file(content, run)
        made = None
        if not (options["dry_run"] or found.problems):
            try:
                made = import_audits(
                    user=None, run=run, content=content, file_name=options["file"].name, source=options["source"]
                )
            except AuditFileRefused as refusal:
                raise CommandError(refusal.sentence) from refusal
        body = {
            "format": found.format, "verdicts": len(found.meant), "overrides": found.overrides, "people": found.people,
            "passed_over": found.passed_over, "not_understood": list(found.problems), "digest": found.digest,
            "import": made.pk if made else None,
        }  # fmt: skip
        self.stdout.write(json.dumps(body, indent=2) if options["json"] else _words(body))
        if found.problems:
            raise CommandError(f"Nothing was imported: {len(found.problems)} places were not understood.")


def _words(body: dict[str, Any]) -> str:
    lines = [
        f"{body['verdicts']} verdicts by {len(body['people'])} people, {body['overrides']} of them override the AI; "
        f"{body['passed_over']} lines say nothing."
    ]
    lines += ["".join(sign if sign.isprintable() else " " for sign in one) for one in body["not_understood"][:SHOWN]]
    if (more := len(body["not_understood"]) - SHOWN) > 0:
        lines.append(f"and {more} more; --json prints them all.")
    lines.append(f"Imported as import {body['import']}." if body["import"] else "Nothing was written.")
    return "\n".join(lines)
