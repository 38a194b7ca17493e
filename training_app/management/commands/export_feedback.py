"""`manage.py export_feedback RUN --what labels --format jsonl FILE`: labels or traces as other tools read them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from training_app.exports import FORMATS, LABELS, write_export
from training_app.models import Run


class Command(BaseCommand):
    help = (
        "Writes a run's AI labels (TRL preference rows as JSONL or Parquet, or annotated pairs 2.0 as JSON: icai) or "
        "its traces (TRL preference rows: revision over initial response) with where each comes from."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("run", type=int, metavar="RUN", help="the run's number")
        parser.add_argument("file", type=Path, metavar="FILE")
        parser.add_argument("--what", choices=tuple(FORMATS), default=LABELS)
        parser.add_argument("--format", choices=FORMATS[LABELS], default="jsonl")

    def handle(self, *args: Any, **options: Any) -> None:
        run = Run.objects.select_related("version__constitution").filter(number=options["run"]).first()
        if run is None:
            raise CommandError(f"There is no run {options['run']}.")
        what, form = options["what"], options["format"]
        if form not in FORMATS[what]:
            raise CommandError(f"The {what} are written as {' or '.join(FORMATS[what])}, not as {form}.")
        try:
            count = write_export(run, what, form, options["file"])
        except OSError as error:
            raise CommandError(f"{options['file']} cannot be written: {error.strerror}.") from error
        self.stdout.write(f"Wrote {count} rows to {options['file']}.")
