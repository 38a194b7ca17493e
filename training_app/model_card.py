"""The model card of a checkpoint, written from the facts and nothing else: Markdown with Hugging Face's metadata.

Its fields follow Hugging Face's model card specification; `huggingface_hub` writes the metadata. What nobody measured
is said to be unmeasured rather than left out.
"""

from __future__ import annotations

from collections.abc import Iterator

from constitutions_app.ledger import name_of
from training_app.lineage import CheckpointLineage
from training_app.measured import measured_rows
from training_app.options import STAGE_NAMES
from training_app.releases import release_of


def card_of(line: CheckpointLineage) -> str:
    """The card as one text. Reads the release review and the evaluations' rows."""
    return f"---\n{_metadata(line)}\n---\n\n" + "\n".join(_body(line)).rstrip() + "\n"


def _metadata(line: CheckpointLineage) -> str:
    from huggingface_hub import ModelCardData

    data = ModelCardData(
        base_model=str(line.run.base_model.get("name", "")),
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
