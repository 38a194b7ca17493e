"""Launch: one run of the whole pipeline from one published version. All is checked before anything is written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any
from uuid import UUID, uuid4

from django.contrib.auth.models import User
from django.db import connection, transaction
from django.db.models import Max

from constitutions_app.ledger import record
from constitutions_app.models import Version
from training_app.base_models import BadBaseModel, BaseModel, find_base_model, folder_of
from training_app.configuration import BadConfiguration, effective_config
from training_app.core.config import RunConfig
from training_app.core.datasets import same_prompt
from training_app.core.errors import BadInput
from training_app.disk import needed_by_run, room, together
from training_app.launch_checks import Objection, against_disk, against_sharing, against_size, against_version
from training_app.models import ExemplarSet, Prompt, PromptSet, Run, RunStage
from training_app.other_models import pinned
from training_app.prompt_sets import is_as_loaded
from training_app.refusals import LaunchRefused
from training_app.tasks import ring

NUMBER_LOCK = 0x2214
LARGEST_SEED = 2**31 - 1
SERVES = {"revise": "critique and revision", "label": "AI labels"}


def launch_run(
    *,
    user: User,
    version: Version | None,
    base_model: str,
    prompt_sets: Sequence[PromptSet],
    preset: str,
    seed: int,
    overrides: Mapping[str, Any] | None = None,
    name: str = "",
    judge: str = "",
    generator: str = "",
    run_id: UUID | None = None,
    accept_older: bool = False,
    of_group: bool = False,
    say: Callable[[str], None] | None = None,
) -> Run:
    """Queue a run and wake a GPU worker. Returns the new run with its stages, all waiting.

    `run_id` is the run's id if the sender chose one: the same launch sent again under it returns the run already there.
    `base_model` names a folder under MODELS_ROOT. `overrides` changes options of the preset (configuration.py).
    `judge` and `generator` name a model server that answers in place of the base model (other_models.py), or are "".
    `accept_older` says that words are meant which a newer version gives another meaning. `of_group`: the caller has
    asked `check_prompt_sets` already, which reads every row, and holds all its runs against the disk at once.
    `say` is told a sentence when the queue cannot be reached; the run is kept and starts when the sweeper finds it.
    Raises LaunchRefused with one sentence, nothing written, when something is missing or contradicts itself.
    """
    published = _published(version)
    config = _config(preset, overrides or {})
    check_seed(seed)
    if not of_group:
        check_prompt_sets(prompt_sets)
    model = _model(base_model, config)
    refuse_over(_objections(published, model, config), accept_older=accept_older)
    others = _others({"judge": judge, "generator": generator})
    wanted = Run(
        id=run_id or uuid4(),
        name=name.strip()[:200],
        version=published,
        base_model=model.as_data(),
        other_models=others,
        preset=preset,
        seed=seed,
        config=asdict(config),
        exemplars=_exemplars(published, model),
        created_by=user,
    )
    with transaction.atomic():
        run = numbered(wanted)
        if run is not wanted:
            return run
        run.save(force_insert=True)
        run.prompt_sets.set(prompt_sets)
        RunStage.objects.bulk_create(
            RunStage(run=run, slug=slug, position=position) for position, slug in enumerate(config.stages, start=1)
        )
        if not of_group:
            refuse_without_room([run])
        record(
            actor=user,
            verb="run.launch",
            obj=run,
            data={
                "constitution": {"version": published.pk, "number": published.number, "digest": published.digest},
                "base_model": {"name": model.name, "digest": model.digest},
                "other_models": others,
                "prompt_sets": {prompt_set.slug: prompt_set.digest for prompt_set in prompt_sets},
                "preset": preset,
                "seed": seed,
                "config": asdict(config),
                "exemplars": run.exemplars.digest if run.exemplars else None,
            },
        )
        ring(run.pk, say=say)
    return run


def _published(version: Version | None) -> Version:
    if version is None or version.pk is None:
        raise LaunchRefused(
            "This constitution has no published version. Publish the draft, then launch the run.", field="version"
        )
    constitution = version.to_core()
    if not constitution.principles:
        raise LaunchRefused(
            f"{version} holds no principle. Publish a version with at least one, then launch the run.", field="version"
        )
    for stage, meaning in SERVES.items():
        if not constitution.serving(stage):
            raise LaunchRefused(
                f"No enabled principle of {version} serves {meaning} (stage {stage}). "
                "Enable one with a weight above 0 for it, publish, then launch the run.",
                field="version",
            )
    return version


def _config(preset: str, overrides: Mapping[str, Any]) -> RunConfig:
    try:
        return effective_config(preset, overrides)
    except BadConfiguration as error:
        raise LaunchRefused(str(error), field="overrides") from error


def check_seed(seed: int) -> None:
    """Raise LaunchRefused for a seed that no column holds."""
    if not 0 <= seed <= LARGEST_SEED:
        raise LaunchRefused(f"The seed should be a whole number from 0 to {LARGEST_SEED}, not {seed!r}.", field="seed")


def check_prompt_sets(prompt_sets: Sequence[PromptSet]) -> None:
    """Raise LaunchRefused for sets that no run can start from. Reads every row, to hold it against the set's digest.

    At least two different red-team prompts are needed: one side of the split trains, the other evaluates.
    """
    if len({prompt_set.pk for prompt_set in prompt_sets}) != len(prompt_sets):
        raise LaunchRefused("A prompt set is chosen twice. Choose each once.", field="prompt_sets")
    red_team: set[str] = set()
    for prompt_set in prompt_sets:
        if prompt_set.rows == 0:
            raise LaunchRefused(
                f"The prompt set {prompt_set} is empty. Load one with prompts, then launch the run.",
                field="prompt_sets",
            )
        if not is_as_loaded(prompt_set):
            raise LaunchRefused(
                f"The prompt set {prompt_set} was changed in the database since it was loaded: its rows do not "
                "give its digest any more. Load the file again under another name, and use that.",
                field="prompt_sets",
            )
        if prompt_set.kind == PromptSet.Kind.RED_TEAM:
            texts = Prompt.objects.filter(prompt_set=prompt_set).values_list("text", flat=True)
            for text in texts.iterator(chunk_size=100):
                red_team.add(same_prompt(text))
                if len(red_team) > 1:
                    break
    if len(red_team) < 2:
        raise LaunchRefused(
            "A run needs at least two different red-team prompts, one to train on and one to evaluate on. "
            "Choose a red-team prompt set.",
            field="prompt_sets",
        )


def _model(named: str, config: RunConfig) -> BaseModel:
    try:
        model = find_base_model(named)
    except BadBaseModel as error:
        raise LaunchRefused(str(error), field="base_model") from error
    if "chat" in (config.label.template, config.revise.format) and not model.chat_template:
        raise LaunchRefused(
            f'{model.name} has no chat template, but the template or format "chat" is chosen. '
            'Choose "paper", or another model.',
            field="overrides",
        )
    return model


def _objections(version: Version, model: BaseModel, config: RunConfig) -> Iterator[Objection]:
    yield from against_version(version)
    yield from against_sharing(asdict(config), config.stages)
    yield from against_size(folder_of(model.as_data()), model.name, asdict(config), config.stages)


def refuse_without_room(runs: Sequence[Run]) -> None:
    """Raise LaunchRefused when what these runs, written just now, lay on the disk does not fit beside the others.

    Asked while the next number is held, so that two launches at once never count on the same room.
    """
    needed = together([needed_by_run(run) for run in runs])
    refuse_over(against_disk(needed, room(but=[run.pk for run in runs])))


def refuse_over(objections: Iterable[Objection], *, accept_older: bool = False) -> None:
    """Raise LaunchRefused for the first of what `launch_checks` has against a launch, unless it is accepted."""
    for objection in objections:
        if not (objection.may_be_accepted and accept_older):
            raise LaunchRefused(objection.words, field=objection.field)


def _others(chosen: Mapping[str, str]) -> dict[str, Any]:
    """The servers chosen, pinned by digest."""
    others: dict[str, Any] = {}
    for role, server in chosen.items():
        try:
            others |= {role: pinned(server)} if server else {}
        except BadInput as error:
            raise LaunchRefused(f"{error.message} {error.advice}", field=role) from error
    return others


def _exemplars(version: Version, model: BaseModel) -> ExemplarSet | None:
    """The newest examples of the version for the model's family; None where the version's own are shown."""
    return ExemplarSet.objects.filter(version=version, family=model.family).first() if model.family else None


SAME = ("name", "version_id", "base_model", "other_models", "preset", "seed", "config", "created_by_id")


def numbered(wanted: Run) -> Run:
    """`wanted` with its number, or the run that this very launch made before: a button pressed twice is one launch.

    A form that was filled in differently since then, and sent again, is another launch and gets an id of its own.
    """
    wanted.number = _next_number()  # first: whoever launches at the same moment waits here
    known = Run.objects.filter(pk=wanted.pk).first()
    if known is None:
        return wanted
    if all(getattr(known, name) == getattr(wanted, name) for name in SAME):
        return known
    wanted.pk = uuid4()
    return wanted


def _next_number() -> int:
    """The next run number, without gaps; held until the transaction ends, so that two launches never share one."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [NUMBER_LOCK])
    highest: int | None = Run.objects.aggregate(highest=Max("number"))["highest"]
    return (highest or 0) + 1
