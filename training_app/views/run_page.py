"""What the page of a run shows, each part asked for only when a template reads it.

A live page asks for one part at a time, so a part that is not shown costs nothing. Every part is a fixed number of
queries, however long the run is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby, pairwise
from typing import Any

from django.contrib.auth.models import User
from django.db.models import Max
from django.utils.text import get_text_list

from training_app import artifacts
from training_app.access import Hidden, hides_judgement
from training_app.builds import existing
from training_app.gates import Gate, gate_among
from training_app.measured import MeasuredRow, measured_rows
from training_app.models import (
    AILabel,
    Checkpoint,
    Comparison,
    DatasetBuild,
    Evaluation,
    EvaluationAnswer,
    PromptSet,
    Run,
    RunEvent,
    RunStage,
    Trace,
    TraceStep,
)
from training_app.models.run import StageState
from training_app.options import STAGE_NAMES
from training_app.plots import number
from training_app.templatetags.plainly import in_words, percent, summed
from training_app.time_left import TimeLeft, times_left
from training_app.views.effective import Setting, StageSettings, settings_of
from training_app.views.log_lines import LogLine, newest_lines
from training_app.views.rollouts import Rollout, best_rollouts, rollouts_of, worst_rollouts
from training_app.views.run_curves import TRAINING, CurveLook, StageCurves, curves_of

NEWEST = 4
OFFERED_BESIDE = 20
PLAIN = CurveLook()

REPORTED = {
    "p_a_mean": "mean p(A)",
    "same_position": "same place in both orders",
    "first_position": "first place chosen",
    "not_labelled_identical": "identical, not labelled",
    "not_relevant": "likelier “neither” than not",
    "cut_by_length": "cut by length",
}
"""What a stage's figures are called where their names alone do not say it."""

SHARES = ("same_position", "first_position")
"""Figures that are shares of the whole."""


@dataclass(frozen=True)
class Span:
    """Neighbouring tokens of one kind: those that carry loss, or those that do not."""

    tokens: tuple[str, ...]
    is_learnt: bool


@dataclass(frozen=True)
class BatchRow:
    """One row of the first batch: its examples (one unless rows are packed), but for `left_out` tokens at its end."""

    examples: tuple[tuple[Span, ...], ...]
    left_out: int


