"""What a launch form would run: its stages and what they read, what they will take, and what speaks against it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from training_app.base_models import BadBaseModel, check_folder_of
from training_app.estimates import Estimate, estimate_for, prompts_used
from training_app.forms import LaunchForm, values_of_preset
from training_app.graph_drawing import Picture, draw
from training_app.launch_checks import Objection, against_size, against_version
from training_app.lineage_graph import stage_graph
from training_app.mixture import Mixture, expected_mixture
from training_app.models import PromptSet
from training_app.options import Option, all_options
from training_app.plan import Planned, plan_of


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
    """An option that differs from the preset."""

    option: Option
    preset: Any
    value: Any


class LaunchPlan:
    """From what the form shows, valid or not: what cannot be read counts as the preset's own value."""

    def __init__(self, form: LaunchForm) -> None:
        self.form = form

    @cached_property
    def config(self) -> dict[str, Any]:
        return self.form.config_shown()

    @cached_property
    def estimate(self) -> Estimate | None:
        prompts = prompts_used(self._sets, self.config["max_prompts"])
        return estimate_for(preset=self._named("preset"), base_model=self._model, prompts=prompts, config=self.config)

    @cached_property
    def mixture(self) -> Mixture | None:
        """What the reward model's loss will be made of."""
        return expected_mixture(self._sets, self.config)

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
        pairs = ((option, preset[option.path], option.value_in(self.config)) for option in all_options())
        return [Change(option, before, now) for option, before, now in pairs if before != now]

    @cached_property
    def objections(self) -> Sequence[Objection]:
        """Why the launch would be refused as it stands, as far as that is seen without reading weights or prompts."""
        found: list[Objection] = []
        if version := self.form.versions.get(self._named("version")):
            accepted = bool(self.form["accept_older"].value())
            found += [one for one in against_version(version) if not (one.may_be_accepted and accepted)]
        try:
            folder = check_folder_of(self._model)
        except BadBaseModel as error:
            return [*found, Objection("base_model", str(error))]
        return [*found, *against_size(folder, self._model, self.config, tuple(row.stage.slug for row in self.rows))]

    @cached_property
    def _sets(self) -> list[tuple[str, int]]:
        """Kind and rows of every set the form shows as chosen."""
        sets, form = self.form.prompt_sets, self.form
        chosen = (slug for kind in PromptSet.Kind.values for slug in form[kind].value() or () if slug in sets)
        return [(sets[slug].kind, sets[slug].rows) for slug in chosen]

    @property
    def _model(self) -> str:
        """The model the form shows: a select without a choice shows its first one."""
        return self._named("base_model") or self._first("base_model")

    def _first(self, field: str) -> str:
        return next((str(value) for value, _ in getattr(self.form.fields[field], "choices", ())), "")

    def _named(self, field: str) -> str:
        """What is chosen, as text that a query can hold."""
        return str(self.form[field].value() or "").replace("\x00", "")
