"""Load a prompt set: a JSONL file becomes a frozen, digested collection, or nothing at all."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.db import transaction

from training_app import prompt_sets
from training_app.models import PromptSet
from training_app.prompt_files import CHOSEN_BY, read_prompt_file


def load_prompt_set(
    *,
    user: User | None,
    content: bytes,
    kind: str,
    slug: str,
    name: str,
    licence: str = "",
    file_name: str = "",
    column: str = "",
    chosen_by: str = CHOSEN_BY[0],
) -> PromptSet:
    """Keep the prompts of a file as a set; returns it.

    `kind` is "red_team", "helpful" (lines ``{"text", "id"?, "messages"?, "tags"?}``) or "comparisons" (Anthropic HH
    transcripts, lines ``{"chosen", "rejected"}``), or a file of another project (`core.dataset_files`); `file_name`,
    `column` and `chosen_by` are those of `prompt_files.read_prompt_file`. The same content under the same slug returns
    the set already there; a changed file becomes a new set, whose slug ends in the first digits of its digest.
    Raises PromptFileRefused with a sentence for every bad line.
    """
    found = read_prompt_file(content, kind, name=file_name, column=column, chosen_by=chosen_by)
    with transaction.atomic():
        return prompt_sets.freeze(found, slug=slug, name=name, kind=kind, licence=licence, user=user)
