"""What a launch form would run: its stages and what they read, what they will take, and what speaks against it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from django.forms import ValidationError

from constitutions_app.models import Version
from training_app.actions.launch_group import MOST_RUNS
from training_app.arms import ALONE, OFFERED, Arm, laid_over
from training_app.base_models import BadBaseModel, check_folder_of
from training_app.core.model_facts import facts_of
from training_app.disk import Needed, Room, needed_by, room, together
from training_app.estimates import Estimate, Measured, measured_of, prompts_used
from training_app.forms import LaunchForm, values_of_preset
from training_app.graph_drawing import Picture, draw
from training_app.launch_checks import Objection, against_disk, against_sharing, against_size, against_version
from training_app.lineage_graph import stage_graph
from training_app.mixture import Mixture, expected_mixture
from training_app.models import PromptSet
from training_app.options import Option, all_options
from training_app.options_read import is_read
from training_app.plan import Planned, plan_of, stages_of
from training_app.views.effective import StageSettings, settings_in


@dataclass(frozen=True)
class Row:
    """One stage to be, with what it will take as far as that was measured: seconds and bytes."""

    stage: Planned
    seconds: float | None
    memory: int | None
    gpu_memory: int | None
    disk: int | None


@dataclass(frozen=True)
class Change:
    """An option that differs from the preset, with both values in words."""

    option: Option
    preset: str
    value: str


@dataclass(frozen=True)
class Together:
    """What compared runs take in all: sums over every arm with every seed, as far as they were measured."""

    arms: int
    seeds: int
    seconds: float
    disk: int
    unknown: tuple[str, ...]

    @property
    def runs(self) -> int:
        return self.arms * self.seeds


class LaunchPlan:
    """From what the form shows, valid or not: what cannot be read counts as the preset's own value."""

    def __init__(self, form: LaunchForm) -> None:
        self.form = form

    @cached_property
    def config(self) -> dict[str, Any]:
        return self.form.config_shown()

    @cached_property
    def estimate(self) -> Estimate | None:
        """What one run as the form shows it will take."""
        return self._estimated(self.config)

    @cached_property
    def together(self) -> Together | None:
        """What all runs will take where more than one is launched; None where it is one."""
        arms, seeds = self.arms, self.seeds
        if len(arms) * seeds < 2:
            return None
        found = [self._estimated(config) for config in self._configs]
        known = [one for one in found if one is not None]
        unknown = dict.fromkeys(slug for one in known for slug in one.unknown)
        return Together(
            len(arms), seeds, seeds * sum(one.total for one in known) if len(known) == len(found) else 0.0,
            seeds * sum(one.total_disk for one in known), tuple(unknown),
        )  # fmt: skip

    @cached_property
    def arms(self) -> Sequence[Arm]:
        """The sides that would be launched: of the comparison, or of the versions chosen beside the first."""
        if (slug := self._named("arms")) in OFFERED:
            return OFFERED[slug][1]
        own = self._named("version")
        return (*ALONE, *(Arm(name, version=version) for name, version in self._also if name != own))

    @property
    def seeds(self) -> int:
        """Runs of each side; what cannot be read counts as one."""
        said = self.form.fields["seeds"]
        try:
            return said.clean(self.form["seeds"].value()) or 1
        except ValidationError:
            return 1

    @cached_property
    def _configs(self) -> list[dict[str, Any]]:
        """The configuration of every side."""
        return [laid_over(self.config, arm.overrides) for arm in self.arms]

    @cached_property
    def _measured(self) -> Measured | None:
        return measured_of(preset=self._named("preset"), base_model=self._model)

    def _estimated(self, config: Mapping[str, Any]) -> Estimate | None:
        return self._measured.estimate(prompts=self._prompts(config), config=config) if self._measured else None

    def _prompts(self, config: Mapping[str, Any]) -> int:
        return prompts_used(self._sets, config["max_prompts"])

    @cached_property
    def mixture(self) -> Mixture | None:
        """What the reward model's loss will be made of; None where no side trains one."""
        config = next((one for one in self._configs if "reward" in stages_of(one)), None)
        return expected_mixture(self._sets, config) if config is not None else None

    @cached_property
    def rows(self) -> list[Row]:
        measured = self.estimate
        plan = plan_of(self.config, comparisons=any(kind == PromptSet.Kind.COMPARISONS for kind, _ in self._sets))
        if measured is None:
            return [Row(stage, None, None, None, None) for stage in plan]
        return [
            Row(
                stage,
                measured.seconds.get(stage.slug),
                measured.memory.get(stage.slug),
                measured.gpu_memory.get(stage.slug),
                measured.disk.get(stage.slug),
            )
            for stage in plan
        ]

    @cached_property
    def picture(self) -> Picture:
        """The stages as a graph, each leading to its options."""
        return draw(stage_graph(row.stage for row in self.rows))

    @cached_property
    def changes(self) -> list[Change]:
        """The options that differ from the chosen preset."""
        preset = values_of_preset(self._named("preset"))
        pairs = ((option, preset[option.path], option.value_in(self.config)) for option in self._read)
        return [
            Change(option, option.words(before), option.words(now)) for option, before, now in pairs if before != now
        ]

    @cached_property
    def unread(self) -> list[Option]:
        """The options that differ from the chosen preset and that nothing reads."""
        preset = values_of_preset(self._named("preset"))
        unread = (option for option in all_options() if option not in self._read)
        return [option for option in unread if option.value_in(self.config) != preset[option.path]]

    @cached_property
    def settings(self) -> list[StageSettings]:
        """Every value that some side reads, stage by stage; what the sides differ in with all its values."""
        return settings_in(self._configs, self._named("preset"))

    @cached_property
    def _read(self) -> list[Option]:
        """The options that some side reads."""
        return [option for option in all_options() if any(is_read(option.path, config) for config in self._configs)]

    @cached_property
    def objections(self) -> Sequence[Objection]:
        """Why the launch would be refused as it stands, as far as that is seen without reading weights or prompts."""
        found: list[Objection] = []
        if version := self.form.versions.get(self._named("version")):
            accepted = bool(self.form["accept_older"].value())
            found += [one for one in against_version(version) if not (one.may_be_accepted and accepted)]
        for _, version in self._also:  # who names another version to compare with means its words
            found += [one for one in against_version(version) if not one.may_be_accepted]
        shared = (one for config in self._configs for one in against_sharing(config, stages_of(config)))
        found += dict.fromkeys(shared)
        if len(self.arms) * self.seeds > MOST_RUNS:
            found.append(Objection("seeds", f"At most {MOST_RUNS} runs are launched together."))
        if isinstance(folder := self._folder, BadBaseModel):
            return [*found, Objection("base_model", str(folder))]
        too_large = (one for config in self._configs for one in against_size(
            folder, self._model, config, stages_of(config)
        ))  # fmt: skip
        return [*found, *dict.fromkeys(too_large), *against_disk(self.disk, self.room)]

    @cached_property
    def disk(self) -> Needed:
        """What all runs would lay on the disk."""
        parameters = None if isinstance(self._folder, BadBaseModel) else facts_of(self._folder).parameters
        needed = (
            needed_by(config, stages_of(config), parameters=parameters, sets=self._sets) for config in self._configs
        )
        return together([one for one in needed for _ in range(self.seeds)])

    @cached_property
    def room(self) -> Room | None:
        """What is free for it; None where nobody can say."""
        return room()

    @cached_property
    def _folder(self) -> Path | BadBaseModel:
        """The base model's folder, or what is wrong with it."""
        try:
            return check_folder_of(self._model)
        except BadBaseModel as error:
            return error

    @cached_property
    def _sets(self) -> list[tuple[str, int]]:
        """Kind and rows of every set the form shows as chosen."""
        sets, form = self.form.prompt_sets, self.form
        chosen = (slug for kind in PromptSet.Kind.values for slug in form[kind].value() or () if slug in sets)
        return [(sets[slug].kind, sets[slug].rows) for slug in chosen]

    @cached_property
    def _also(self) -> list[tuple[str, Version]]:
        """The other versions that are chosen, by name."""
        versions = self.form.versions
        chosen = (str(name) for name in self.form["also"].value() or ())
        return [(name, versions[name]) for name in dict.fromkeys(chosen) if name in versions]

    @property
    def _model(self) -> str:
        """The model the form shows: a select without a choice shows its first one."""
        return self._named("base_model") or self._first("base_model")

    def _first(self, field: str) -> str:
        return next((str(value) for value, _ in getattr(self.form.fields[field], "choices", ())), "")

    def _named(self, field: str) -> str:
        """What is chosen, as text that a query can hold."""
        return str(self.form[field].value() or "").replace("\x00", "")