class RunPage:
    """One run and everything its page shows."""

    def __init__(self, run: Run, user: User, look: CurveLook = PLAIN) -> None:
        self.run = run
        self.user = user
        self.look = look

    @cached_property
    def hidden(self) -> Hidden:
        """Which of the newest labels the reader has yet to judge blind."""
        return hides_judgement(self.user, self.newest_labels)

    @cached_property
    def stages(self) -> list[RunStage]:
        stages = list(RunStage.objects.filter(run=self.run))
        for stage in stages:
            stage.run = self.run
        return stages

    @cached_property
    def current(self) -> RunStage | None:
        """The stage to look at: the one under way, else the one that failed or stopped, else the last that ended."""
        for states in ((StageState.RUNNING,), (StageState.FAILED, StageState.STOPPED), (StageState.SUCCEEDED,)):
            if found := [stage for stage in self.stages if stage.state in states]:
                return found[-1]
        return None

    @cached_property
    def time_left(self) -> TimeLeft | None:
        """What is left of the whole run; None where it does not go on."""
        return times_left([self.run]).get(self.run.pk)

    @cached_property
    def last_event(self) -> int:
        """The number of the newest event; a live page listens from behind it."""
        return RunEvent.objects.filter(stage__run=self.run).aggregate(newest=Max("pk"))["newest"] or 0

    @cached_property
    def notes(self) -> list[str]:
        """What the stages want people to know, each sentence once."""
        return list(dict.fromkeys(str(note) for stage in self.stages for note in stage.notes))

    @cached_property
    def curves(self) -> list[StageCurves]:
        """The curves of the training stages so far, and of the one under way, which comes first: what it uses."""
        started = [stage for stage in self.stages if stage.started_at and _is_drawn(stage)]
        found = curves_of(started, self.look)
        return sorted(found, key=lambda curves: (curves.stage.state != StageState.RUNNING, curves.stage.position))

    @cached_property
    def log(self) -> list[LogLine]:
        return newest_lines(self.current) if self.current else []

    @property
    def has_log_file(self) -> bool:
        return self.current is not None and artifacts.has_log(self.current)

    @cached_property
    def newest_traces(self) -> Sequence[Trace]:
        return list(Trace.objects.filter(run=self.run).select_related("prompt").order_by("-pk")[:NEWEST])

    @cached_property
    def newest_steps(self) -> Sequence[TraceStep]:
        steps = TraceStep.objects.filter(trace__run=self.run).select_related("trace__prompt", "principle")
        return list(steps.order_by("-pk")[:NEWEST])

    @cached_property
    def newest_comparisons(self) -> Sequence[Comparison]:
        return list(Comparison.objects.filter(run=self.run).order_by("-pk")[:NEWEST])

    @cached_property
    def newest_labels(self) -> Sequence[AILabel]:
        return list(
            AILabel.objects.filter(run=self.run).select_related("comparison", "principle").order_by("-pk")[:NEWEST]
        )

    @cached_property
    def newest_answers(self) -> Sequence[EvaluationAnswer]:
        return list(EvaluationAnswer.objects.filter(run=self.run).select_related("prompt").order_by("-pk")[:NEWEST])

    @cached_property
    def newest_rollouts(self) -> list[Rollout]:
        return rollouts_of(self.run, NEWEST)

    @cached_property
    def beside(self) -> list[Run]:
        """Runs that curves can be compared with: the newest others, and those already beside."""
        newest = Run.objects.exclude(pk=self.run.pk).exclude(preset="write").order_by("-number")[:OFFERED_BESIDE]
        return list(dict.fromkeys([*self.look.others, *newest]))

    @property
    def has_labels(self) -> bool:
        """Whether all labels are there, to be taken away."""
        return any(stage.slug == "label" and stage.state == StageState.SUCCEEDED for stage in self.stages)

    @property
    def can_compare(self) -> bool:
        """Whether arms can go on from the run's labels: it has them, and did not go on from another run itself."""
        return self.has_labels and self.run.source_id is None

    @property
    def newest_kind(self) -> str:
        """Which samples to show: those of the stage under way, else of the last stage before it that made any."""
        makes = {"generate": "traces", "revise": "steps", "sft": "steps", "sample": "comparisons", "label": "labels",
                 "reward": "labels", "rl": "rollouts", "dpo": "labels", "evaluate": "answers"}  # fmt: skip
        return makes.get(self.current.slug, "") if self.current else ""

    @cached_property
    def checkpoints(self) -> list[Checkpoint]:
        return list(Checkpoint.objects.filter(run=self.run).order_by("pk"))

    @property
    def leaving(self) -> str:
        """The stages that leave a checkpoint, in words: "SL-CAI, Reward model and RL-CAI"."""
        return get_text_list([STAGE_NAMES[slug] for slug in self._training], "and")

    @property
    def leaving_count(self) -> int:
        return len(self._training)

    @property
    def _training(self) -> list[str]:
        return [stage.slug for stage in self.stages if stage.slug in TRAINING]

    @cached_property
    def written(self) -> list[PromptSet]:
        """The prompt sets the run wrote: one, for a run that writes prompts and has ended."""
        return list(PromptSet.objects.filter(made_by=self.run))

    @cached_property
    def builds(self) -> list[DatasetBuild]:
        return list(DatasetBuild.objects.filter(run=self.run))

    @cached_property
    def evaluations(self) -> list[MeasuredRow]:
        return measured_rows(Evaluation.objects.filter(run=self.run).select_related("checkpoint"))

    @cached_property
    def prompt_sets(self) -> list[Any]:
        return list(self.run.prompt_sets.all())

    @property
    def settings(self) -> list[StageSettings]:
        return settings_of(self.run)


