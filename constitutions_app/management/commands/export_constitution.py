"""`manage.py export_constitution SLUG@N`: prints a version in our own format; also by alias, and drafts by branch."""

from __future__ import annotations

import re
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from constitutions_app.actions.aliases import LATEST
from constitutions_app.core.interchange import WRITTEN, format_named, write
from constitutions_app.core.principles import Constitution as Body
from constitutions_app.models import Constitution, Draft, Version
from constitutions_app.models.constitution import MAIN

_STATE = re.compile(r"(?P<slug>[A-Za-z0-9_-]+)@(?:v?(?P<number>[1-9][0-9]{0,8})|(?P<name>[a-z0-9_-]{1,60}))")


class Command(BaseCommand):
    help = "Prints a version of a constitution as JSON, YAML or Markdown; importing that gives the same digest."

    def add_arguments(self, parser: CommandParser) -> None:
        which = (
            "a version by its number or an alias, such as SLUG@latest; or SLUG@draft, or a branch's draft by its name"
        )
        parser.add_argument("state", metavar="SLUG@N", help=which)
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
    if match["name"]:
        return _named(constitution, match["name"])
    version = constitution.versions.filter(number=int(match["number"])).first()
    if version is None:
        raise CommandError(f"{match['slug']} has no version {match['number']}.")
    return version.to_core()


def _named(constitution: Constitution, name: str) -> Body:
    """A draft, by "draft" or its branch, or the version that an alias names. An alias goes before a branch."""
    if name == "draft":
        return constitution.draft.to_core()
    versions = constitution.versions.all()
    if name == LATEST:
        found: Version | Draft | None = versions.filter(branch=MAIN).order_by("-number").first()
    else:
        found = versions.filter(aliases__name=name).first() or constitution.drafts.filter(branch=name).first()
    if found is None:
        raise CommandError(f"{constitution.slug} has no version, alias or branch {name!r}.")
    return found.to_core()
