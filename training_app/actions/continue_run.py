"""Go on from another run's labels: reward model, RL, DPO and evaluation anew, on the critiques and labels it has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any
from uuid import UUID, uuid4

from django.contrib.auth.models import User
from django.db import transaction

from constitutions_app.ledger import record
from training_app.actions.launch_run import check_seed, numbered, refuse_over, refuse_without_room
from training_app.arms import laid_over
from training_app.configuration import BadConfiguration, config_from
from training_app.launch_checks import against_sharing
from training_app.models import Run, RunStage
from training_app.models.run import StageState
from training_app.plan import ANEW
from training_app.refusals import LaunchRefused
from training_app.tasks import ring


def continue_run(
    *,
    user: User,
    source: Run,
    seed: int,
    overrides: Mapping[str, Any] | None = None,
    name: str = "",
    run_id: UUID | None = None,
    of_group: bool = False,
    say: Callable[[str], None] | None = None,
) -> Run:
    """Queue a run that learns from the records of `source`. Only options of the stages done anew can be changed.

    `of_group`: the caller holds all its runs against the disk at once. Raises LaunchRefused when the source has not
    come so far, went on from another run itself, an option of a stage that is not done anew would change, GPUs cannot
    share RL as it would be, or the disk has too little room.
    """
    if source.source_id is not None:
        raise LaunchRefused(f"{source} went on from another run itself. Go on from that one.")
    if frozen := sorted(set(overrides or {}) - {*ANEW, "method", "audits"}):
        raise LaunchRefused(f"{frozen[0]} is {source}'s own; it cannot be changed when going on from its labels.")
    try:
        config = config_from(laid_over(source.config, overrides or {}))
    except BadConfiguration as error:
        raise LaunchRefused(str(error)) from error
    refuse_over(against_sharing(asdict(config), config.stages))
    check_seed(seed)
    needed = {slug for slug in config.stages if slug not in ANEW}
    done = set(RunStage.objects.filter(run=source, state=StageState.SUCCEEDED).values_list("slug", flat=True))
    if missing := [slug for slug in config.stages if slug in needed - done]:
        raise LaunchRefused(f"{source} has not done the stage {missing[0]}, from which this would go on.")
    wanted = Run(
        id=run_id or uuid4(), name=name.strip()[:200], version=source.version, base_model=source.base_model,
        other_models=source.other_models, preset=source.preset, seed=seed, config=asdict(config),
        exemplars=source.exemplars, source=source, created_by=user,
    )  # fmt: skip
    with transaction.atomic():
        run = numbered(wanted)
        if run is not wanted:
            return run
        run.save(force_insert=True)
        run.prompt_sets.set(source.prompt_sets.all())
        stages = [slug for slug in config.stages if slug in ANEW]
        RunStage.objects.bulk_create(
            RunStage(run=run, slug=slug, position=position) for position, slug in enumerate(stages, start=1)
        )
        if not of_group:
            refuse_without_room([run])
        data = {"source": str(source.pk), "seed": seed, "config": asdict(config)}
        record(actor=user, verb="run.continue", obj=run, data=data)
        ring(run.pk, say=say)
    return run
