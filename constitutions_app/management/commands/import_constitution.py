"""`manage.py import_constitution FILE`: shows what was understood, by line what was not, and makes a constitution."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError, CommandParser

from constitutions_app.access import Role, can_write, roles_of
from constitutions_app.actions import ImportedFile, Refused, check_start, create_constitution
from constitutions_app.core.interchange import FORMATS, Imported, format_named, read
from constitutions_app.core.interchange.documents import read_limited
from constitutions_app.models import Constitution

SHOWN = 100
"""Most places not understood that are printed one by one; --json prints all of them."""

PRINTED = ("principles", "scenarios", "not_understood", "digest")
"""What --json prints, and nothing else, so that programs can rely on it."""


class Command(BaseCommand):
    help = (
        "Reads a constitution from a file and makes a new constitution with a draft of it. The format is recognised by "
        "the content. With --dry-run nothing is written. Formats: "
        + "; ".join(f"{name} ({words})" for name, words in FORMATS.items())
        + "."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, metavar="FILE")
        parser.add_argument("--format", default=None, metavar="F", help=f"one of {', '.join(FORMATS)}")
        parser.add_argument(
            "--link",
            type=Path,
            default=None,
            metavar="FILE2",
            help="the other file of the paper; its list is paired by position and every link is marked unconfirmed",
        )
        parser.add_argument("--dry-run", action="store_true", help="show what was understood and write nothing")
        parser.add_argument("--json", action="store_true", help=f"print {', '.join(PRINTED)} as JSON")
        parser.add_argument(
            "--licence", default="", help="the file's licence; without it, the first line of a LICENSE beside FILE"
        )
        parser.add_argument(
            "--user", default="", metavar="NAME", help="the author; needed unless there is only one admin"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            format = format_named(options["format"]) if options["format"] else None
        except ValueError as error:
            raise CommandError(str(error)) from error
        path: Path = options["file"]
        found = read(path, format, options["link"])
        # Shown first: whatever hinders the writing, what was understood is told.
        if options["json"]:
            body = {name: part for name, part in found.as_json().items() if name in PRINTED}
            self.stdout.write(json.dumps(body, ensure_ascii=False, indent=2))
        else:
            self._preview(found)
        if found.is_empty:
            first = found.not_understood[0].reason if found.not_understood else "The file holds nothing."
            raise CommandError(f"Nothing was understood: {_plain(first)}")
        if options["link"] and not found.unconfirmed_links:
            raise CommandError(f"Nothing was written: {_plain(_why_not_linked(found, options['link'].name))}")
        said = "Nothing was written."
        if options["dry_run"]:
            self._try(found)
        else:
            licence = options["licence"] or _licence_beside(path)
            made = self._written(ImportedFile(found, path.name, path.read_bytes(), licence), options["user"])
            along = f", with {len(found.scenarios)} scenarios" if found.scenarios else ""
            said = f"Written as the draft of the new constitution {made.slug}{along}."
        if not options["json"]:
            self.stdout.write(said)

    def _try(self, found: Imported) -> None:
        """What would hinder the writing is told by a dry run too."""
        try:
            check_start(name=found.constitution.name, start=found.constitution)
        except Refused as error:
            raise CommandError(f"This could not be written: {_plain(str(error))}") from error

    def _written(self, file: ImportedFile, username: str) -> Constitution:
        user, body = _author(username), file.found.constitution
        try:
            return create_constitution(
                user=user,
                name=body.name,
                description=f"Imported from {_plain(file.name)} ({file.found.format}).",
                start=body,
                file=file,
            )
        except Refused as error:
            raise CommandError(f"Nothing was written: {_plain(str(error))}") from error

    def _preview(self, found: Imported) -> None:
        body = found.constitution
        self.stdout.write(
            f"{_plain(body.name)} ({FORMATS.get(found.format, 'no known format')}): {len(body.principles)} principles, "
            f"{len(body.exemplars)} exemplars, {len(found.scenarios)} scenarios."
        )
        for principle in body.principles:
            self.stdout.write(f"  {_plain(principle.id)}: {_plain(principle.title or principle.text)[:100]}")
        if found.unconfirmed_links:
            self.stdout.write(
                f"{len(found.unconfirmed_links)} links between the two files go by position only; please confirm each."
            )
        if found.not_understood:
            self.stdout.write(f"Not understood ({len(found.not_understood)}):")
        for item in found.not_understood[:SHOWN]:
            quoted = f" [{_plain(item.text)[:80]}]" if item.text else ""
            self.stdout.write(f"  line {item.line}: {_plain(item.reason)}{quoted}")
        if len(found.not_understood) > SHOWN:
            self.stdout.write(f"  and {len(found.not_understood) - SHOWN} more; --json prints them all.")


def _why_not_linked(found: Imported, name: str) -> str:
    """What was said of the second file: a constitution without any link is not what --link asked for."""
    remarks = (item for item in found.not_understood if name in (item.text, item.reason.partition(", line ")[0]))
    told = [item.reason for item in remarks]
    return " ".join(dict.fromkeys(told[:2])) or f"nothing of {name} could be linked."


def _licence_beside(path: Path) -> str:
    """The first line of the LICENSE that lies in the file's folder; empty where none does."""
    data, _ = read_limited(path.resolve().parent / "LICENSE")
    lines = (data or b"").decode("utf-8", "replace").splitlines()
    return _plain(next((line.strip() for line in lines if line.strip()), ""))[:200]


def _author(username: str) -> User:
    """The named person, or the only admin. Raises CommandError with what to do."""
    if username:
        user = User.objects.filter(username=username, is_active=True).first()
        if user is None or not can_write(user):
            raise CommandError(f"There is no active author or admin named {username!r}.")
        return user
    admins = [user for user in User.objects.filter(is_active=True) if Role.ADMIN in roles_of(user)]
    if len(admins) != 1:
        raise CommandError("Say in whose name the constitution is written: --user NAME.")
    return admins[0]


def _plain(text: str) -> str:
    """Text from a file for a terminal: on one line, without signs that steer it."""
    return "".join(sign if sign.isprintable() else " " for sign in text)