class StagePage:
    """One stage of a run and everything its page shows."""

    def __init__(self, stage: RunStage, look: CurveLook = PLAIN, step: int | None = None) -> None:
        self.stage = stage
        self.look = look
        self.step = step

    @cached_property
    def log(self) -> list[LogLine]:
        return newest_lines(self.stage, 200)

    @cached_property
    def curves(self) -> list[StageCurves]:
        return curves_of([self.stage], self.look)

    @cached_property
    def rollouts(self) -> list[Rollout]:
        """The newest answers, or those of one step."""
        return rollouts_of(self.stage.run, 20, step=self.step) if self.stage.slug == "rl" else []

    @cached_property
    def first_batch(self) -> list[BatchRow]:
        """The rows of the first batch, as the stage recorded them; none for stages that do not."""
        events = RunEvent.objects.filter(stage=self.stage, kind="record", data__record="first_batch")
        said = events.order_by("pk").values_list("data__data__rows", flat=True).first() or []
        return [BatchRow(_examples(row), int(row["left_out"])) for row in said]

    @property
    def is_packed(self) -> bool:
        """Whether a row of the first batch holds several examples."""
        return any(len(row.examples) > 1 for row in self.first_batch)

    @cached_property
    def extremes(self) -> list[tuple[str, list[Rollout]]]:
        """The answers that earned most and least, of all that were kept."""
        if self.stage.slug != "rl" or self.step is not None:
            return []
        ends = (("Earned most", best_rollouts(self.stage.run)), ("Earned least", worst_rollouts(self.stage.run)))
        return [(words, found) for words, found in ends if found]

    @cached_property
    def gate(self) -> Gate | None:
        """What the quality gate did, on the stage that makes revisions and on the one that learns them."""
        if self.stage.slug not in ("revise", "sft"):
            return None
        return gate_among(existing(self.stage.run, "sft"))

    @property
    def summary(self) -> list[tuple[str, str]]:
        """What the stage reports of itself at its end, as pairs of words; the curves are drawn instead."""
        return [
            (REPORTED.get(name) or in_words(name), _summed(name, value))
            for name, value in self.stage.summary.items()
            if name != "curves"
        ]

    @property
    def has_log_file(self) -> bool:
        return artifacts.has_log(self.stage)

    @cached_property
    def last_event(self) -> int:
        return RunEvent.objects.filter(stage__run=self.stage.run).aggregate(newest=Max("pk"))["newest"] or 0

    @cached_property
    def checkpoint(self) -> Checkpoint | None:
        return Checkpoint.objects.filter(run=self.stage.run, stage=self.stage.slug).first()

    @property
    def settings(self) -> tuple[Setting, ...]:
        name = STAGE_NAMES.get(self.stage.slug, self.stage.slug)
        return next((part.settings for part in settings_of(self.stage.run) if part.name == name), ())


def _is_drawn(stage: RunStage) -> bool:
    return stage.slug in TRAINING or stage.state == StageState.RUNNING


def _examples(row: Mapping[str, Any]) -> tuple[tuple[Span, ...], ...]:
    """A recorded row, cut where its examples begin."""
    tokens, learnt = row["tokens"], row["learnt"]
    starts = row.get("starts") or [0]
    return tuple(_spans(tokens[start:end], learnt[start:end]) for start, end in pairwise([*starts, len(tokens)]))


def _spans(tokens: Sequence[str], learnt: str) -> tuple[Span, ...]:
    marked = zip(tokens, learnt, strict=True)
    return tuple(
        Span(tuple(token for token, _ in part), kind == "1") for kind, part in groupby(marked, lambda one: one[1])
    )


def _summed(name: str, value: Any) -> str:
    if name in SHARES and isinstance(value, int | float):
        return f"{percent(value)}%"
    if name == "weights_moved" and isinstance(value, dict):
        moved, all_of, most = value.get("changed", 0), value.get("of", 0), value.get("max_abs", 0.0)
        return f"{moved:,} of {all_of:,}, by at most {number(most)}"
    return summed(value)
