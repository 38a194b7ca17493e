"""Load a prompt set: a file becomes a frozen, digested collection, or nothing at all."""

from __future__ import annotations

import io
from typing import IO

from django.contrib.auth.models import User
from django.db import transaction

from training_app import prompt_sets
from training_app.core.dataset_files import USUAL, Columns
from training_app.models import PromptSet
from training_app.prompt_files import CHOSEN_BY, LARGEST_UNPACKED, PromptFile, check_kind


def load_prompt_set(
    *,
    user: User | None,
    content: bytes | IO[bytes],
    kind: str,
    slug: str,
    name: str,
    licence: str = "",
    file_name: str = "",
    columns: Columns = USUAL,
    chosen_by: str = CHOSEN_BY[0],
    most_unpacked: float = LARGEST_UNPACKED,
) -> PromptSet:
    """Keep the prompts of a file (bytes, or a file open to read) as a set; returns it.

    `kind` is "red_team", "helpful" (lines ``{"text", "id"?, "messages"?, "tags"?}``) or "comparisons" (Anthropic HH
    transcripts, lines ``{"chosen", "rejected"}``), or a file of another project (`core.dataset_files`); `file_name`,
    `columns`, `chosen_by` and `most_unpacked` are those of `prompt_files.PromptFile`. The file is read twice, a row at
    a time: all of it is checked before anything is written, and no number of rows needs more memory than a few.
    The same content under the same slug returns the set already there; a changed file becomes a new set, whose slug
    ends in the first digits of its digest. Raises PromptFileRefused with a sentence for every bad line.
    """
    check_kind(kind)
    file = io.BytesIO(content) if isinstance(content, bytes) else content
    found = PromptFile(file, kind, file_name, columns, chosen_by, most_unpacked).read()
    with transaction.atomic():
        return prompt_sets.freeze(found, slug=slug, name=name, kind=kind, licence=licence, user=user)
