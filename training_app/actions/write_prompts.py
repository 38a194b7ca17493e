"""Have a model write new red-team prompts after a seed set: a run of one stage, through the same queue as any other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any
from uuid import UUID, uuid4

from django.contrib.auth.models import User
from django.db import transaction

from constitutions_app.ledger import record
from constitutions_app.models import Version
from training_app.actions.launch_run import LARGEST_SEED, numbered
from training_app.base_models import BadBaseModel, BaseModel, find_base_model
from training_app.core.config import WriteParams
from training_app.core.params import BadParams, checked_params
from training_app.models import PromptSet, Run, RunStage
from training_app.refusals import LaunchRefused
from training_app.tasks import ring

STAGE = "write"


def write_prompts(
    *,
    user: User,
    seeds: PromptSet,
    version: Version,
    base_model: str,
    seed: int,
    options: Mapping[str, Any] | None = None,
    name: str = "",
    run_id: UUID | None = None,
    say: Callable[[str], None] | None = None,
) -> Run:
    """Queue the run; when it ends, its prompts are a frozen red-team set named `name`, which cites the run.

    `version` is what the prompts are for: with the option aim "principle" each is written for one of its principles.
    `run_id` makes a launch that is sent twice one run. Raises LaunchRefused with one sentence, nothing written.
    """
    params = _params(options or {}, version, seeds)
    if not 0 <= seed <= LARGEST_SEED:
        raise LaunchRefused(f"The seed should be a whole number from 0 to {LARGEST_SEED}, not {seed!r}.", field="seed")
    model = _model(base_model, params)
    wanted = Run(
        id=run_id or uuid4(), name=name.strip()[:200], version=version, base_model=model.as_data(), preset=STAGE,
        seed=seed, config={STAGE: asdict(params)}, created_by=user,
    )  # fmt: skip
    with transaction.atomic():
        run = numbered(wanted)
        if run is not wanted:
            return run
        run.save(force_insert=True)
        run.prompt_sets.set([seeds])
        RunStage.objects.create(run=run, slug=STAGE, position=1)
        data = {
            "constitution": {"version": version.pk, "number": version.number, "digest": version.digest},
            "base_model": {"name": model.name, "digest": model.digest},
            "prompt_sets": {seeds.slug: seeds.digest}, "preset": STAGE, "seed": seed, "config": run.config,
        }  # fmt: skip
        record(actor=user, verb="run.launch", obj=run, data=data)
        ring(run.pk, say=say)
    return run


def _params(options: Mapping[str, Any], version: Version, seeds: PromptSet) -> WriteParams:
    if seeds.kind != PromptSet.Kind.RED_TEAM or not seeds.rows:
        raise LaunchRefused("Choose a red-team set with at least one prompt to write after.", field="seeds")
    try:
        params = checked_params(WriteParams, options)
    except BadParams as error:
        raise LaunchRefused(f"The option {error}", field="options") from error
    if params.aim == "principle" and not version.to_core().serving("revise"):
        raise LaunchRefused(
            f"No enabled principle of {version} serves critique and revision, so there is none to write for. "
            "Choose another version, or write for nothing in particular.",
            field="version",
        )
    return params


def _model(named: str, params: WriteParams) -> BaseModel:
    try:
        model = find_base_model(named)
    except BadBaseModel as error:
        raise LaunchRefused(str(error), field="base_model") from error
    if params.format == "chat" and not model.chat_template:
        raise LaunchRefused(
            f'{model.name} has no chat template. Choose the format "paper", or another model.', field="options"
        )
    return model
