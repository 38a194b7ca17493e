"""Two to five runs side by side: what differs in how they were launched, their curves, what was measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from uuid import UUID

from django.db.models import prefetch_related_objects
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe
from django.views.decorators.vary import vary_on_headers

from constitutions_app.access import AuthenticatedHttpRequest, require_role
from training_app.access import get_runs_for
from training_app.measured import MeasuredRow, measured_rows
from training_app.models import Evaluation, Run
from training_app.options import STAGE_NAMES, Option, all_options
from training_app.options_read import is_read
from training_app.views.run_curves import CurveLook, StageCurves, curves_together, look_in

FEWEST, MOST = 2, 5
NOT_READ = "not read"
"""Stands where a run has an option that its algorithm or its stages do not read."""


@dataclass(frozen=True)
class Difference:
    """One thing in which the runs differ: what it is, and what each of them has."""

    name: str
    values: tuple[tuple[Run, str], ...]


@dataclass(frozen=True)
class Measurement:
    """One model of one run, as it was measured; `row` is None where the run did not measure it."""

    run: Run
    row: MeasuredRow | None


class Comparing:
    """Some runs and everything their page shows."""

    def __init__(self, runs: Sequence[Run], look: CurveLook) -> None:
        self.runs = runs
        self.look = look

    @cached_property
    def differences(self) -> list[Difference]:
        """Only what differs. One query for the prompt sets of all."""
        prefetch_related_objects(list(self.runs), "prompt_sets")
        rows = [(name, [value(run) for run in self.runs]) for name, value in LAUNCHED]
        for option in all_options():
            stage = f"{STAGE_NAMES[option.stage]}: " if option.stage else ""
            rows.append((f"{stage}{option.label}", [_value(option, run) for run in self.runs]))
        return [
            Difference(name, tuple(zip(self.runs, values, strict=True)))
            for name, values in rows
            if len(set(values) - {NOT_READ}) > 1
        ]

    @cached_property
    def curves(self) -> list[StageCurves]:
        return curves_together(self.runs, self.look)

    @cached_property
    def measurements(self) -> list[tuple[str, list[Measurement]]]:
        """Model by model, what each run measured. One query."""
        found = list(Evaluation.objects.filter(run__in=self.runs).select_related("checkpoint"))
        by_run = {run.pk: measured_rows(one for one in found if one.run_id == run.pk) for run in self.runs}
        models = dict.fromkeys(row.model for rows in by_run.values() for row in rows)
        return [(model, [Measurement(run, _of(by_run[run.pk], model)) for run in self.runs]) for model in models]


@require_safe
@require_role()
@vary_on_headers("HX-Request")
def compare_runs(request: AuthenticatedHttpRequest) -> HttpResponse:
    """`?run=…&run=…`, two to five of them; how the curves are drawn stands in the address too."""
    asked = [pk for pk in map(_uuid, request.GET.getlist("run")[: MOST * 4]) if pk]
    runs = get_runs_for(request.user, asked)
    too_many, runs = len(runs) > MOST, runs[:MOST]
    page = Comparing(runs, look_in(request.GET, request.user)) if len(runs) >= FEWEST else None
    return render(request, "training/compare_runs.html", {"page": page, "too_many": too_many})


def _value(option: Option, run: Run) -> str:
    source = run.source.config if run.source else None
    return option.words(option.value_in(run.config)) if is_read(option.path, run.config, source=source) else NOT_READ


def _prompt_sets(run: Run) -> str:
    return ", ".join(sorted(one.name for one in run.prompt_sets.all()))


def _named(kind: str) -> Any:
    return lambda run: run.other_models.get(kind, {}).get("name") or "the base model"


LAUNCHED: Sequence[tuple[str, Any]] = (
    ("Constitution", lambda run: f"{run.version.constitution} v{run.version.number}"),
    ("Base model", lambda run: run.base_model["name"]),
    ("Digest of the base model", lambda run: str(run.base_model.get("digest", ""))[:12]),
    ("Generator", _named("generator")),
    ("Judge", _named("judge")),
    ("Prompt sets", _prompt_sets),
    ("Preset", lambda run: run.preset),
    ("Seed", lambda run: str(run.seed)),
    ("Device", lambda run: run.device or "not known"),
)
"""What a run is launched with beside its options, as words."""


def _of(rows: Sequence[MeasuredRow], model: str) -> MeasuredRow | None:
    return next((row for row in rows if row.model == model), None)


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
