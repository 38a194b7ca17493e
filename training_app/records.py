"""What a stage says becomes rows: one transaction per batch of events, under the lease, each event once.

Twofold protection against doing anything twice: `RunStage.last_seq` moves in the same transaction as the rows, and
every record has a natural key the database keeps unique. All rows of one kind are inserted together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from constitutions_app.models import PrincipleVersion
from training_app import judges, leases, prompt_sets
from training_app.checkpoints import keep, verified
from training_app.copying import insert_new
from training_app.event_tail import Event
from training_app.models import (
    AILabel,
    Checkpoint,
    Comparison,
    Evaluation,
    EvaluationAnswer,
    Judge,
    MetricPoint,
    Prompt,
    Run,
    RunEvent,
    RunStage,
    Trace,
    TraceStep,
)
from training_app.prompts import human_key, keys_to_ids

Data = Mapping[str, Any]

BATCH = 1000
NEWEST_ONLY = frozenset({"progress", "metric"})
"""Kinds of which only the newest of a batch is kept as an event: the points of the curves are rows of their own."""

IN_FILES = frozenset({"attempt", "prompt"})
"""Records that stay in the stage's folder: what comes of them is kept when it finishes (prompt_sets.py)."""

SHOWN = frozenset({"rollout", "first_batch"})
"""Records that have no table of their own and are kept as events, for people to read."""

MOVED = ("device", "dtype", "notes", "unit", "total", "done", "rate", "eta_s", "summary", "outputs", "last_seq")
"""The columns of a stage that its events move; its state is the runner's."""

CHECKPOINT_OF = {"sl_cai": "sft", "rl_cai": "rl", "dpo_cai": "dpo"}
"""Which stage made a model that is evaluated; "base" was made by none."""


class UnknownReference(Exception):
    """A record names a prompt, principle or comparison the run does not have; the message says which."""


@dataclass
class Reader:
    """Turns the records of one stage into rows. Looks up each kind of reference once and keeps it."""

    stage: RunStage
    run: Run
    judge_parts: Data = field(default_factory=dict)
    """The judge's model, {"name", "digest", "backend"}; how it was asked stands in the labels themselves."""
    _prompts: dict[str, int] = field(default_factory=dict)
    _principles: dict[str, int] = field(default_factory=dict)
    _judges: dict[tuple[str, ...], Judge] = field(default_factory=dict)

    def prompt(self, key: str) -> int:
        if not self._prompts:
            self._prompts = keys_to_ids(self.run)
        return self._found(self._prompts, key, "prompt")

    def principle(self, key: str) -> int:
        if not self._principles:
            rows = PrincipleVersion.objects.filter(version_id=self.run.version_id).values_list("key", "pk")
            self._principles = dict(rows)
        return self._found(self._principles, key, "principle")

    def judge(self, data: Data) -> Judge:
        how = data.get("how") or {}
        told = (data["template"], data["dtype"], data.get("manner"), how.get("layout"), how.get("sampling"))
        parts = tuple(str(part or "") for part in told)
        if parts not in self._judges:
            spec = judges.JudgeSpec(
                model_name=str(self.judge_parts.get("name") or "unnamed"),
                model_digest=str(self.judge_parts.get("digest") or ""),
                template=parts[0],
                dtype=parts[1],
                backend=str(self.judge_parts.get("backend") or "local"),
                manner=parts[2],
                layout=parts[3],
                sampling=parts[4],
            )
            self._judges[parts] = judges.register(spec, actor=None)
        return self._judges[parts]

    def _found(self, known: Mapping[str, int], key: str, what: str) -> int:
        if key not in known:
            raise UnknownReference(
                f"the stage {self.stage.slug} names the {what} {key!r}, which this run does not have"
            )
        return known[key]


def ingest(lease: leases.Lease, reader: Reader, events: Sequence[Event]) -> None:
    """Put a batch of events into the database, all or nothing. Raises LeaseLost, UnknownReference, BadCheckpoint."""
    sound = {
        event.seq: verified(reader.run, reader.stage, event.body) for event in events if event.kind == "checkpoint"
    }
    with transaction.atomic():
        leases.hold(lease)
        stage = reader.stage
        stage.refresh_from_db(fields=("last_seq",))
        fresh = [event for event in events if event.seq > stage.last_seq]
        if not fresh:
            return
        _insert_records(reader, [event.body for event in fresh if event.kind == "record"])
        _insert_metrics(stage, [event.body for event in fresh if event.kind == "metric"])
        RunEvent.objects.bulk_create(_kept(stage, fresh), batch_size=BATCH)
        _move_stage(stage, fresh)
        stage.save(update_fields=MOVED)
        if stage.slug == "write" and any(event.kind == "finished" for event in fresh):
            stage.run = reader.run
            prompt_sets.keep_written(stage)
        if stage.device and reader.run.device != stage.device:
            Run.objects.filter(pk=reader.run.pk).update(device=stage.device)
            reader.run.device = stage.device
        for event in fresh:
            if event.seq in sound:
                keep(reader.run, stage, sound[event.seq])


