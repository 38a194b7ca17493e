"""`manage.py prune_weights --keep-runs N`: lists the weights that nothing rests on, and deletes them when told to."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.template.defaultfilters import filesizeformat

from training_app.actions import prune_weights
from training_app.artifacts import StorageFailed
from training_app.retention import prunable


class Command(BaseCommand):
    help = "Lists checkpoints whose weights nothing rests on; with --delete, deletes those weights to make room."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--keep-runs", type=int, default=20, help="the newest runs keep theirs (default: 20)")
        parser.add_argument("--delete", action="store_true", help="delete them; without it they are only listed")

    def handle(self, *args: Any, **options: Any) -> None:
        keep = options["keep_runs"]
        if keep < 1:
            raise CommandError("Keep at least one run's weights: --keep-runs 1 or more.")
        freed = 0
        try:
            for one in prunable(keep_runs=keep):
                size = one.bytes
                if options["delete"]:
                    size = prune_weights(user=None, checkpoint=one.checkpoint, keep_runs=keep)
                freed += size
                where = f", {filesizeformat(one.stored)} of it in the storage" if one.stored else ""
                self.stdout.write(f"{one.checkpoint.run}, {one.checkpoint.stage}: {filesizeformat(size)}{where}")
        except StorageFailed as error:
            raise CommandError(f"{error} What is listed above is done; call again for the rest.") from error
        self.stdout.write(f"{filesizeformat(freed)} {'freed' if options['delete'] else 'could be freed (--delete)'}.")
