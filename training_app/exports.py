"""What a run's judge and its critic said, as files other tools read: rows for TRL's trainers, and annotated pairs.

Every row says where it comes from: the constitution's digest, the principle at its version, the judge's digest, p(A),
and what people made of it. Rows are read from the database as they are written, so a million need no more memory than
one. Left out and never counted as a preference: ties, steps that people override, revisions that are empty or no-ops.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.db.models import QuerySet

from training_app import verdicts
from training_app.access import Person, can_audit, hidden_items
from training_app.core.annotated_pairs import Annotator, Pair, write_pairs
from training_app.models import AILabel, Comparison, PairImport, PromptSet, Run, TraceStep
from training_app.verdicts import Final

Row = dict[str, Any]
Look = Callable[[int], None]
"""Is told now and then how many rows or comparisons are written; what it raises ends the writing."""
CHUNK = 500
LABELS, TRACES = "labels", "traces"
FORMATS: Mapping[str, tuple[str, ...]] = {LABELS: ("jsonl", "parquet", "icai"), TRACES: ("jsonl", "parquet")}
ITEM_FORMATS = ("jsonl", "parquet")
"""As what items of the explorer are written (export_writing.py)."""
ENDINGS = {"jsonl": "jsonl", "parquet": "parquet", "icai": "json"}
SMALL = 5_000
"""Labels, or steps, that a request writes while somebody waits for it; larger runs are written by a worker."""
PEOPLE = "people"
NOT_TRAINED_ON = ("empty", "no_op")


@dataclass(frozen=True)
class LeftOut:
    """Primary keys of what its reader has yet to judge blind: none of it is written."""

    labels: frozenset[int] = frozenset()
    steps: frozenset[int] = frozenset()
    comparisons: frozenset[int] = frozenset()


NOTHING = LeftOut()


def left_out_for(user: Person) -> LeftOut:
    """What an export for this person leaves out. Three queries for auditors, none for others."""
    if not can_audit(user):
        return NOTHING
    return LeftOut(*(frozenset(hidden_items(user, kind)) for kind in ("label", "step", "comparison")))


def is_small(run: Run, what: str) -> bool:
    """Whether a run has at most SMALL labels (or steps). One query, which reads so many keys and one more."""
    rows = AILabel.objects.filter(run=run) if what == LABELS else TraceStep.objects.filter(trace__run=run)
    return len(rows.order_by().values_list("pk", flat=True)[: SMALL + 1]) <= SMALL


def write_export(
    run: Run, what: str, form: str, path: Path, left_out: LeftOut = NOTHING, look: Look = lambda count: None
) -> int:
    """Write `what` ("labels", "traces") of a run as `form` to `path`; returns how many rows or comparisons.

    Raises KeyError for a form that `FORMATS` does not offer.
    """
    if form not in FORMATS[what]:
        raise KeyError(form)
    if form == "icai":
        pieces = _write_lines(annotated_pairs(run, left_out), path, look)
        return pieces - 2  # the first is the head, the last closes it
    rows = label_rows(run, left_out) if what == LABELS else step_rows(run, left_out)
    if form == "parquet":
        return _write_parquet(rows, path, look)
    return _write_lines((json.dumps(row, ensure_ascii=False, sort_keys=True) + "\n" for row in rows), path, look)


def label_rows(run: Run, left_out: LeftOut = NOTHING) -> Iterator[Row]:
    """TRL preference rows, one an AI label: ``{"prompt", "chosen", "rejected"}`` as messages, then the provenance.

    A person's override of a label decides which response was chosen; `p_a` stays what the judge said.
    """
    changed = verdicts.overridden_labels(run)
    for label in _labels(run).exclude(pk__in=left_out.labels).iterator(chunk_size=CHUNK):
        final = changed.get(label.pk)
        target = final.p_a if final else label.p_a
        if target == 0.5:
            continue
        one, other = label.comparison.response_a, label.comparison.response_b
        chosen, rejected = (one, other) if target > 0.5 else (other, one)
        conversation = label.comparison.messages or [{"role": "user", "content": label.comparison.prompt_text}]
        yield {
            **_preference(conversation, chosen, rejected),
            "id": f"label-{label.pk}",
            "comparison": label.comparison.key,
            "chosen_is": "a" if target > 0.5 else "b",
            "p_a": label.p_a,
            "p_a_clamped": label.p_a_clamped,
            "same_position": label.same_position,
            "judge": label.judge.name,
            "judge_digest": label.judge.digest,
            **_cites(run, label.principle.key if label.principle else None),
            **_audited(final),
        }


def step_rows(run: Run, left_out: LeftOut = NOTHING) -> Iterator[Row]:
    """TRL preference rows, one a revision that changed something: the revision over the initial response."""
    dropped = verdicts.overridden_steps(run)
    steps = TraceStep.objects.filter(trace__run=run).select_related("trace__prompt", "principle")
    steps = steps.exclude(pk__in=left_out.steps)
    for step in steps.defer("sent_critique", "sent_revision").order_by("pk").iterator(chunk_size=CHUNK):
        if step.pk in dropped or not step.revision or set(step.flags) & set(NOT_TRAINED_ON):
            continue
        prompt = step.trace.prompt
        conversation = prompt.messages or [{"role": "user", "content": prompt.text}]
        yield {
            **_preference(conversation, step.revision, step.trace.initial_response),
            "id": f"step-{step.pk}",
            "trace": step.trace_id,
            "round": step.round,
            "critique": step.critique,
            "flags": ",".join(step.flags),
            **_cites(run, step.principle.key),
            **_audited(None),
        }


def annotated_pairs(run: Run, left_out: LeftOut = NOTHING) -> Iterator[str]:
    """The run's labels and the human comparisons it trains on as annotated pairs: every principle is an annotator."""
    labels = _labels(run).exclude(pk__in=left_out.labels)
    human = Comparison.objects.filter(prompt_set__runs=run, source=Comparison.Source.HUMAN)
    human = human.exclude(pk__in=left_out.comparisons)
    named = {one.id: one for one in map(_annotator, _cited_by(run))}
    people = Annotator(PEOPLE, "People", "human", "The choice of the human comparisons that the run trains on.")
    annotators = [*named.values(), *([people] if human.exists() else [])]
    changed = verdicts.overridden_labels(run)
    alone = human.exclude(labels__run=run)
    by_comparison = itertools.groupby(labels.iterator(chunk_size=CHUNK), key=lambda label: label.comparison)
    pairs = itertools.chain(
        (_pair(comparison, {_annotator(one).id: _annotation(one, changed) for one in group} | _people(comparison))
         for comparison, group in by_comparison),
        (_pair(one, _people(one)) for one in alone.order_by("pk").iterator(chunk_size=CHUNK)),
    )  # fmt: skip
    metadata = {
        "description": f"AI labels of {run}",
        "dataset_name": run.name or str(run),
        "constitution_digest": run.version.digest,
        "prompt_sets": {one.slug: one.digest for one in PromptSet.objects.filter(runs=run)},
    }
    return write_pairs(annotators, pairs, default=PEOPLE if human.exists() else "", metadata=metadata)


