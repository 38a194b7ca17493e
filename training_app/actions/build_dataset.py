"""Build a dataset by hand: what a stage would be trained on now, with every verdict so far applied."""

from __future__ import annotations

import re

from django.contrib.auth.models import User

from training_app import builds
from training_app.core.aggregate import Aggregation
from training_app.models import DatasetBuild, Run
from training_app.refusals import BuildRefused

NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,29}")


def build_dataset(
    *, user: User, run: Run, stage: str, name: str = "", aggregation: Aggregation | None = None
) -> tuple[DatasetBuild, ...]:
    """Freeze the training rows of `stage` ("sft": one build; "reward": training rows and held-out rows) as new builds.

    An override of a step drops it; an override of a label replaces p(A) by the auditor's choice (1, 0 or one half).
    `rules` of each build says how many rows were kept, dropped and changed, and why. Without a `name` the first free
    one is taken. `aggregation` makes the targets of "reward" anew from the labels' raw log-probabilities; without it
    they are made as the run was configured.
    Raises BuildRefused when the run has made nothing to train on, or the name is taken.
    """
    if stage not in builds.STAGES:
        raise BuildRefused(f"There is nothing to build for the stage {stage!r}; datasets are built for sft and reward.")
    if name and not NAME.fullmatch(name):
        raise BuildRefused("A build's name has small letters, digits and hyphens, at most 30 of them.")
    suffix = f"-{name}" if name else builds.free_suffix(run, stage)
    return builds.build(run=run, stage=stage, suffix=suffix, aggregation=aggregation, actor=user)
