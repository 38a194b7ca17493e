"""`manage.py judge_eval FILE --model PATH`: how often, how evenly and how knowingly a judge is right."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from training_app.core.backends import open_backend
from training_app.core.config import LabelParams
from training_app.core.device import judging_dtype
from training_app.core.digests import digest_model_folder
from training_app.core.errors import StageError
from training_app.core.job import ModelRef
from training_app.core.judge_eval import JudgeEvalParams, judge_file
from training_app.core.judge_items import QUESTION, read_items
from training_app.core.params import CHOICES
from training_app.core.stage import stay_offline, wait_asleep


class Command(BaseCommand):
    help = "Measures a judge on multiple-choice questions or human comparisons (JSONL, plain or gzip)."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, metavar="FILE")
        parser.add_argument("--model", type=Path, required=True, metavar="PATH", help="the judge's model folder")
        parser.add_argument("--template", choices=CHOICES["template"], default=LabelParams().template)
        parser.add_argument("--question", default=QUESTION, help="what is asked about a human comparison")
        parser.add_argument("--most", type=int, help="only the first so many questions")
        parser.add_argument("--dtype", choices=("float32", "bfloat16"), help="default: as labels are judged here")
        parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")

    def handle(self, *args: Any, **options: Any) -> None:
        params = JudgeEvalParams(template=options["template"], question=options["question"], most=options["most"])
        try:
            report = self._report(options["file"], options["model"], params, options["dtype"])
        except StageError as error:
            raise CommandError("\n".join(part for part in (error.message, error.advice) if part)) from error
        self.stdout.write(json.dumps(report) if options["json"] else _in_words(report))

    def _report(self, file: Path, model: Path, params: JudgeEvalParams, dtype: str | None) -> dict[str, Any]:
        stay_offline()
        wait_asleep()
        items = read_items(file, most=params.most)
        ref = ModelRef(model.resolve(), model.resolve().name, _digest(model))
        backend = open_backend(ref, self.stderr.write, dtype=dtype or judging_dtype())
        return judge_file(items, backend, ref, params, lambda done: self._progress(done, len(items)))

    def _progress(self, done: int, total: int) -> None:
        self.stderr.write(f"{done} of {total} questions")


def _digest(folder: Path) -> str | None:
    """The revision of the weights; None where there is no folder, which opening it then says in words."""
    return digest_model_folder(folder) if folder.is_dir() else None


def _in_words(report: dict[str, Any]) -> str:
    low, high = report["interval"]
    same = report["same_position"]
    lines = [
        f"{report['judge']['name']} ({report['judge']['digest'][:12]}) on {report['n']} questions:",
        f"right {report['accuracy']:.1%} [{low:.1%}, {high:.1%}], ECE {report['ece']:.3f}, "
        + ("asked in one order only." if same is None else f"same position after the swap {same:.1%}."),
    ]
    for order, found in report["orders"].items():
        low, high = found["interval"]
        lines.append(
            f"order {order}: right {found['accuracy']:.1%} [{low:.1%}, {high:.1%}], "
            f"chose the first {found['first_position']:.1%}."
        )
    return "\n".join(lines)
