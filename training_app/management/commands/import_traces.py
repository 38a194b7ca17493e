"""`manage.py import_traces FILE --constitution SLUG@N`: published traces become ours, each round with its principle."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from constitutions_app.models import Version
from training_app.actions import import_traces
from training_app.models import TraceImport
from training_app.refusals import TraceFileRefused
from training_app.trace_files import TraceFile, read_trace_file

_VERSION = re.compile(r"(?P<slug>[-\w]+)@(?P<number>\d+|latest)")
SHOWN = 100
"""Most places not understood that are printed one by one; --json prints all of them."""


class Command(BaseCommand):
    help = (
        "Imports traces in the format of the Constitutional AI paper's *_SLMADISON.jsonl files. Every round cites a "
        "principle by key; the keys are those of the paper's list, imported with import_constitution and published. "
        "If one place is not understood, nothing is imported."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, metavar="FILE")
        parser.add_argument(
            "--constitution", required=True, metavar="SLUG@N", help="a published version, or SLUG@latest"
        )
        parser.add_argument("--licence", default="")
        parser.add_argument("--dry-run", action="store_true", help="say what was understood and write nothing")
        parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")

    def handle(self, *args: Any, **options: Any) -> None:
        version, content = version_named(options["constitution"]), _content(options["file"])
        found = read_trace_file(content, version)
        made = None
        if not (options["dry_run"] or found.misread):
            name, licence = options["file"].name, options["licence"][:100]
            try:
                made = import_traces(user=None, version=version, content=content, file_name=name, licence=licence)
            except TraceFileRefused as refusal:
                raise CommandError(refusal.sentence) from refusal
        self.stdout.write(json.dumps(_body(found, version, made), indent=2) if options["json"] else _words(found, made))
        if found.misread:
            raise CommandError(f"Nothing was imported: {len(found.misread)} places were not understood.")


def version_named(name: str) -> Version:
    """The published version "SLUG@N" or "SLUG@latest" names. Raises CommandError saying what is not there."""
    match = _VERSION.fullmatch(name)
    if match is None:
        raise CommandError("Name a published version as SLUG@N, for example harmless-assistant@1.")
    versions = Version.objects.filter(constitution__slug=match["slug"]).order_by("-number")
    found = versions.filter(branch="main") if match["number"] == "latest" else versions.filter(number=match["number"])
    if (version := found.select_related("constitution").first()) is None:
        raise CommandError(f"There is no published version {name}. Publish the imported constitution first.")
    return version


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise CommandError(f"{file} cannot be read: {error.strerror}. Nothing was imported.") from error


def _body(found: TraceFile, version: Version, made: TraceImport | None) -> dict[str, Any]:
    return {
        "traces": len(found.traces),
        "steps": sum(found.keys.values()),
        "principles": found.keys,
        "other_wordings": found.other_wordings,
        "not_understood": [{"line": one.line, "text": one.text, "reason": one.reason} for one in found.misread],
        "constitution": f"{version.constitution.slug}@{version.number}",
        "constitution_digest": version.digest,
        "digest": found.digest,
        "import": made.pk if made else None,
        "prompt_set": made.prompt_set.slug if made else None,
        "trace_numbers": list(made.traces.values_list("pk", flat=True)) if made else [],
    }


def _words(found: TraceFile, made: TraceImport | None) -> str:
    lines = [
        f"{len(found.traces)} traces with {sum(found.keys.values())} rounds under {len(found.keys)} principles; "
        f"{found.other_wordings} rounds were asked with other words than the principle has."
    ]
    lines += [_plain(one.sentence) for one in found.misread[:SHOWN]]
    if len(found.misread) > SHOWN:
        lines.append(f"and {len(found.misread) - SHOWN} more; --json prints them all.")
    lines.append(f"Imported as {made}, prompts in the set {made.prompt_set.slug}." if made else "Nothing was written.")
    return "\n".join(lines)


def _plain(text: str) -> str:
    """Text from a file for a terminal: on one line, without signs that steer it."""
    return "".join(sign if sign.isprintable() else " " for sign in text)
