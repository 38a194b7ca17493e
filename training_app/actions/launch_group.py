"""Launch runs to be compared: every arm with every seed, all or none of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import UUID, uuid4, uuid5

from django.contrib.auth.models import User
from django.db import transaction

from constitutions_app.ledger import record
from constitutions_app.models import Version
from training_app.actions.continue_run import continue_run
from training_app.actions.launch_run import check_prompt_sets, launch_run, refuse_without_room
from training_app.arms import VERDICTS, Arm, laid_over
from training_app.core.expected import BadExpectations, Expectation, check_expectations, counted_in
from training_app.models import PromptSet, Run, RunGroup
from training_app.refusals import LaunchRefused
from training_app.verdicts import overridden_labels

MOST_RUNS = 64

Launch = Callable[[Arm, int, UUID, str], Run]
"""(arm, seed, the run's id, its name) → the queued run."""


def launch_group(
    *,
    user: User,
    arms: Sequence[Arm],
    seeds: Sequence[int],
    version: Version | None,
    base_model: str,
    prompt_sets: Sequence[PromptSet],
    preset: str,
    overrides: Mapping[str, Any] | None = None,
    name: str = "",
    judge: str = "",
    generator: str = "",
    group_id: UUID | None = None,
    accept_older: bool = False,
    expects: Sequence[Expectation] = (),
    say: Callable[[str], None] | None = None,
) -> RunGroup:
    """Queue one run for every arm and seed. An arm's changes are laid over `overrides`; a version it names is meant.

    `expects` is what is expected of the arms: kept with the group, in the ledger, and never changed.

    The same launch sent again under its `group_id` is the group already there. Raises LaunchRefused with one sentence,
    nothing written, as `launch_run` does for any of the runs.
    """
    counted = (
        set.intersection(*(set(counted_in(laid_over(overrides or {}, arm.overrides))) for arm in arms))
        if arms
        else set()
    )
    try:
        check_expectations(expects, [arm.name for arm in arms], sorted(counted))
    except BadExpectations as error:
        raise LaunchRefused(str(error), field="expects") from error
    check_prompt_sets(prompt_sets)  # once and not for every run: it reads every row

    def launch(arm: Arm, seed: int, run_id: UUID, run_name: str) -> Run:
        return launch_run(
            user=user, version=arm.version or version, base_model=base_model, prompt_sets=prompt_sets, preset=preset,
            seed=seed, overrides=laid_over(overrides or {}, arm.overrides), name=run_name, judge=judge,
            generator=generator, run_id=run_id, accept_older=accept_older or arm.version is not None,
            of_group=True, say=say,
        )  # fmt: skip

    return _grouped(launch, user=user, arms=arms, seeds=seeds, name=name, group_id=group_id, expects=expects)


def compare_verdicts(
    *,
    user: User,
    source: Run,
    seeds: Sequence[int],
    name: str = "",
    group_id: UUID | None = None,
    say: Callable[[str], None] | None = None,
) -> RunGroup:
    """Go on from the labels of `source` twice for every seed: on the AI's labels alone, and with people's verdicts.

    Raises LaunchRefused when no verdict overrides a label, since both arms would then be the same.
    """
    if not overridden_labels(source):
        raise LaunchRefused(f"No verdict overrides a label of {source}: both arms would learn the same.")

    def launch(arm: Arm, seed: int, run_id: UUID, run_name: str) -> Run:
        return continue_run(
            user=user, source=source, seed=seed, overrides=arm.overrides, name=run_name, run_id=run_id, of_group=True,
            say=say,
        )  # fmt: skip

    return _grouped(launch, user=user, arms=VERDICTS, seeds=seeds, name=name, group_id=group_id)


def _grouped(
    launch: Launch,
    *,
    user: User,
    arms: Sequence[Arm],
    seeds: Sequence[int],
    name: str,
    group_id: UUID | None,
    expects: Sequence[Expectation] = (),
) -> RunGroup:
    """The group with its runs, arm by arm within a seed, so that the first seed can be compared early."""
    names = [arm.name for arm in arms]
    if not arms or len(set(names)) != len(names):
        raise LaunchRefused("Every arm of a comparison needs a name of its own.", field="arms")
    if not seeds or len(set(seeds)) != len(seeds) or len(arms) * len(seeds) > MOST_RUNS:
        raise LaunchRefused(f"Choose at least one seed, and at most {MOST_RUNS} runs in all.", field="seeds")
    said = [one.as_data() for one in expects]
    with transaction.atomic():
        group, created = RunGroup.objects.get_or_create(
            pk=group_id or uuid4(),
            defaults={"name": name.strip()[:200], "arms": names, "expects": said, "created_by": user},
        )
        if not created:
            return group
        launched: list[Run] = []
        for seed in seeds:
            for arm in arms:
                run = launch(arm, seed, uuid5(group.pk, f"{arm.name}/{seed}"), f"{name[:90]} {arm.name}".strip())
                Run.objects.filter(pk=run.pk).update(group=group, arm=arm.name)
                launched.append(run)
        refuse_without_room(launched)
        record(actor=user, verb="runs.compare", obj=group, data={"arms": names, "seeds": list(seeds), "expects": said})
    return group
