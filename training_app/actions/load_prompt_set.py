"""Load a prompt set: a JSONL file becomes a frozen, digested collection, or nothing at all."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.db import transaction

from constitutions_app.ledger import record
from training_app.models import Comparison, Prompt, PromptSet
from training_app.prompt_files import ReadPrompts, read_prompt_file

BATCH = 1000


def load_prompt_set(
    *, user: User | None, content: bytes, kind: str, slug: str, name: str, licence: str = ""
) -> PromptSet:
    """Keep the prompts of a file as a set; returns it.

    `kind` is "red_team", "helpful" (lines ``{"text", "id"?, "messages"?, "tags"?}``) or "comparisons" (Anthropic HH
    transcripts, lines ``{"chosen", "rejected"}``). The same content under the same slug returns the set already there;
    a changed file becomes a new set, whose slug ends in the first digits of its digest.
    Raises PromptFileRefused with a sentence for every bad line.
    """
    found = read_prompt_file(content, kind)
    with transaction.atomic():
        slug = _slug_for(slug, found.digest)
        prompt_set, created = PromptSet.objects.get_or_create(
            slug=slug,
            defaults={
                "name": name,
                "kind": kind,
                "licence": licence,
                "digest": found.digest,
                "rows": found.rows,
                "created_by": user,
            },
        )
        if created:
            _fill(prompt_set, found)
            data = {"slug": slug, "kind": kind, "digest": found.digest, "rows": found.rows}
            record(actor=user, verb="prompt_set.load", obj=prompt_set, data=data)
    return prompt_set


def _slug_for(slug: str, digest: str) -> str:
    taken = PromptSet.objects.filter(slug=slug).exclude(digest=digest).exists()
    return f"{slug[:91]}-{digest[:8]}" if taken else slug


def _fill(prompt_set: PromptSet, found: ReadPrompts) -> None:
    Prompt.objects.bulk_create(
        (
            Prompt(
                prompt_set=prompt_set,
                key=prompt.key,
                position=position,
                text=prompt.text,
                messages=list(prompt.messages),
                tags=list(prompt.tags),
            )
            for position, prompt in enumerate(found.prompts, start=1)
        ),
        batch_size=BATCH,
    )
    Comparison.objects.bulk_create(
        (
            Comparison(
                source=Comparison.Source.HUMAN,
                prompt_set=prompt_set,
                key=choice.key,
                prompt_text=choice.prompt,
                messages=list(choice.messages),
                response_a=choice.response_a,
                response_b=choice.response_b,
                human_choice=choice.human_choice,
            )
            for choice in found.choices
        ),
        batch_size=BATCH,
    )
