"""The model card of a checkpoint, written from the facts and nothing else: Markdown with Hugging Face's metadata.

Its fields follow Hugging Face's model card specification; `huggingface_hub` writes the metadata. Where the base model
is registered, its name on the hub and its licence stand there; a licence the specification has no name for is "other"
with its name beside it. What nobody measured is said to be unmeasured rather than left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from constitutions_app.ledger import name_of
from training_app.lineage import CheckpointLineage
from training_app.measured import measured_rows
from training_app.models import RegisteredModel
from training_app.options import STAGE_NAMES, all_options
from training_app.options_read import is_read
from training_app.releases import release_of

IDENTIFIER = re.compile(r"[a-z0-9][a-z0-9.+-]*")
"""How Hugging Face names licences ("apache-2.0"); other words are a name of their own."""


def card_of(line: CheckpointLineage) -> str:
    """The card as one text. Reads the release review and the evaluations' rows."""
    return f"---\n{_metadata(line)}\n---\n\n" + "\n".join(_body(line)).rstrip() + "\n"


def _metadata(line: CheckpointLineage) -> str:
    from huggingface_hub import ModelCardData

    base = _registered(line)
    licence, licence_name = _licence(base.licence if base else "")
    data = ModelCardData(
        base_model=(base.hub if base else "") or str(line.run.base_model.get("name", "")),
        license=licence,
        license_name=licence_name,
        library_name="transformers",
        pipeline_tag="text-classification" if line.checkpoint.stage == "reward" else "text-generation",
        tags=[
            "constitutional-ai",
            line.checkpoint.stage,
            *(alias.name for alias in release_of(line.checkpoint).aliases),
        ],
        constitution={
            "name": line.version.constitution.name,
            "version": line.version.number,
            "sha256": line.version.digest,
        },
        manifest_sha256=line.checkpoint.digest,
        dataset_sha256=[build.digest for build in line.builds],
    )
    return str(data.to_yaml())


def _registered(line: CheckpointLineage) -> RegisteredModel | None:
    """The base model as it was registered at the run's digest; one query."""
    return RegisteredModel.objects.filter(digest=line.run.base_model.get("digest")).first()


def _licence(named: str) -> tuple[str | None, str | None]:
    """A licence by the specification's name, and the name beside it where that is "other"; None where unknown."""
    if not named:
        return None, None
    return (named, None) if IDENTIFIER.fullmatch(named) else ("other", named)


def _body(line: CheckpointLineage) -> Iterator[str]:
    checkpoint, learnt, version = line.checkpoint, line.learnt, line.version
    name = f"{version.constitution.name} v{version.number}"
    yield f"# {STAGE_NAMES.get(checkpoint.stage, checkpoint.stage)} of run {line.run.number}, trained under {name}"
    yield ""
    yield "Written from the records of the app that made it; `manifest.json` beside the weights holds the same digests."
    yield ""
    yield "## Where it comes from"
    yield ""
    yield f"- Words: {name}, sha256 `{version.digest}`, published by {name_of(version.author)}"
    yield f"- Base model: {line.run.base_model.get('name')}, digest `{line.run.base_model.get('digest')}`"
    for one in (*line.ancestors, *((line.reward_model,) if line.reward_model else ())):
        yield f"- {STAGE_NAMES.get(one.stage, one.stage)}: `{one.digest}`"
    for build in line.builds:
        yield f"- Training data {build.name}: {build.rows} rows, sha256 `{build.digest}`"
    yield f"- Launched by {name_of(line.run.created_by)}, seed {line.run.seed}, preset {line.run.preset}"
    yield ""
    yield "## Training"
    yield ""
    yield f"It and what it was made from learnt from {learnt.steps} revisions, {learnt.labels} AI labels and "
    yield f"{learnt.human_comparisons} human comparisons. People gave {learnt.audits} verdicts on them; "
    yield f"{learnt.overrides} rows differ because of that."
    yield ""
    for option in all_options():
        if option.stage == checkpoint.stage and is_read(option.path, line.run.config):
            yield f"- {option.label}: {option.words(option.value_in(line.run.config))}"
    for judge in line.judges:
        yield f"- Judge: {judge.name} (`{judge.digest}`)"
    yield ""
    yield "## Evaluation"
    yield ""
    yield from _evaluation(line)
    yield ""
    yield "## Release"
    yield ""
    yield from _release(line)
    yield ""
    yield "## Limits"
    yield ""
    yield "What is not listed under Evaluation was not measured. The principles are what it was trained towards, which"
    yield "is no promise that it follows them."


def _evaluation(line: CheckpointLineage) -> Iterator[str]:
    rows = measured_rows(line.evaluations, this=line.checkpoint)
    if not rows:
        yield "Nothing was measured."
        return
    yield "Held-out prompts; in brackets 95 % intervals."
    yield ""
    yield "| model | prompts | reward | evasive | boilerplate | words |"
    yield "|---|---|---|---|---|---|"
    for row in rows:
        figures = [one.words if one else "not measured" for one in (row.reward, row.evasive, row.boilerplate)]
        yield f"| {row.model} | {row.n} | {' | '.join(figures)} | {row.words} |"


def _release(line: CheckpointLineage) -> Iterator[str]:
    release = release_of(line.checkpoint)
    for alias in release.aliases:
        yield f"- It is “{alias.name}” of this constitution."
    for one in release.counting:
        yield f"- {name_of(one.person)} {one.get_word_display()} as {one.role}."
    for sentence in release.missing:
        yield f"- Missing for production: {sentence}"
    if not (release.aliases or release.counting or release.missing):
        yield "Nobody has signed it off, and no rule asks for it."
