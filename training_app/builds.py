"""Dataset builds: the rows a stage trains on, frozen as one file, and for every row the item it came from.

Built from the rows of the run, with people's overrides applied (verdicts.py): an override of a step drops it, an
override of a label replaces p(A). Which rows follow from which records is `core.datasets`; this file reads the
database, writes the JSONL file beside the run and keeps its digest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import QuerySet

from constitutions_app.ledger import record
from training_app import verdicts
from training_app.configuration import config_from
from training_app.core.aggregate import Aggregation
from training_app.core.config import RunConfig
from training_app.core.datasets import Build, prompt_text, refuse_leak, same_prompt, sft_rows, split_by_prompt
from training_app.core.errors import BadInput
from training_app.core.gate import gate_counts
from training_app.core.preferences import Preferences, preference_rows, revision_rows
from training_app.models import AILabel, Audit, Comparison, DatasetBuild, DatasetItem, Prompt, Run, Trace, TraceStep
from training_app.prompts import prompt_id, prompts_of
from training_app.refusals import BuildRefused

STAGES = ("sft", "reward", "dpo")
SFT, TRAIN, HELDOUT = "sl-cai", "preferences", "preferences-heldout"
BATCH = 1000

Origins = Mapping[str, Sequence[dict[str, Any]]]
"""Row id → the fields of each DatasetItem that names what the row came from; several labels can make one row."""


@dataclass(frozen=True)
class _Made:
    """Rows not yet frozen, where each came from, and the rules to keep beside them."""

    build: Build
    origins: Origins
    rules: dict[str, Any]


def build(
    *,
    run: Run,
    stage: str,
    suffix: str = "",
    aggregation: Aggregation | None = None,
    actor: User | None,
    hold: Callable[[], None] = lambda: None,
) -> tuple[DatasetBuild, ...]:
    """Freeze what `stage` would train on now: one build for "sft", training and held-out rows for "reward" and "dpo".

    `suffix` keeps builds made by hand apart from those the run itself trains on. `aggregation` makes the targets of
    "reward" from the labels' raw log-probabilities in another way than the run was told to. `hold` is called first
    inside the transaction (a worker makes sure there that it still owns the run).
    Raises BuildRefused when there is nothing to train on or the name is taken.
    """
    config = config_from(run.config)
    with transaction.atomic():
        hold()
        made = _rows_for(run, config, stage, aggregation or aggregation_of(config))
        frozen = tuple(_freeze(run, stage, suffix, one) for one in made if one.build.rows)
        data = {
            "run": str(run.pk),
            "stage": stage,
            "builds": [{"name": one.name, "digest": one.digest, "rows": one.rows} for one in frozen],
            "rules": frozen[0].rules,
        }
        record(actor=actor, verb="dataset.build", obj=frozen[0], data=data)
    return frozen


def free_suffix(run: Run, stage: str) -> str:
    """The first of "-2", "-3", … under which `stage` of this run has no build yet."""
    taken = set(DatasetBuild.objects.filter(run=run, stage=stage).values_list("name", flat=True))
    first = SFT if stage == "sft" else TRAIN
    number = 2
    while f"{first}-{number}" in taken:
        number += 1
    return f"-{number}"


def existing(run: Run, stage: str) -> tuple[DatasetBuild, ...]:
    """The builds the run itself made for `stage`, as its pipeline uses them; empty before it has."""
    names = (SFT,) if stage == "sft" else (TRAIN, HELDOUT)
    return tuple(DatasetBuild.objects.filter(run=run, stage=stage, name__in=names).order_by("pk"))


def _rows_for(run: Run, config: RunConfig, stage: str, aggregation: Aggregation) -> tuple[_Made, ...]:
    if stage == "sft":
        return _sft(run, config)
    if stage == "reward":
        return _preferences(run, config, aggregation, config.reward.heldout_fraction)
    if config.dpo.pairs == "labels":
        return _preferences(run, config, aggregation, config.dpo.heldout_fraction)
    return _revisions(run, config)


def _sft(run: Run, config: RunConfig) -> tuple[_Made, ...]:
    traces = list(Trace.objects.filter(run=run).select_related("prompt__prompt_set"))
    steps = list(TraceStep.objects.filter(trace__run=run).select_related("trace__prompt__prompt_set"))
    dropped = verdicts.overridden_steps(run) if config.audits else {}
    kept = [step for step in steps if step.pk not in dropped]
    made = sft_rows(
        [_step_data(step) for step in kept],
        [_response_data(trace) for trace in traces],
        rounds=config.sft.rounds,
        dropped=config.sft.dropped_flags,
        name=SFT,
    )
    if not made.rows:
        raise BuildRefused(
            f"{run} has nothing to train SL-CAI on: every revision was empty, flagged or overridden "
            f"({_reasons(made)}). Use a more capable base model, or more prompts."
        )
    origins: dict[str, Sequence[dict[str, Any]]] = {_step_key(step): [{"step": step}] for step in kept}
    origins |= {_prompt_key(trace.prompt): [{"trace": trace}] for trace in traces}
    rules = made.rules() | {
        "rounds": config.sft.rounds,
        "gate": gate_counts(
            [(_step_key(step), step.flags) for step in steps],
            [str(row["id"]) for row in made.rows],
            made.excluded,
            config.sft.dropped_flags,
        ),
        "overridden": {
            "dropped": len(steps) - len(kept),
            "rule": verdicts.RULE,
            "audits": sorted(str(audit.pk) for audit in dropped.values()),
        },
    }
    return (_Made(made, origins, rules),)


def aggregation_of(config: RunConfig) -> Aggregation:
    """How the run's own configuration makes targets of labels."""
    return Aggregation(
        how=config.label.aggregation, clamp=config.label.clamp, drop_irrelevant=config.reward.drop_irrelevant
    )