def imported_pairs(imported: PairImport) -> Iterator[str]:
    """A file of annotated pairs as it came: the same annotators, comparisons and annotations."""
    rows = imported.pairs.select_related("comparison").order_by("position").iterator(chunk_size=CHUNK)
    return write_pairs(
        [Annotator(**one) for one in imported.annotators],
        (
            Pair(
                one.comparison.key,
                one.prompt,
                one.comparison.response_a,
                one.comparison.response_b,
                one.annotations,
                (one.responders[0], one.responders[1]),
                one.metadata,
            )
            for one in rows
        ),
        default=imported.default_annotator,
        metadata=imported.metadata,
    )


def _labels(run: Run) -> QuerySet[AILabel]:
    """Those of a run, the ones of a comparison together."""
    labels = AILabel.objects.filter(run=run).select_related(
        "comparison", "principle", "judge", "run__version__constitution"
    )
    return labels.defer("sent_ab", "sent_ba").order_by("comparison_id", "pk")


def _cited_by(run: Run) -> Iterable[AILabel]:
    """One label for every principle and judge of a run."""
    return _labels(run).order_by("principle_id", "judge_id", "pk").distinct("principle_id", "judge_id")


def _preference(conversation: list[Row], chosen: str, rejected: str) -> Row:
    answers = ([{"role": "assistant", "content": text}] for text in (chosen, rejected))
    return {"prompt": conversation, **dict(zip(("chosen", "rejected"), answers, strict=True))}


