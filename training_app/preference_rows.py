"""What a run's judge and its critic said as preference rows for TRL's trainers, read as they are asked for.

Every row says where it comes from: the constitution's digest, the principle at its version, the judge's digest, p(A),
and what people made of it. Left out and never counted as a preference: ties, steps that people override, revisions that
are empty or no-ops, and what the reader has yet to judge blind.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import Max, Min, QuerySet

from constitutions_app.models import Version
from training_app.access import Person, can_audit, hidden_items
from training_app.models import AILabel, Run, TraceStep
from training_app.verdicts import Final

Row = dict[str, Any]
Span = tuple[int, int]
"""The first and the last primary key to read, both included."""
Finals = Mapping[int, Final]
CHUNK = 500
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


def span_of(rows: QuerySet[Any]) -> Span:
    """The first and the last key of rows; the first above the second where there are none. One query."""
    ends = rows.order_by().aggregate(first=Min("pk"), last=Max("pk"))
    return (ends["first"], ends["last"]) if ends["first"] is not None else (1, 0)


def label_rows(run: Run, left_out: LeftOut, span: Span, changed: Finals) -> Iterator[Row]:
    """TRL preference rows, one an AI label: ``{"prompt", "chosen", "rejected"}`` as messages, then the provenance.

    `changed`: the labels that people override. An override decides which response was chosen; `p_a` stays what the
    judge said.
    """
    related = ("comparison", "principle", "judge", "run__version__constitution")
    labels = AILabel.objects.filter(run=run, pk__range=span).exclude(pk__in=left_out.labels)
    labels = labels.select_related(*related).defer("sent_ab", "sent_ba", "run__version__canonical").order_by("pk")
    for label in labels.iterator(chunk_size=CHUNK):
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
            **cites(run.version, label.principle.key if label.principle else None),
            "run": str(run.pk),
            **audited(final),
        }


def step_rows(run: Run, left_out: LeftOut, span: Span, dropped: Finals) -> Iterator[Row]:
    """TRL preference rows, one a revision that changed something: the revision over the initial response.

    `dropped`: the steps that people override; they give no row.
    """
    steps = TraceStep.objects.filter(trace__run=run, pk__range=span).select_related("trace__prompt", "principle")
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
            **cites(run.version, step.principle.key),
            "run": str(run.pk),
            **audited(None),
        }


def cites(version: Version, key: str | None) -> Row:
    """Which principle of which version, "*" for all of them, and the digest of the words."""
    name = f"{version.constitution.slug}@{version.number}"
    return {"principle": f"{name}/{key or '*'}", "constitution": name, "constitution_digest": version.digest}


def audited(final: Final | None) -> Row:
    """The verdict of people that changed something, if any did."""
    audit, adjudication = (final.audit, final.adjudication) if final else (None, None)
    return {
        "audit": str(audit.pk) if audit else "",
        "audit_choice": final.choice if final else "",
        "adjudication": str(adjudication.pk) if adjudication else "",
    }


def _preference(conversation: list[Row], chosen: str, rejected: str) -> Row:
    answers = ([{"role": "assistant", "content": text}] for text in (chosen, rejected))
    return {"prompt": conversation, **dict(zip(("chosen", "rejected"), answers, strict=True))}