@dataclass(frozen=True)
class Judged:
    """A run's labels, comparisons, human choices and verdicts, read once: what preference rows are made of."""

    labels: Sequence[dict[str, Any]]
    comparisons: Sequence[dict[str, Any]]
    human: Sequence[dict[str, Any]]
    overrides: Mapping[str, float]
    weights: Mapping[str, float] | None
    human_weight: float
    evaluated: frozenset[str] = frozenset()
    """`same_prompt` of the prompts that the run's models are evaluated on: nothing that asks them is trained on."""

    def preferences(self, aggregation: Aggregation) -> Preferences:
        """The rows that `aggregation` makes of them. No query. Raises BuildRefused."""
        try:
            return preference_rows(
                self.labels,
                self.comparisons,
                self.human,
                self.overrides,
                aggregation=aggregation,
                weights=self.weights,
                human_weight=self.human_weight,
                evaluated=self.evaluated,
                name=TRAIN,
            )
        except BadInput as error:
            raise BuildRefused(error.message) from error


def judged_in(run: Run, config: RunConfig) -> Judged:
    """Everything of a run that preference rows are made of. Writes nothing."""
    human = Comparison.objects.filter(prompt_set__runs=run, source=Comparison.Source.HUMAN).order_by("pk")
    return replace(
        _judged(
            run,
            config,
            AILabel.objects.filter(run=run.records),
            Comparison.objects.filter(run=run.records),
            verdicts.overridden_labels(run.records) if config.audits else {},
        ),
        human=[_human_data(comparison) for comparison in human],
        evaluated=_evaluated(run, config),
    )


def _evaluated(run: Run, config: RunConfig) -> frozenset[str]:
    """What the run's models are evaluated on, as `same_prompt` names prompts."""
    return frozenset(same_prompt(prompt_text(row)) for row in prompts_of(run, config).heldout)


def judged_in_parts(run: Run, config: RunConfig, *, most: int | None = None) -> Iterator[Judged]:
    """The same, some comparisons at a time (at most `most` in all), without the human ones: a million fit any memory.

    The labels of a comparison come together, so every target can be made of one part.
    """
    changed = verdicts.overridden_labels(run.records) if config.audits else {}
    seen, left = 0, most
    while left is None or left > 0:
        after = Comparison.objects.filter(run=run.records, pk__gt=seen).order_by("pk")
        part = list(after[: BATCH if left is None else min(BATCH, left)])
        if not part:
            return
        yield _judged(run, config, AILabel.objects.filter(run=run.records, comparison__in=part), part, changed)
        seen, left = part[-1].pk, None if left is None else left - len(part)


