"""`manage.py load_prompts FILE --kind KIND`: a prompt file becomes a frozen set, or its bad lines are named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.text import slugify

from training_app.actions import load_prompt_set
from training_app.core.dataset_files import Columns
from training_app.models import PromptSet
from training_app.prompt_files import CHOSEN_BY
from training_app.refusals import PromptFileRefused


class Command(BaseCommand):
    help = (
        "Loads a file of prompts or of human comparisons as a frozen prompt set: JSON lines or array, CSV, text or "
        "Parquet, gzip or not; HH-RLHF, red-team attempts, cai-conversation-harmless, UltraFeedback, PKU-SafeRLHF."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, metavar="FILE")
        parser.add_argument("--kind", required=True, choices=PromptSet.Kind.values)
        parser.add_argument("--name", default="", help="default: the file's name")
        parser.add_argument("--licence", default="")
        parser.add_argument("--column", default="", help="the column that holds the prompts, where it is none we know")
        parser.add_argument("--chosen-column", default="", help="of comparisons: the column of the better response")
        parser.add_argument("--rejected-column", default="", help="and that of the other")
        parser.add_argument("--most-unpacked-gib", type=float, default=64, help="what a gzip file may unpack to")
        parser.add_argument("--chosen-by", choices=CHOSEN_BY, default=CHOSEN_BY[0], help="in PKU-SafeRLHF")

    def handle(self, *args: Any, **options: Any) -> None:
        file: Path = options["file"]
        name = options["name"] or file.stem
        columns = Columns(options["column"], options["chosen_column"], options["rejected_column"])
        try:
            content = file.open("rb")
        except OSError as error:
            raise CommandError(f"{file} cannot be read: {error.strerror}. Nothing was loaded.") from error
        try:
            made = load_prompt_set(
                user=None,
                content=content,
                kind=options["kind"],
                slug=slugify(name)[:100] or "prompts",
                name=name[:200],
                licence=options["licence"],
                file_name=file.name,
                columns=columns,
                chosen_by=options["chosen_by"],
                most_unpacked=options["most_unpacked_gib"] * 2**30,
            )
        except PromptFileRefused as refusal:
            raise CommandError("\n".join((*refusal.problems, "Nothing was loaded."))) from refusal
        finally:
            content.close()
        self.stdout.write(f"Loaded {made.name}: {made.rows} rows, set {made.slug}, sha256 {made.digest}.")
