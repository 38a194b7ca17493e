"""`manage.py verify_checkpoint PATH`: recompute every digest of a checkpoint folder, verify its signature, say so."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from training_app.core.manifest import Problem, Verification, verify
from training_app.core.signing_keys import NoKey, PublicKey, read_public_key
from training_app.models import Checkpoint
from training_app.signatures import checked


class Command(BaseCommand):
    help = (
        "Recomputes every digest of a checkpoint folder and verifies its signature where it has one. Exits non-zero, "
        "naming the file, when a byte differs."
    )
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("path", type=Path, help="the checkpoint folder, with its manifest.json")
        parser.add_argument("--key", type=Path, metavar="FILE", help="the public key it must be signed with (PEM)")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            key = read_public_key(options["key"]) if options["key"] else None
        except NoKey as error:
            raise CommandError(str(error)) from error
        found = verify(options["path"])
        held, wrong = signature_of(found, key)
        for sentence in (*found.checked, *held):
            self.stdout.write(f"ok   {sentence}")
        said = (*found.problems, *wrong)
        problems = [problem.sentence for problem in said]
        for file, sentence in said:
            self.stdout.write(f"BAD  {file}: {sentence}")
        if found.manifest_digest is not None:
            known, good = known_here(found)
            self.stdout.write(f"{'ok ' if good else 'BAD'}  {known}")
            problems += [] if good else [known]
        if problems:
            names = sorted({problem.file for problem in said}) or ["manifest.json"]
            raise CommandError(f"{options['path']} does not verify: {', '.join(names)}. {problems[0]}")
        self.stdout.write(f"{options['path']} verifies: {len(found.checked) + len(held)} checks, nothing differs.")


def signature_of(found: Verification, key: PublicKey | None) -> tuple[list[str], list[Problem]]:
    """What verifying the signature found; without a database it is asked of the given key or this installation's."""
    try:
        return checked(found.path, digest=found.manifest_digest, key=key)
    except DatabaseError:
        return checked(found.path, digest=None, key=key)


def known_here(found: Verification) -> tuple[str, bool]:
    """What this app's database says of the manifest, as a sentence, and whether that is well.

    A checkpoint of another app is "not known here", which is no fault; one that names a run of ours with another digest
    than we keep was forged or damaged.
    """
    manifest = found.manifest or {}
    try:
        if (row := Checkpoint.objects.filter(digest=found.manifest_digest).select_related("run").first()) is not None:
            return _said_of(row, found)
        run, stage = _run_id(manifest), str(manifest.get("stage"))
        ours = Checkpoint.objects.filter(run__pk=run, stage=stage).first() if run and stage.isprintable() else None
    except DatabaseError as error:
        reason = str(error).strip().splitlines()[0]
        return f"The database was not asked, because it does not answer ({reason}).", True
    if ours is not None:
        return f"manifest.json is not the one the database knows for this run and stage ({ours.digest[:12]}…).", False
    return "The manifest is not known here: no checkpoint in this database has its digest.", True


def _said_of(row: Checkpoint, found: Verification) -> tuple[str, bool]:
    if row.constitution_digest != found.constitution_digest:
        return "The database names another constitution for this checkpoint.", False
    return f"The manifest is the one the database knows: {row.stage} of {row.run}.", True


def _run_id(manifest: Any) -> UUID | None:
    try:
        return UUID(str(manifest.get("run")))
    except ValueError:
        return None