def _judged(
    run: Run,
    config: RunConfig,
    asked: QuerySet[AILabel],
    comparisons: Iterable[Comparison],
    changed: Mapping[int, Audit],
) -> Judged:
    """The labels `asked` on some comparisons of a run. `changed`: the audits that overrule labels."""
    labels = list(asked.select_related("comparison", "principle").defer("sent_ab", "sent_ba"))
    weights = {principle.id: principle.weight for principle in run.version.to_core().principles}
    return Judged(
        labels=[_label_data(label) for label in labels],
        comparisons=[_comparison_data(comparison) for comparison in comparisons],
        human=(),
        overrides={
            verdicts.key_of(label): verdicts.p_a_of(changed[label.pk]) for label in labels if label.pk in changed
        },
        weights=weights if config.label.ask == "every" else None,
        human_weight=config.reward.human_weight,
    )


def _preferences(run: Run, config: RunConfig, aggregation: Aggregation, fraction: float) -> tuple[_Made, ...]:
    found = judged_in(run, config).preferences(aggregation)
    made = found.build
    if not made.rows:
        raise BuildRefused(
            f"{run} has no preferences to train on ({_reasons(made)}). "
            "Sample longer or at a higher temperature, so that the two responses differ."
        )
    origins = _origins_of(run, found, audits=config.audits)
    train, heldout = split_by_prompt(made.rows, fraction)
    said = verdicts.said_of_labels(run.records)
    measured = [row | _people(said, found.labels.get(str(row["id"]), ())) for row in heldout]
    shared = {
        "excluded": made.reasons,
        "aggregation": aggregation.words(),
        "heldout_fraction": fraction,
        "human_weight": config.reward.human_weight,
    }
    return _sides(train, measured, origins, shared)


def _revisions(run: Run, config: RunConfig) -> tuple[_Made, ...]:
    """Pairs of the last kept revision against the initial response, and the human comparisons."""
    steps = list(TraceStep.objects.filter(trace__run=run.records).select_related("trace__prompt__prompt_set"))
    dropped = verdicts.overridden_steps(run.records) if config.audits else {}
    kept = [step for step in steps if step.pk not in dropped]
    human = list(Comparison.objects.filter(prompt_set__runs=run, source=Comparison.Source.HUMAN).order_by("pk"))
    made = revision_rows(
        [_step_data(step) | {"initial": step.trace.initial_response} for step in kept],
        [_human_data(comparison) for comparison in human],
        dropped=config.sft.dropped_flags,
        human_weight=config.reward.human_weight,
        evaluated=_evaluated(run, config),
        name=TRAIN,
    )
    if not made.rows:
        raise BuildRefused(f"{run} has no revision that differs from its first answer ({_reasons(made)}).")
    origins: dict[str, Sequence[dict[str, Any]]] = {_step_key(step): [{"step": step}] for step in kept}
    origins |= {comparison.key: [{"comparison": comparison}] for comparison in human}
    train, heldout = split_by_prompt(made.rows, config.dpo.heldout_fraction)
    shared = {
        "excluded": made.reasons,
        "pairs": "revisions",
        "heldout_fraction": config.dpo.heldout_fraction,
        "human_weight": config.reward.human_weight,
    }
    return _sides(train, heldout, origins, shared)


def _sides(
    train: Sequence[dict[str, Any]], heldout: Sequence[dict[str, Any]], origins: Origins, shared: dict[str, Any]
) -> tuple[_Made, ...]:
    """Both sides of a split as builds. Raises BuildRefused for a prompt on both."""
    try:
        refuse_leak(train, heldout)
    except BadInput as error:
        raise BuildRefused(f"{error.message} {error.advice}") from error
    return tuple(
        _Made(side, origins, side.rules() | shared | {"overridden": _changed(side, origins)})
        for side in (Build(TRAIN, tuple(train)), Build(HELDOUT, tuple(heldout)))
    )


def _people(said: Mapping[str, float], keys: Sequence[str]) -> dict[str, float]:
    """What people said of a held-out row's labels, to measure a model against: the mean of 1, 0 and 1/2."""
    given = [said[key] for key in keys if key in said]
    return {"people": sum(given) / len(given)} if given else {}


