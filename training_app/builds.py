"""Dataset builds: the rows a stage trains on, frozen as one file, and for every row the item it came from.

Built from the rows of the run, with people's overrides applied (verdicts.py): an override of a step drops it, an
override of a label replaces p(A), or as the run's options say otherwise. Which rows follow from which records is
`core.datasets`; this file reads the database, writes the JSONL file beside the run and keeps its digest.
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
from training_app.models import AILabel, Comparison, DatasetBuild, DatasetItem, Prompt, Run, Trace, TraceStep
from training_app.prompts import prompt_id, prompts_of
from training_app.refusals import BuildRefused
from training_app.verdicts import Final

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
    decided = counted_steps(run, config)
    dropped = decided if config.sft.overridden_steps == "drop" else {}
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
        "overridden": _steps_changed(config, decided, dropped),
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
    dropped: Mapping[str, Final]
    lighter: Mapping[str, float]
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
                dropped=self.dropped,
                lighter=self.lighter,
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
            _labels_of(run),
            Comparison.objects.filter(run=run.records),
            counted_overrides(run, config),
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
    changed = counted_overrides(run, config)
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
    changed: Mapping[int, Final],
) -> Judged:
    """The labels `asked` on some comparisons of a run. `changed`: what people override of them."""
    labels = list(asked.select_related("comparison", "principle").defer("sent_ab", "sent_ba"))
    by_key = {verdicts.key_of(label): changed[label.pk] for label in labels if label.pk in changed}
    does = config.reward.overridden_labels
    weights = {principle.id: principle.weight for principle in run.version.to_core().principles}
    return Judged(
        labels=[_label_data(label) for label in labels],
        comparisons=[_comparison_data(comparison) for comparison in comparisons],
        human=(),
        overrides={key: final.p_a for key, final in by_key.items()} if does == "override" else {},
        dropped=by_key if does == "drop" else {},
        lighter=dict.fromkeys(by_key, config.reward.overridden_weight) if does == "weight" else {},
        weights=weights if config.label.ask == "every" else None,
        human_weight=config.reward.human_weight,
    )


def _labels_of(run: Run) -> QuerySet[AILabel]:
    """Those that train: labels of human comparisons measure the judge, and people's choice trains in their place."""
    labels = AILabel.objects.filter(run=run.records).exclude(comparison__source=Comparison.Source.HUMAN)
    return labels.select_related("comparison", "principle").defer("sent_ab", "sent_ba")


def counted_overrides(run: Run, config: RunConfig) -> dict[int, Final]:
    """Labels that enough people override for it to count, by the run's options. Two queries, none without audits."""
    found = verdicts.overridden_labels(run.records) if config.audits else {}
    return {label: final for label, final in found.items() if final.counts(config.reward.verdicts_needed)}


def counted_steps(run: Run, config: RunConfig) -> dict[int, Final]:
    """Steps of a run that enough people override for it to count, by `config`. Two queries, none without audits."""
    found = verdicts.overridden_steps(run) if config.audits else {}
    return {step: final for step, final in found.items() if final.counts(config.sft.verdicts_needed)}


def _preferences(run: Run, config: RunConfig, aggregation: Aggregation, fraction: float) -> tuple[_Made, ...]:
    judged = judged_in(run, config)
    found = judged.preferences(aggregation)
    made = found.build
    if not made.rows:
        raise BuildRefused(
            f"{run} has no preferences to train on ({_reasons(made)}). "
            "Sample longer or at a higher temperature, so that the two responses differ."
        )
    origins = _origins_of(run, found, config)
    train, heldout = split_by_prompt(made.rows, fraction)
    said = verdicts.said_of_labels(run.records)
    measured = [row | _people(said, found.labels.get(str(row["id"]), ())) for row in heldout]
    shared = {
        "excluded": made.reasons,
        "aggregation": aggregation.words(),
        "heldout_fraction": fraction,
        "human_weight": config.reward.human_weight,
    }
    return _sides(train, measured, origins, shared, lambda side: _changed(side, origins, judged, config))