def _insert_records(reader: Reader, said: Sequence[Data]) -> None:
    by_kind: dict[str, list[Data]] = {}
    for body in said:
        by_kind.setdefault(str(body["record"]), []).append(body["data"])
    for kind, data in by_kind.items():
        if kind not in SHOWN | IN_FILES:
            _TABLES[kind](reader, data)


def _insert_metrics(stage: RunStage, said: Sequence[Data]) -> None:
    points = [
        MetricPoint(stage=stage, name=name[:60], step=body["step"], value=value)
        for body in said
        for name, value in body["values"].items()
    ]
    MetricPoint.objects.bulk_create(points, batch_size=BATCH, ignore_conflicts=True)


def _kept(stage: RunStage, events: Sequence[Event]) -> list[RunEvent]:
    newest = {event.kind: event.seq for event in events}
    return [
        RunEvent(stage=stage, seq=event.seq, kind=event.kind, at=_at(event), data=_payload(event))
        for event in events
        if (event.kind not in NEWEST_ONLY or newest[event.kind] == event.seq)
        and (event.kind != "record" or event.body["record"] in SHOWN)
    ]


def _move_stage(stage: RunStage, events: Sequence[Event]) -> None:
    """What the stage's own row says after these events: device, progress, summary."""
    for event in events:
        body = event.body
        if event.kind == "started":
            stage.device, stage.dtype = str(body["device"])[:200], str(body["dtype"])[:20]
            stage.notes = [note for note in body.get("note") or [] if note]
            stage.unit, stage.total = str(body["unit"])[:30], body["total"]
            stage.done, stage.rate, stage.eta_s = body.get("resumed_at") or 0, None, None
        elif event.kind == "progress":
            stage.done, stage.total = body["done"], body["total"]
            stage.rate, stage.eta_s = body.get("rate"), body.get("eta_s")
        elif event.kind == "finished":
            stage.summary, stage.outputs = body.get("summary") or {}, body.get("outputs") or {}
            stage.eta_s = None
    stage.last_seq = events[-1].seq


def _responses(reader: Reader, said: Sequence[Data]) -> None:
    insert_new(
        Trace,
        [
            {
                "run_id": reader.run.pk,
                "prompt_id": reader.prompt(data["prompt_id"]),
                "initial_response": data["text"],
                "tokens": data.get("tokens") or 0,
                "finish": str(data.get("finish") or "")[:20],
            }
            for data in said
        ],
    )


def _steps(reader: Reader, said: Sequence[Data]) -> None:
    prompts = {reader.prompt(data["prompt_id"]) for data in said}
    traces = dict(Trace.objects.filter(run=reader.run, prompt__in=prompts).values_list("prompt_id", "pk"))
    if len(traces) < len(prompts):
        raise UnknownReference("the stage revise names a prompt that has no initial response in this run")
    insert_new(
        TraceStep,
        [
            {
                "trace_id": traces[reader.prompt(data["prompt_id"])],
                "round": data["round"],
                "principle_id": reader.principle(data["principle_id"]),
                "critique_request": data["critique_request"],
                "critique": data["critique"],
                "revision_request": data["revision_request"],
                "revision": data["revision"],
                "flags": list(data.get("flags") or []),
                "sent_critique": (data.get("sent") or {}).get("critique") or "",
                "sent_revision": (data.get("sent") or {}).get("revision") or "",
                "tokens": data.get("tokens") or 0,
                "seed": data.get("seed") or 0,
            }
            for data in said
        ],
    )


