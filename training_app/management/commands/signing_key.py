"""`manage.py signing_key`: makes the key that checkpoints are signed with, if there is none; shows its public half."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from training_app.core.signing_keys import NoKey, make_key, public_half


class Command(BaseCommand):
    help = (
        "Makes the key that checkpoints are signed with (MODEL_SIGNING_KEY), readable by its owner alone, if there is "
        "none yet; never writes over one. Shows the public half, which those who verify need."
    )
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--public", type=Path, metavar="FILE", help="write the public half to this file too")
        parser.add_argument("--show", action="store_true", help="only show it; make none")

    def handle(self, *args: Any, **options: Any) -> None:
        path = Path(settings.MODEL_SIGNING_KEY)
        try:
            if not path.exists() and not options["show"]:
                make_key(path)
                self.stdout.write(f"Made a key: {path}. Keep a copy where only you reach it; it cannot be made again.")
            key = public_half(path)
            if options["public"] is not None:
                options["public"].write_text(key.pem, encoding="ascii")
        except (NoKey, OSError) as error:
            raise CommandError(str(error)) from error
        mode = path.stat().st_mode & 0o777
        if mode & 0o077:
            self.stderr.write(f"Others may read {path} (mode {mode:04o}). Run: chmod 600 {path}")
        self.stdout.write(f"Fingerprint (sha256 of the lines below): {key.fingerprint}")
        self.stdout.write(key.pem, ending="")