def _origins_of(run: Run, found: Preferences, *, audits: bool) -> Origins:
    """For every preference row the labels that made it, each with the audit that changed it, or the human choice."""
    changed = verdicts.overridden_labels(run.records) if audits else {}
    labels = (
        AILabel.objects.filter(run=run.records).select_related("comparison", "principle").defer("sent_ab", "sent_ba")
    )
    by_key = {verdicts.key_of(label): {"label": label, "audit": changed.get(label.pk)} for label in labels}
    human = Comparison.objects.filter(prompt_set__runs=run, source=Comparison.Source.HUMAN)
    made: dict[str, Sequence[dict[str, Any]]] = {choice.key: [{"comparison": choice}] for choice in human}
    return made | {row: [by_key[key] for key in keys] for row, keys in found.labels.items()}


def _freeze(run: Run, stage: str, suffix: str, made: _Made) -> DatasetBuild:
    name = made.build.name + suffix
    if DatasetBuild.objects.filter(run=run, stage=stage, name=name).exists():
        raise BuildRefused(f"{run} already has a dataset build {name!r} for the stage {stage}. Choose another name.")
    digest = made.build.digest
    path = run.folder / "builds" / f"{name}-{digest[:12]}.jsonl"
    made.build.write(path)  # before the row: a file without a row harms nobody
    row = DatasetBuild.objects.create(
        run=run,
        stage=stage,
        name=name,
        digest=digest,
        rows=len(made.build.rows),
        path=path.relative_to(settings.ARTIFACT_ROOT).as_posix(),
        rules=made.rules,
    )
    items = [
        DatasetItem(build=row, position=position, part=part, **origin)
        for position, item in enumerate(made.build.rows, start=1)
        for part, origin in enumerate(made.origins[str(item["id"])])
    ]
    DatasetItem.objects.bulk_create(items, batch_size=BATCH)
    return row


def _changed(side: Build, origins: Origins) -> dict[str, Any]:
    """What people changed among the rows of one side."""
    audits = [
        one["audit"]
        for row in side.rows
        if row["source"] == "audit"
        for one in origins[str(row["id"])]
        if one["audit"] is not None
    ]
    return {"changed": len(audits), "rule": verdicts.RULE, "audits": sorted(str(audit.pk) for audit in audits)}


def _reasons(made: Build) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in made.reasons.items()) or "no records at all"


def _step_key(step: TraceStep) -> str:
    return f"{_prompt_key(step.trace.prompt)}/{step.round}"


def _prompt_key(prompt: Prompt) -> str:
    return prompt_id(prompt.prompt_set.slug, prompt.key)


def _step_data(step: TraceStep) -> dict[str, Any]:
    prompt = step.trace.prompt
    return {
        "prompt_id": _prompt_key(prompt),
        "prompt": prompt.text,
        "messages": prompt.messages,
        "round": step.round,
        "revision": step.revision,
        "flags": step.flags,
    }


def _response_data(trace: Trace) -> dict[str, Any]:
    return {
        "prompt_id": _prompt_key(trace.prompt),
        "prompt": trace.prompt.text,
        "messages": trace.prompt.messages,
        "kind": trace.prompt.prompt_set.kind,
        "text": trace.initial_response,
    }


def _label_data(label: AILabel) -> dict[str, Any]:
    return {
        "comparison_id": label.comparison.key,
        "principle_id": label.principle.key if label.principle else None,
        "p_a": label.p_a,
        "votes": label.raw_votes(),
    }


def _comparison_data(comparison: Comparison) -> dict[str, Any]:
    return {
        "id": comparison.key,
        "prompt": comparison.prompt_text,
        "messages": comparison.messages,
        "response_a": comparison.response_a,
        "response_b": comparison.response_b,
        "identical": comparison.identical,
    }


def _human_data(comparison: Comparison) -> dict[str, Any]:
    responses = (comparison.response_a, comparison.response_b)
    chosen, rejected = responses if comparison.human_choice == "a" else responses[::-1]
    return {
        "id": comparison.key,
        "prompt": comparison.prompt_text,
        "messages": comparison.messages,
        "chosen": chosen,
        "rejected": rejected,
    }
