"""Frozen prompt sets: how rows that were read, or written by a model, become one, and the set that a run wrote."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from itertools import islice
from typing import Any

from django.contrib.auth.models import User
from django.utils.text import slugify

from constitutions_app.ledger import record
from training_app.core.datasets import canonical_jsonl
from training_app.core.digests import digest_file
from training_app.models import Comparison, Prompt, PromptSet, Run, RunStage
from training_app.prompt_files import ReadChoice, ReadPrompt, ReadPrompts, read_prompt_file

BATCH = 1000
NAMED = 91
"""Characters of a slug before the digest that sets a changed file apart."""


class WrongPrompts(Exception):
    """The prompts a stage says it wrote are not those in its file; the message is one sentence."""


def freeze(
    found: ReadPrompts,
    *,
    slug: str,
    name: str,
    kind: str,
    licence: str,
    user: User | None,
    made_by: Run | None = None,
    provenance: Mapping[str, Any] | None = None,
) -> PromptSet:
    """The set of exactly these prompts: made, with a ledger entry, the first time. Call inside a transaction.

    The same content under the same slug is the set already there; other content gets a slug that ends in its digest.
    """
    taken = PromptSet.objects.filter(slug=slug).exclude(digest=found.digest).exists()
    prompt_set, created = PromptSet.objects.get_or_create(
        slug=f"{slug[:NAMED]}-{found.digest[:8]}" if taken else slug,
        defaults={
            "name": name, "kind": kind, "licence": licence, "digest": found.digest, "rows": found.rows,
            "created_by": user, "made_by": made_by, "provenance": dict(provenance or {}),
        },
    )  # fmt: skip
    if created:
        _fill(prompt_set, found)
        data = {"slug": prompt_set.slug, "kind": kind, "digest": found.digest, "rows": found.rows}
        data |= {"run": str(made_by.pk)} if made_by else {}
        record(actor=user, verb="prompt_set.load", obj=prompt_set, data=data)
    return prompt_set


def keep_written(stage: RunStage) -> PromptSet:
    """The set of the prompts that a run's stage "write" left in its folder. Call inside a transaction.

    Raises WrongPrompts when the file is not the one the stage reported.
    """
    run, output = stage.run, stage.outputs.get("prompts") or {}
    path = stage.folder / "prompts.jsonl"
    if not path.is_file() or digest_file(path) != output.get("digest"):
        raise WrongPrompts("The file of the written prompts is not the one the stage reported.")
    seeds = list(run.prompt_sets.all())
    name = run.name or f"Written by run {run.number}"
    return freeze(
        read_prompt_file(path.read_bytes(), PromptSet.Kind.RED_TEAM),
        slug=slugify(name)[:100] or f"written-by-run-{run.number}",
        name=name,
        kind=PromptSet.Kind.RED_TEAM,
        licence=f"written by {run.base_model['name']} after {', '.join(str(one) for one in seeds)}"[:100],
        user=None,
        made_by=run,
        provenance={
            "seed_sets": {one.slug: one.digest for one in seeds},
            "model": {"name": run.base_model["name"], "digest": run.base_model["digest"]},
            "constitution": {"version": run.version_id, "digest": run.version.digest},
            "job": stage.job_digest,
            "seed": run.seed,
            "options": run.config["write"],
            "summary": stage.summary,
        },
    )


def is_as_loaded(prompt_set: PromptSet) -> bool:
    """Whether the rows are still those that the set's digest was taken of. Reads all of them, in batches."""
    seen = hashlib.sha256()
    for row in _rows_of(prompt_set):
        seen.update(canonical_jsonl([row]).encode("utf-8"))
    return seen.hexdigest() == prompt_set.digest


def _rows_of(prompt_set: PromptSet) -> Iterator[dict[str, Any]]:
    """The set's rows as `ReadPrompts` holds them, prompts first."""
    for prompt in prompt_set.prompts.order_by("position").iterator(BATCH):
        yield asdict(ReadPrompt(prompt.key, prompt.text, tuple(prompt.messages), tuple(prompt.tags)))
    choices = Comparison.objects.filter(prompt_set=prompt_set).order_by("pk")
    for one in choices.iterator(BATCH):
        yield asdict(
            ReadChoice(one.key, one.prompt_text, tuple(one.messages), one.response_a, one.response_b, one.human_choice)
        )


def _fill(prompt_set: PromptSet, found: ReadPrompts) -> None:
    """Some rows at a time, so that the length of a file does not count."""
    items, first = found.each(), 1
    while part := list(islice(items, BATCH)):
        Prompt.objects.bulk_create(
            Prompt(
                prompt_set=prompt_set,
                key=one.key,
                position=position,
                text=one.text,
                messages=list(one.messages),
                tags=list(one.tags),
            )
            for position, one in enumerate(part, start=first)
            if isinstance(one, ReadPrompt)
        )
        Comparison.objects.bulk_create(
            Comparison(
                source=Comparison.Source.HUMAN if one.human_choice else Comparison.Source.IMPORTED,
                prompt_set=prompt_set,
                key=one.key,
                prompt_text=one.prompt,
                messages=list(one.messages),
                response_a=one.response_a,
                response_b=one.response_b,
                human_choice=one.human_choice,
            )
            for one in part
            if isinstance(one, ReadChoice)
        )
        first += len(part)