def _comparisons(reader: Reader, said: Sequence[Data]) -> None:
    messages = dict(
        Prompt.objects.filter(pk__in={reader.prompt(data["prompt_id"]) for data in said}).values_list("pk", "messages")
    )
    insert_new(
        Comparison,
        [
            {
                "source": Comparison.Source.SAMPLED,
                "run_id": reader.run.pk,
                "prompt_id": (prompt := reader.prompt(data["prompt_id"])),
                "key": data["prompt_id"],
                "prompt_text": data["prompt"],
                "messages": messages[prompt],
                "response_a": data["response_a"],
                "response_b": data["response_b"],
                "identical": bool(data.get("identical", False)),
            }
            for data in said
        ],
    )


def _labels(reader: Reader, said: Sequence[Data]) -> None:
    keys = {data["comparison_id"] for data in said}
    comparisons = dict(Comparison.objects.filter(run=reader.run, key__in=keys).values_list("key", "pk"))
    comparisons |= _human(reader.run, keys - comparisons.keys())
    if missing := sorted(keys - comparisons.keys()):
        raise UnknownReference(f"the stage label names the comparison {missing[0]!r}, which this run does not have")
    insert_new(AILabel, [_label(reader, data, comparisons[data["comparison_id"]]) for data in said])


def _human(run: Run, keys: set[str]) -> dict[str, int]:
    """Human comparisons of the run's sets that were judged too, by the key a stage knows them by."""
    if not keys:
        return {}
    chosen = Comparison.objects.filter(
        prompt_set__runs=run, source=Comparison.Source.HUMAN, key__in={key.partition(":")[2] for key in keys}
    )
    found = {human_key(one): one.pk for one in chosen.select_related("prompt_set")}
    return {key: found[key] for key in keys & found.keys()}


def _label(reader: Reader, data: Data, comparison: int) -> dict[str, Any]:
    orders = {order["order"]: order for order in data["orders"]}
    clamp = data.get("clamp") or (None, None)
    p_a = data["p_a"]
    return {
        "run_id": reader.run.pk,
        "comparison_id": comparison,
        "principle_id": None if data["principle_id"] is None else reader.principle(data["principle_id"]),
        "judge_id": reader.judge(data).pk,
        "question": data["question"],
        "sent_ab": data["sent"]["ab"],
        "sent_ba": data["sent"]["ba"],
        "ab_logp_a": orders["ab"]["logp_a"],
        "ab_logp_b": orders["ab"]["logp_b"],
        "ba_logp_a": orders["ba"]["logp_a"],
        "ba_logp_b": orders["ba"]["logp_b"],
        "p_ab": orders["ab"]["p_a"],
        "p_ba": orders["ba"]["p_a"],
        "p_a": p_a,
        "p_neither": data.get("p_neither"),
        "votes": data.get("votes") or [],
        "clamp_low": clamp[0],
        "clamp_high": clamp[1],
        "p_a_clamped": p_a if data.get("p_a_clamped") is None else data["p_a_clamped"],
        "same_position": data["same_position"],
    }


def _answers(reader: Reader, said: Sequence[Data]) -> None:
    insert_new(
        EvaluationAnswer,
        [
            {
                "run_id": reader.run.pk,
                "model": data["model"],
                "prompt_id": reader.prompt(data["prompt_id"]),
                "text": data["text"],
                "reward": data.get("reward"),
                "evasive": data["evasive"],
                "boilerplate": data["boilerplate"],
                "words": data["words"],
                "features": data.get("features") or {},
            }
            for data in said
        ],
    )


def _evaluations(reader: Reader, said: Sequence[Data]) -> None:
    runs = [pk for pk in (reader.run.source_id, reader.run.pk) if pk is not None]
    found = sorted(Checkpoint.objects.filter(run__in=runs), key=lambda one: runs.index(one.run_id))
    made = {checkpoint.stage: checkpoint.pk for checkpoint in found}  # the run's own in place of its source's
    insert_new(
        Evaluation,
        [
            {
                "run_id": reader.run.pk,
                "model": data["model"],
                "checkpoint_id": made.get(CHECKPOINT_OF.get(data["model"], "")),
                "metrics": {name: value for name, value in data.items() if name != "model"},
            }
            for data in said
        ],
    )


_TABLES: Mapping[str, Callable[[Reader, Sequence[Data]], None]] = {
    "response": _responses,
    "step": _steps,
    "comparison": _comparisons,
    "label": _labels,
    "answer": _answers,
    "evaluation": _evaluations,
}


def _payload(event: Event) -> dict[str, Any]:
    return {name: value for name, value in event.body.items() if name not in ("seq", "at", "kind")}


def _at(event: Event) -> Any:
    return parse_datetime(event.at) or timezone.now()
