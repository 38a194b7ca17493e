"""`manage.py import_pairs FILE`: annotated pairs of Inverse Constitutional AI into the database, and back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from training_app.actions import import_pairs
from training_app.exports import imported_pairs
from training_app.refusals import PairFileRefused


class Command(BaseCommand):
    help = (
        "Imports a file of annotated pairs, as export_feedback --format icai writes it, with every annotator and "
        "annotation. What its default annotator chose counts as people's choice. --back writes the import to a file."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, metavar="FILE")
        parser.add_argument("--licence", default="")
        parser.add_argument("--back", type=Path, metavar="FILE", help="write what was imported to this file")
        parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")

    def handle(self, *args: Any, **options: Any) -> None:
        file: Path = options["file"]
        try:
            made = import_pairs(
                user=None, content=file.read_bytes(), file_name=file.name, licence=options["licence"][:100]
            )
            if options["back"]:
                with options["back"].open("w", encoding="utf-8", newline="") as back:
                    back.writelines(imported_pairs(made))
        except OSError as error:
            raise CommandError(f"{error.filename or file}: {error.strerror}.") from error
        except PairFileRefused as refusal:
            raise CommandError(str(refusal)) from refusal
        found = {
            "import": made.pk, "pairs": made.rows, "annotators": len(made.annotators), "digest": made.digest,
            "prompt_set": made.prompt_set.slug,
        }  # fmt: skip
        words = f"Imported {made.rows} pairs with {len(made.annotators)} annotators; set {made.prompt_set.slug}."
        self.stdout.write(json.dumps(found, indent=2) if options["json"] else words)
