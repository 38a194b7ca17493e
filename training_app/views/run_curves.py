"""Curves of a run's stages as small multiples, by the page's address on a log scale, smoothed, beside other runs."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode
from uuid import UUID

from django.contrib.auth.models import User
from django.http import QueryDict
from django.urls import reverse

from training_app import usage
from training_app.access import get_runs_for
from training_app.curves import Curves, Measured, read_curves, smoothed
from training_app.models import Run, RunStage
from training_app.plots import Curve, Drawing, draw
from training_app.views.rollouts import steps_with_rollouts

TRAINING = ("sft", "reward", "rl", "dpo")
SMOOTHINGS = ("0.6", "0.9", "0.97")
MOST_OTHERS = 4

CURVES: dict[str, str] = {
    "loss": "Loss",
    "reward": "Reward",
    "kl": "KL to SL-CAI",
    "accuracy": "Pairs ranked right",
    "margin": "Margin of the preferred",
    "token_accuracy": "Tokens predicted right",
    "entropy": "Entropy",
    "completion_length": "Length, tokens",
    "cut_off": "Share cut off",
    "learning_rate": "Learning rate",
    "grad_norm": "Gradient norm",
    "tokens_a_second": "Tokens a second",
    "seconds_a_step": "Seconds a step",
    "use_cpu": "Processor, percent of one core",
    "use_memory": "Memory, GiB",
    "use_gpu": "GPU, percent busy",
    "use_gpu_memory": "GPU memory, GiB",
}
"""What the curves are called, in the order they are shown; others follow by name."""


@dataclass(frozen=True)
class CurveLook:
    """How curves are looked at. `smooth` is the weight of what came before, 0 for the points as they are."""

    log: bool = False
    smooth: str = ""
    others: tuple[Run, ...] = ()

    @property
    def query(self) -> str:
        """The same look in an address, "&scale=log&with=…"; "" for the plain one."""
        said = [("scale", "log")] if self.log else []
        said += [("smooth", self.smooth)] if self.smooth else []
        said += [("with", str(run.pk)) for run in self.others]
        return f"&{urlencode(said)}" if said else ""

    @property
    def smoothings(self) -> tuple[str, ...]:
        """What can be chosen."""
        return SMOOTHINGS

    @property
    def is_plain(self) -> bool:
        return not self.query


@dataclass(frozen=True)
class StageCurves:
    """The small multiples of one training stage."""

    stage: RunStage
    drawings: tuple[Drawing, ...]


def look_in(query: QueryDict, user: User, *, but: UUID | None = None) -> CurveLook:
    """The look an address asks for; what it says that means nothing is passed over. One query where it names runs."""
    smooth = query.get("smooth", "")
    asked = [pk for pk in map(_uuid, query.getlist("with")[: MOST_OTHERS * 2]) if pk and pk != but]
    others = tuple(get_runs_for(user, asked)[:MOST_OTHERS]) if asked else ()
    return CurveLook(query.get("scale") == "log", smooth if smooth in SMOOTHINGS else "", others)


def curves_of(stages: Sequence[RunStage], look: CurveLook) -> list[StageCurves]:
    """Every stage's curves, with the same stage of the other runs. At most four queries."""
    beside: dict[str, list[RunStage]] = {}
    if look.others:
        slugs = {stage.slug for stage in stages}
        number = {run.pk: place for place, run in enumerate(look.others)}
        rows = RunStage.objects.filter(run__in=look.others, slug__in=slugs).select_related("run")
        for other in sorted(rows, key=lambda row: number[row.run_id]):
            beside.setdefault(other.slug, []).append(other)
    points = read_curves([stage.pk for stage in (*stages, *(one for some in beside.values() for one in some))])
    found = []
    for stage in stages:
        lines = [(stage, points[stage.pk]), *((one, points[one.pk]) for one in beside.get(stage.slug, ()))]
        if drawings := tuple(_drawings(lines, points[stage.pk], look)):
            found.append(StageCurves(stage, drawings))
    return found


def curves_together(runs: Sequence[Run], look: CurveLook) -> list[StageCurves]:
    """Every training stage that any of the runs has begun, with the curves of all of them. Two or three queries."""
    place = {run.pk: number for number, run in enumerate(runs)}
    rows = RunStage.objects.filter(run__in=runs, slug__in=TRAINING, started_at__isnull=False).select_related("run")
    stages = sorted(rows, key=lambda row: place[row.run_id])
    points = read_curves([stage.pk for stage in stages])
    found = []
    for slug in TRAINING:
        lines = [(stage, points[stage.pk]) for stage in stages if stage.slug == slug]
        names = {name for _, curves in lines for name in curves}
        if lines and (drawings := tuple(_drawings(lines, names, look, many=True))):
            found.append(StageCurves(lines[0][0], drawings))
    return found


def _drawings(
    runs: Sequence[tuple[RunStage, Curves]], names: Collection[str], look: CurveLook, *, many: bool = False
) -> Iterable[Drawing]:
    """A plot per metric; alone, "eval_loss" shares the plot of "loss", and points of rewards lead to their samples."""
    known, (stage, own) = list(CURVES), runs[0]
    alone = len(runs) == 1 and not many
    links = _links(stage) if alone and stage.slug == "rl" else {}
    plain = [name for name in names if not name.startswith("eval_")]
    for name in sorted(plain, key=lambda name: (known.index(name) if name in CURVES else len(known), name)):
        lines = [
            _line("training" if alone else f"run {one.run.number}", curves[name], look)
            for one, curves in runs
            if name in curves
        ]
        if alone and (held_out := own.get(f"eval_{name}")):
            lines.append(_line("held out", held_out, look))
        x_name = "second" if name in usage.NAMES else "step"
        title = CURVES.get(name, name.replace("_", " ").capitalize())
        leads = links if name == "reward" else {}
        if drawing := draw(f"{stage.slug}-{name}", title, lines, x_name=x_name, log=look.log, links=leads):
            yield drawing


def _line(label: str, measured: Measured, look: CurveLook) -> Curve:
    smooth = smoothed(measured.means, float(look.smooth)) if look.smooth else ()
    return Curve(label, tuple(measured.points), smooth)


def _links(stage: RunStage) -> Mapping[float, str]:
    """Where the samples of each step are."""
    page = reverse("training:stage", args=[stage.run_id, stage.slug])
    return {step: f"{page}?step={step}#rollouts" for step in steps_with_rollouts(stage.run)}


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
