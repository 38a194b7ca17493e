"""Import annotated pairs, the format of Inverse Constitutional AI: comparisons with everything said about them."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict

from django.contrib.auth.models import User
from django.db import transaction
from django.utils.text import slugify

from constitutions_app.core.principles import normalise
from constitutions_app.ledger import record
from training_app import prompt_sets
from training_app.core.annotated_pairs import AnnotatedPairs, Pair, read_pairs
from training_app.core.errors import BadInput
from training_app.core.rows import messages_of
from training_app.models import AnnotatedPair, Comparison, PairImport, PromptSet
from training_app.prompt_files import ReadChoice, ReadPrompts
from training_app.refusals import PairFileRefused

BATCH = 1000
LONGEST_ID = 200
NUL = re.compile(r"(?<!\\)(\\\\)*\\u0000")
"""A NUL as JSON writes it: PostgreSQL can hold none."""


def import_pairs(*, user: User | None, content: bytes, file_name: str, licence: str = "") -> PairImport:
    """Keep the pairs of a file with every annotation; returns the import. The same file is the import already there.

    Its comparisons become a prompt set. Where the file's default annotator chose, the choice is the human one and a run
    can train on it; annotations of all others (principles under a judge, for example) are kept as they are and can be
    written again, but are no labels, since no run of ours gave them. Raises PairFileRefused; then nothing is written.
    """
    try:
        found = read_pairs(content)
        choices = [_choice(pair, number, found.default) for number, pair in enumerate(found.pairs, start=1)]
    except (BadInput, ValueError) as error:
        why = error.message if isinstance(error, BadInput) else str(error)
        raise PairFileRefused(f"{why} Nothing was imported.") from error
    if len({one.key for one in choices}) < len(choices) or not choices:
        raise PairFileRefused("Every comparison needs an id of its own, and one at least. Nothing was imported.")
    digest = hashlib.sha256(content).hexdigest()
    with transaction.atomic():
        if earlier := PairImport.objects.filter(digest=digest).first():
            return earlier
        made = PairImport.objects.create(
            prompt_set=_prompt_set(choices, digest, file_name, licence, user),
            file_name=file_name[:200],
            digest=digest,
            licence=licence,
            annotators=[asdict(one) for one in found.annotators],
            default_annotator=found.default,
            metadata=dict(found.metadata),
            rows=len(choices),
            created_by=user,
        )
        _write(made, found)
        data = {"file": file_name, "digest": digest, "pairs": made.rows, "annotators": len(found.annotators)}
        record(actor=user, verb="pairs.import", obj=made, data=data)
    return made


def _choice(pair: Pair, number: int, default: str) -> ReadChoice:
    if len(pair.id) > LONGEST_ID or NUL.search(json.dumps(asdict(pair))):
        raise ValueError(f"Comparison {number}: its id is longer than {LONGEST_ID} characters, or it holds a NUL.")
    prompt = pair.prompt if isinstance(pair.prompt, str) else json.dumps(pair.prompt, ensure_ascii=False)
    turns: tuple[dict[str, str], ...] = ()
    if talk := pair.metadata.get("messages"):
        messages = messages_of({"messages": talk}, "")
        turns = tuple({"role": turn.role, "content": normalise(turn.content)} for turn in messages)
        prompt = turns[-1]["content"]
    return ReadChoice(pair.id, prompt, turns, pair.response_a, pair.response_b, pair.preference(default))


def _prompt_set(choices: list[ReadChoice], digest: str, file_name: str, licence: str, user: User | None) -> PromptSet:
    name = file_name.removesuffix(".json")
    return prompt_sets.freeze(
        ReadPrompts.of(choices),
        slug=slugify(f"pairs-{name}-{digest[:8]}")[-100:],
        name=f"Pairs of {name}"[:200],
        kind=PromptSet.Kind.COMPARISONS,
        licence=licence,
        user=user,
        provenance={"imported": {"file": file_name[:200], "digest": digest, "as": "annotated pairs"}},
    )


def _write(made: PairImport, found: AnnotatedPairs) -> None:
    known = dict(Comparison.objects.filter(prompt_set=made.prompt_set).values_list("key", "pk"))
    AnnotatedPair.objects.bulk_create(
        (
            AnnotatedPair(
                imported=made,
                comparison_id=known[pair.id],
                position=position,
                prompt=pair.prompt,
                annotations={who: dict(said) for who, said in pair.annotations.items()},
                responders=list(pair.models),
                metadata=dict(pair.metadata),
            )
            for position, pair in enumerate(found.pairs, start=1)
        ),
        batch_size=BATCH,
    )
