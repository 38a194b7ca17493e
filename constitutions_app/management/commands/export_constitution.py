"""`manage.py export_constitution SLUG@N`: prints a published version (or `SLUG@draft`) in our own format."""

from __future__ import annotations

import re
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from constitutions_app.core.interchange import WRITTEN, format_named, write
from constitutions_app.core.principles import Constitution as Body
from constitutions_app.models import Constitution

_STATE = re.compile(r"(?P<slug>[A-Za-z0-9_-]+)@(?:v?(?P<number>[1-9][0-9]{0,8})|(?P<name>draft|latest))")


class Command(BaseCommand):
    help = "Prints a version of a constitution as JSON, YAML or Markdown; importing that gives the same digest."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("state", metavar="SLUG@N", help="a version by its number, or SLUG@latest or SLUG@draft")
        parser.add_argument("--format", default="json", metavar="F", help=f"one of {', '.join(WRITTEN)}")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            text = write(_body(options["state"]), format_named(options["format"]))
        except ValueError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(text, ending="")


def _body(state: str) -> Body:
    match = _STATE.fullmatch(state)
    if match is None:
        raise CommandError("Name a version as SLUG@N, for example harmless-assistant@1.")
    constitution = Constitution.objects.filter(slug=match["slug"]).first()
    if constitution is None:
        raise CommandError(f"There is no constitution {match['slug']}.")
    if match["name"] == "draft":
        return constitution.draft.to_core()
    versions = constitution.versions.all()
    version = versions.first() if match["name"] else versions.filter(number=int(match["number"])).first()
    if version is None:
        raise CommandError(f"{match['slug']} has no version {match['number'] or 'yet'}.")
    return version.to_core()
