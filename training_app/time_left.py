"""How long a whole run will still take: the running stage by its own pace, those to come by earlier runs.

    left = left of the running stage + k · Σ estimate(stage to come)
    k    = Σ seconds this run's stages took / Σ estimate of the same stages

The estimates are the launch form's (`estimates.py`). k is 1 before a stage has ended; the running one counts in it once
a tenth of it is done, with all that it will have taken. What nobody measured is not guessed: it is named, and the
figure then says "at least". What is left out: waiting for a worker, and pauses between stages.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import prefetch_related_objects
from django.utils.text import get_text_list

from training_app.estimates import Paces, kind_of, paces_of, prompts_of, seconds_taken
from training_app.models import Run, RunStage
from training_app.models.run import RunState, StageState
from training_app.options import STAGE_NAMES

TELLING_SHARE = 0.1
"""From here on the running stage says how fast this run is."""
ALIKE = (0.9, 1.1)
"""Between these, a run is as fast as the earlier ones, and nothing is said of it."""


@dataclass(frozen=True)
class TimeLeft:
    """Seconds until a run ends, None where nothing is known, and where the figure comes from.

    `to_come` are the stages that have not begun, `unknown` those whose time is not in the figure, both by slug;
    `runs` earlier runs on `device` were looked at, which this one takes `times` as long as (None: not known yet).
    """

    seconds: float | None
    to_come: tuple[str, ...]
    unknown: tuple[str, ...]
    has_begun: bool
    runs: int
    device: str
    times: float | None

    @property
    def words(self) -> str:
        """ "about 12 min left", "at least 2 min left", "about 3 h once it begins", "time left not known"."""
        if self.seconds is None:
            return "time left not known"
        return f"{'at least' if self.unknown else 'about'} {rounded(self.seconds)} {self._when}"

    @property
    def ahead(self) -> str:
        """ "5 stages to come", "" with the last one."""
        count = len(self.to_come)
        return f"{count} stage{'' if count == 1 else 's'} to come" if count else ""

    @property
    def source(self) -> str:
        """Where the figure comes from, or why there is none, in a sentence or two."""
        missing = get_text_list([STAGE_NAMES.get(slug, slug) for slug in self.unknown], "and")
        if missing and not self.runs:
            return f"No run with this preset and model has finished yet: nothing says how long {missing} will take."
        if self.seconds is None:
            return f"Earlier runs with this preset and model did not do {missing} in this way."
        said = [self._basis]
        if self.times is not None and not ALIKE[0] <= self.times <= ALIKE[1] and self.to_come:
            said.append(f"This run takes {self.times:.2g} times as long as they did, which is counted in.")
        if missing:
            said.append(f"They did not do {missing} in this way: not counted.")
        return " ".join(said)

    @property
    def _when(self) -> str:
        return "left" if self.has_begun else "once it begins"

    @property
    def _basis(self) -> str:
        if not self.to_come and self.has_begun and self.seconds is not None and not self.unknown:
            return "By the pace of the last stage."
        where = f" on {self.device}" if self.device else ""
        own = "By its own pace and by" if self.has_begun else "By"
        return f"{own} {self.runs} earlier run{'' if self.runs == 1 else 's'} with this preset and model{where}."


def times_left(runs: Sequence[Run]) -> dict[Any, TimeLeft]:
    """By run, for those that are queued or running with a stage to do; the others have none.

    Five queries at most, however many runs. Runs whose stages are prefetched as `stages`, or their prompt sets, are not
    asked for them again.
    """
    under_way = [run for run in runs if run.state in (RunState.QUEUED, RunState.RUNNING)]
    prefetch_related_objects(under_way, "stages", "prompt_sets")
    going_on = [run for run in under_way if any(stage.state != StageState.SUCCEEDED for stage in run.stages.all())]
    paces = paces_of({kind_of(run) for run in going_on})
    return {run.pk: time_left(run, list(run.stages.all()), paces.get(kind_of(run), Paces())) for run in going_on}


def time_left(run: Run, stages: Sequence[RunStage], paces: Paces) -> TimeLeft:
    """What is left of a run that is queued or running. No query where its prompt sets are prefetched."""
    prompts = prompts_of(run)
    expected = {stage.slug: paces.seconds(stage.slug, prompts=prompts, config=run.config) for stage in stages}
    times = _times(run, stages, expected)
    left = {stage.slug: _left(stage, expected[stage.slug], times or 1.0)
            for stage in stages if stage.state != StageState.SUCCEEDED}  # fmt: skip
    known = [seconds for seconds in left.values() if seconds is not None]
    return TimeLeft(
        seconds=sum(known) if known else None,
        to_come=tuple(stage.slug for stage in stages if stage.state == StageState.WAITING),
        unknown=tuple(slug for slug, seconds in left.items() if seconds is None),
        has_begun=run.state == RunState.RUNNING,
        runs=paces.runs,
        device=paces.device,
        times=times,
    )


def one_after_another(times: Collection[TimeLeft]) -> str:
    """What is left of several runs on one worker: "about 1 h 20 min one after another", "" where nothing is known."""
    known = [one.seconds for one in times if one.seconds is not None]
    if not known:
        return ""
    is_all = len(known) == len(times) and not any(one.unknown for one in times)
    return f"{'about' if is_all else 'at least'} {rounded(sum(known))} one after another"


def rounded(seconds: float) -> str:
    """A span that claims no more than an estimate can: "1 min", "12 min", "1 h 40 min", "30 h"."""
    minutes = round(seconds / 60)
    if minutes < 30:
        return f"{max(minutes, 1)} min"
    if minutes < 60:
        return f"{5 * round(minutes / 5)} min" if minutes < 58 else "1 h"
    if minutes < 10 * 60:
        hours, rest = divmod(10 * round(minutes / 10), 60)
        return f"{hours} h {rest} min" if rest else f"{hours} h"
    return f"{round(minutes / 60)} h"


def _left(stage: RunStage, expected: float | None, times: float) -> float | None:
    """Seconds a stage still takes; None where neither its own pace nor an earlier run tells."""
    if stage.state == StageState.RUNNING and stage.eta_s is not None:
        return stage.eta_s
    return None if expected is None else expected * times * (1 - _share(stage))


def _times(run: Run, stages: Sequence[RunStage], expected: Mapping[str, float | None]) -> float | None:
    """How many times as long as the earlier runs this one takes; None before anything of it can be compared."""
    compared = [(taken, before) for stage in stages if (before := expected[stage.slug])
                and (taken := _will_have_taken(stage, run)) is not None]  # fmt: skip
    estimated = sum(before for _, before in compared)
    return sum(taken for taken, _ in compared) / estimated if estimated else None


def _will_have_taken(stage: RunStage, run: Run) -> float | None:
    if stage.state == StageState.SUCCEEDED:
        return seconds_taken(stage, run)
    if stage.state == StageState.RUNNING and stage.total and stage.rate and _share(stage) >= TELLING_SHARE:
        return stage.total / stage.rate
    return None


def _share(stage: RunStage) -> float:
    return min(stage.done / stage.total, 1.0) if stage.total else 0.0
