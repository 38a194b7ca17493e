"""Import traces: a file as the paper's authors published theirs becomes traces of a version, or nothing at all."""

from __future__ import annotations

from collections.abc import Iterator

from django.contrib.auth.models import User
from django.db import transaction
from django.utils.text import slugify

from constitutions_app.ledger import record
from constitutions_app.models import Version
from training_app import prompt_sets
from training_app.core.paper_traces import ReadTrace
from training_app.core.signals import step_flags
from training_app.models import Prompt, PromptSet, Trace, TraceImport, TraceStep
from training_app.prompt_files import ReadPrompt, ReadPrompts, key_of
from training_app.refusals import TraceFileRefused
from training_app.trace_files import TraceFile, read_trace_file

BATCH = 1000


def import_traces(
    *, user: User | None, version: Version, content: bytes, file_name: str, licence: str = ""
) -> TraceImport:
    """Keep the traces of a file, each round citing the principle of `version` that its key names; returns the import.

    The same file under the same version is the import already there. Its prompts become a red-team prompt set. Raises
    TraceFileRefused with every place that was not understood, an unknown key among them; then nothing is written.
    """
    found = read_trace_file(content, version)
    if found.misread:
        raise TraceFileRefused(found.misread)
    with transaction.atomic():
        Version.objects.select_for_update().filter(pk=version.pk).first()  # of two imports at once, one waits
        if earlier := TraceImport.objects.filter(version=version, digest=found.digest).first():
            return earlier
        made = TraceImport.objects.create(
            version=version,
            prompt_set=_prompt_set(found, file_name, licence, user),
            file_name=file_name[:200],
            digest=found.digest,
            licence=licence,
            rows=len(found.traces),
            steps=sum(found.keys.values()),
            other_wordings=found.other_wordings,
            created_by=user,
        )
        _write(made, found)
        data = {"version": version.pk, "constitution": version.digest, "file": file_name, "digest": found.digest}
        record(actor=user, verb="traces.import", obj=made, data=data | {"traces": made.rows, "steps": made.steps})
    return made


def _prompt_set(found: TraceFile, file_name: str, licence: str, user: User | None) -> PromptSet:
    """The set of the file's prompts, each once."""
    name = file_name.removesuffix(".jsonl")
    prompts = {one.key: one for one in map(_prompt, found.traces)}
    return prompt_sets.freeze(
        ReadPrompts.of(list(prompts.values())),
        slug=slugify(f"traces-{name}")[:100],
        name=f"Prompts of {name}"[:200],
        kind=PromptSet.Kind.RED_TEAM,
        licence=licence,
        user=user,
        provenance={"imported": {"file": file_name[:200], "digest": found.digest, "as": "traces"}},
    )


def _prompt(trace: ReadTrace) -> ReadPrompt:
    turns = trace.messages if len(trace.messages) > 1 else ()
    return ReadPrompt(key_of(trace.prompt, turns), trace.prompt, turns, ())


def _write(made: TraceImport, found: TraceFile) -> None:
    prompts = {prompt.key: prompt for prompt in Prompt.objects.filter(prompt_set=made.prompt_set)}
    rows = [
        Trace(imported=made, prompt=prompts[_prompt(one).key], initial_response=one.initial_response)
        for one in found.traces
    ]
    traces = Trace.objects.bulk_create(rows, batch_size=BATCH)
    steps = [step for trace, one in zip(traces, found.traces, strict=True) for step in _steps(trace, one, found)]
    TraceStep.objects.bulk_create(steps, batch_size=BATCH)


def _steps(trace: Trace, read: ReadTrace, found: TraceFile) -> Iterator[TraceStep]:
    """One row a round. Flags are found as in our own traces; the whole text that was sent is not known."""
    before = read.initial_response
    for number, one in enumerate(read.rounds, start=1):
        cited = found.cited[one.key]
        yield TraceStep(
            trace=trace,
            round=number,
            principle=cited.row,
            critique_request=one.critique_request or cited.wordings.critique_request,
            critique=one.critique,
            revision_request=one.revision_request or cited.wordings.revision_request,
            revision=one.revision,
            flags=list(step_flags(before, one.critique, one.revision, is_cut=False)),
        )
        before = one.revision or before