def _cites(run: Run, key: str | None) -> Row:
    version = f"{run.version.constitution.slug}@{run.version.number}"
    return {
        "principle": f"{version}/{key or '*'}",
        "constitution": version,
        "constitution_digest": run.version.digest,
        "run": str(run.pk),
    }


def _audited(final: Final | None) -> Row:
    audit, adjudication = (final.audit, final.adjudication) if final else (None, None)
    return {
        "audit": str(audit.pk) if audit else "",
        "audit_choice": final.choice if final else "",
        "adjudication": str(adjudication.pk) if adjudication else "",
    }


def _annotator(label: AILabel) -> Annotator:
    principle = label.principle
    text = principle.text if principle else "All principles of the version at once."
    identity = f"{label.principle_id}|{text}|{label.judge.digest}"
    return Annotator(
        hashlib.sha256(identity.encode()).hexdigest()[:16],
        str(principle or "All principles"),
        "principle",
        text,
        {**_cites(label.run, principle.key if principle else None), "judge_digest": label.judge.digest},
    )


def _annotation(label: AILabel, changed: Mapping[int, Final]) -> Row:
    said: Row = {"pref": label.ai_choice or None, "p_a": label.p_a, "p_a_clamped": label.p_a_clamped}
    said |= {} if label.ai_choice else {"no_pref_reason": "tie"}
    said |= {name: getattr(label, name) for name in ("ab_logp_a", "ab_logp_b", "ba_logp_a", "ba_logp_b")}
    return said | {"label": label.pk, **_audited(changed.get(label.pk))}


def _people(comparison: Comparison) -> Row:
    return {PEOPLE: {"pref": comparison.human_choice}} if comparison.human_choice else {}


def _pair(comparison: Comparison, annotations: Row) -> Pair:
    messages = comparison.messages
    names = {"user": "Human", "assistant": "Assistant"}
    turns = [f"{names.get(turn['role'], turn['role'])}: {turn['content']}" for turn in messages]
    prompt = "\n\n".join(turns) if len(messages) > 1 else comparison.prompt_text
    metadata = {"source": comparison.source, "identical": comparison.identical}
    metadata |= {"messages": messages} if len(messages) > 1 else {}
    return Pair(comparison.key, prompt, comparison.response_a, comparison.response_b, annotations, metadata=metadata)


def _write_lines(pieces: Iterable[str], path: Path, look: Look) -> int:
    count = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        for piece in pieces:
            file.write(piece)
            count += 1
            if count % CHUNK == 0:
                look(count)
    return count


def _write_parquet(rows: Iterator[Row], path: Path, look: Look) -> int:
    """A row group for every CHUNK rows; a file without rows has no columns but the three that trainers read."""
    import pyarrow as pa
    from pyarrow import parquet

    turns = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))
    columns = [(name, turns) for name in ("prompt", "chosen", "rejected")]
    first = list(itertools.islice(rows, 1))
    schema = pa.schema(columns)
    if first:
        rest = {name: value for name, value in first[0].items() if name not in dict(columns)}
        schema = pa.schema([*columns, *((name, pa.scalar(value).type) for name, value in rest.items())])
    count, ahead = 0, itertools.chain(first, rows)
    with parquet.ParquetWriter(path, schema) as writer:
        while batch := list(itertools.islice(ahead, CHUNK)):
            writer.write_table(pa.Table.from_pylist(batch, schema=schema))
            count += len(batch)
            look(count)
    return count