def _revisions(run: Run, config: RunConfig) -> tuple[_Made, ...]:
    """Pairs of the last kept revision against the initial response, and the human comparisons."""
    steps = list(TraceStep.objects.filter(trace__run=run.records).select_related("trace__prompt__prompt_set"))
    decided = counted_steps(run.records, config)
    dropped = decided if config.sft.overridden_steps == "drop" else {}
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
    return _sides(train, heldout, origins, shared, lambda _: _steps_changed(config, decided, dropped))


def _sides(
    train: Sequence[dict[str, Any]],
    heldout: Sequence[dict[str, Any]],
    origins: Origins,
    shared: Mapping[str, Any],
    changed: Callable[[Build], dict[str, Any]],
) -> tuple[_Made, ...]:
    """Both sides of a split as builds; `changed` says what people changed on one. Raises BuildRefused for a leak."""
    try:
        refuse_leak(train, heldout)
    except BadInput as error:
        raise BuildRefused(f"{error.message} {error.advice}") from error
    return tuple(
        _Made(side, origins, side.rules() | dict(shared) | {"overridden": changed(side)})
        for side in (Build(TRAIN, tuple(train)), Build(HELDOUT, tuple(heldout)))
    )


def _people(said: Mapping[str, float], keys: Sequence[str]) -> dict[str, float]:
    """What people said of a held-out row's labels, to measure a model against: the mean of 1, 0 and 1/2."""
    given = [said[key] for key in keys if key in said]
    return {"people": sum(given) / len(given)} if given else {}


def _origins_of(run: Run, found: Preferences, config: RunConfig) -> Origins:
    """For every preference row the labels that made it, each with what changed it, or the human choice."""
    changed = counted_overrides(run, config)
    labels = _labels_of(run)
    by_key = {verdicts.key_of(label): {"label": label, **_origin(changed.get(label.pk))} for label in labels}
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


def _changed(side: Build, origins: Origins, judged: Judged, config: RunConfig) -> dict[str, Any]:
    """What people changed among the rows of one side, and what they had dropped from both."""
    parts = [one for row in side.rows for one in origins[str(row["id"])] if one.get("audit") or one.get("adjudication")]
    dropped = _named(judged.dropped.values())
    return {
        "changed": len(parts),
        "dropped": len(judged.dropped),
        **_rule("overridden_labels", config.reward.overridden_labels, config.reward.verdicts_needed),
        **({"weight": config.reward.overridden_weight} if config.reward.overridden_labels == "weight" else {}),
        "audits": sorted({*dropped["audits"], *(str(one["audit"].pk) for one in parts if one["audit"])}),
        "adjudications": sorted(
            {*dropped["adjudications"], *(str(one["adjudication"].pk) for one in parts if one["adjudication"])}
        ),
    }


def _steps_changed(config: RunConfig, decided: Mapping[int, Final], dropped: Mapping[int, Final]) -> dict[str, Any]:
    """What became of the revisions that people override."""
    return {
        "dropped": len(dropped),
        "kept": len(decided) - len(dropped),
        **_rule("overridden_steps", config.sft.overridden_steps, config.sft.verdicts_needed),
        **_named(dropped.values()),
    }


def _rule(option: str, does: str, needed: int) -> dict[str, Any]:
    return {"rule": verdicts.RULE, option: does, "verdicts_needed": needed}


def _origin(final: Final | None) -> dict[str, Any]:
    """The fields of a DatasetItem that say what people changed of it."""
    return {"audit": final and final.audit, "adjudication": final and final.adjudication}


def _named(finals: Iterable[Final]) -> dict[str, list[str]]:
    """The audits and adjudications that decided some items, by id."""
    found = list(finals)
    return {
        "audits": sorted(str(one.audit.pk) for one in found if one.audit),
        "adjudications": sorted(str(one.adjudication.pk) for one in found if one.adjudication),
    }


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
