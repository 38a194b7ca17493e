"""`manage.py fetch_model ORG/NAME --revision COMMIT`: a hub's model into MODELS_ROOT, pinned, safetensors only."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from training_app.actions import register_model
from training_app.core.hub import is_name
from training_app.core.model_facts import SOURCE
from training_app.refusals import ModelRefused

WANTED = ("*.safetensors", "*.json", "*.txt", "*.model", "*.jinja", "README.md", "LICENSE*")
"""No pickles, no code: what a model is made of, and what is said of it."""
COMMIT = re.compile(r"[0-9a-f]{40}")


class Command(BaseCommand):
    help = "Fetches a model from the Hugging Face hub at one commit into MODELS_ROOT and registers it."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("model", metavar="ORG/NAME")
        parser.add_argument("--revision", required=True, metavar="COMMIT", help="40 hexadecimal digits; no branch")

    def handle(self, *args: Any, **options: Any) -> None:
        hub, revision = str(options["model"]), str(options["revision"])
        if not is_name(hub):
            raise CommandError(f"{hub!r} is not a model's name on a hub: write ORG/NAME.")
        if not COMMIT.fullmatch(revision):
            raise CommandError(
                f"{revision!r} is not a commit. A branch or tag can change; give the 40 hexadecimal digits."
            )
        name = f"{hub.replace('/', '--')}@{revision[:12]}"
        folder = Path(settings.MODELS_ROOT) / name
        if not folder.exists():
            self._fetch(hub, revision, folder)
        try:
            kept = register_model(user=None, name=name)
        except ModelRefused as refusal:
            raise CommandError(str(refusal)) from refusal
        self.stdout.write(f"{kept.name}: {kept.size_bytes} bytes, licence {kept.licence or 'not said'}, {kept.digest}.")

    def _fetch(self, hub: str, revision: str, folder: Path) -> None:
        """Written aside and renamed, so that the folder is whole or not there."""
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

        partial = folder.with_name(f".{folder.name}.partial")
        try:
            snapshot_download(hub, revision=revision, allow_patterns=list(WANTED), local_dir=partial)
        except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
            raise CommandError(f"{hub} could not be fetched: {error}. What came is kept for another try.") from error
        shutil.rmtree(partial / ".cache", ignore_errors=True)
        (partial / SOURCE).write_text(json.dumps({"hub": hub, "revision": revision}), encoding="utf-8")
        partial.rename(folder)
