"""`manage.py load_starter`: the constitutions and prompt sets that come with the app. Safe to repeat."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from constitutions_app import starter_material as constitutions
from constitutions_app.core.principles import MalformedConstitution
from training_app import starter_material as prompts
from training_app.models import PromptSet
from training_app.refusals import PromptFileRefused


class Command(BaseCommand):
    help = "Loads the starter constitutions and prompt sets that are not there yet."

    def handle(self, *args: Any, **options: Any) -> None:
        before = set(PromptSet.objects.values_list("slug", flat=True))
        try:
            made = constitutions.load()
            sets = prompts.load(constitutions.system_user())
        except (MalformedConstitution, PromptFileRefused) as error:
            raise CommandError(f"The starter material is damaged: {error}") from error
        for constitution in made:
            version = constitution.versions.get()
            self.stdout.write(f"Loaded the constitution {constitution}: {version.principles.count()} principles.")
        for one in sets:
            if one.slug not in before:
                self.stdout.write(f"Loaded {one}: {one.rows} rows, sha256 {one.digest[:12]}….")
        if not made and all(one.slug in before for one in sets):
            self.stdout.write("The starter material is there already.")
