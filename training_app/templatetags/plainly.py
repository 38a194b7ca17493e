"""Numbers and slugs in people's words: durations, probabilities, intervals, flags, stages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from django.template import Library
from django.utils import timezone
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from training_app import options, plots
from training_app.counting import UpTo
from training_app.measured import MODEL_NAMES
from training_app.models import AILabel, Audit, Run, RunStage, Trace, TraceStep
from training_app.models.run import StageState
from training_app.time_left import TimeLeft

register = Library()

FLAGS: dict[str, tuple[str, str]] = {
    "no_op": ("no change", "The revision repeats the text it was asked to revise."),
    "critique_as_revision": ("critique as revision", "The revision criticises the answer instead of giving a new one."),
    "preamble": ("preamble", "The revision starts by announcing itself, such as “Here is the revised response”."),
    "empty": ("empty", "The model wrote nothing."),
    "truncated": ("cut off", "The text ran into the longest answer allowed and stops in the middle."),
    "language_switch": ("other language", "The revision is in another language than the answer before it."),
    "refusal": ("refusal", "The model declined to do what it was asked here."),
}


NOT_AUDITED = SafeString('<span class="state" data-state="undecided">not audited</span>')


@register.filter
def duration(seconds: float | None) -> str:
    """Seconds as people say them: "45 s", "2 min", "1 h 05 min"; "" when not known."""
    if seconds is None:
        return ""
    if seconds < 90:
        return f"{max(round(seconds), 1 if seconds > 0 else 0)} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"


@register.simple_tag
def took(start: datetime | None, end: datetime | None) -> str:
    """How long something took, or has been taking so far; "" when it has not begun."""
    return duration(((end or timezone.now()) - start).total_seconds()) if start else ""


@register.filter
def figure(value: float | str | None) -> str:
    """A number with three significant digits; "" when there is none, and a word as it is."""
    if value is None:
        return ""
    return plots.number(value) if isinstance(value, int | float) and not isinstance(value, bool) else str(value)


@register.filter
def two_places(value: float) -> str:
    """A probability as it is compared: "0.27"."""
    return f"{value:.2f}"


@register.filter
def percent(value: float) -> int:
    """A share as a whole percentage from 0 to 100."""
    return min(max(round(value * 100), 0), 100)


@register.filter
def points(value: float) -> str:
    """A difference of two shares in percentage points, with its sign and one place: "+3.2"; "0.0" has none."""
    rounded = f"{value * 100:+.1f}"
    return "0.0" if rounded in ("+0.0", "-0.0") else rounded.replace("-", "\u2212")


@register.filter
def span(interval: Sequence[float] | None) -> str:
    """An interval: "[0.48, 0.72]"; "" when there is none."""
    return f"[{plots.number(interval[0])}, {plots.number(interval[1])}]" if interval else ""


@register.filter
def gain(value: float) -> str:
    """A difference with its sign and two places: "+0.27"; "0.00" has none."""
    rounded = f"{value:+.2f}"
    return "0.00" if float(rounded) == 0 else rounded.replace("-", "\u2212")


@register.filter
def bounds(interval: Sequence[float] | None) -> str:
    """An interval with two places: "[0.20, 0.35]"; "" when there is none."""
    return "[{}, {}]".format(*map(signed, interval)) if interval else ""


@register.filter
def stage_name(slug: str) -> str:
    """A stage as people call it: "SL-CAI" for "sft"."""
    return options.STAGE_NAMES.get(slug, slug)


@register.filter
def model_name(slug: str) -> str:
    """A measured model as people call it: "SL-CAI" for "sl_cai"."""
    return MODEL_NAMES.get(slug, slug)


@register.filter
def flag_name(slug: str) -> str:
    """A flag in a word or two."""
    return FLAGS.get(slug, (slug, ""))[0]


@register.filter
def drop_reason(reason: str) -> str:
    """Why the gate dropped a revision: "flagged no_op" becomes "flagged no change"."""
    word, _, flag = reason.partition(" ")
    return f"flagged {flag_name(flag)}" if word == "flagged" else reason


@register.filter
def counted(number: int | UpTo, unit: str) -> str:
    """A number with its unit, which is given in the plural: "1 prompt", "2 prompts", "1,000+ prompts"."""
    return f"{number} {unit.removesuffix('s') if str(number) == '1' else unit}"


@register.filter
def flag_means(slug: str) -> str:
    """What a flag says about a step, in a sentence."""
    return FLAGS.get(slug, ("", ""))[1]


@register.filter
def in_words(slug: object) -> str:
    """A slug or an option's value read aloud: "principle last", "yes", "no limit"."""
    if isinstance(slug, bool):
        return "yes" if slug else "no"
    if slug is None:
        return "none"
    return figure(slug) if isinstance(slug, int | float) else str(slug).replace("_", " ")


@register.filter
def stage_doing(slug: str) -> str:
    """What a run does while the stage is under way: "labelling"."""
    return options.STAGE_DOING.get(slug, slug)


@register.filter
def stage_does(slug: str) -> str:
    """What a stage is for, in a sentence."""
    return options.STAGE_DOES.get(slug, "")


@register.filter
def share_done(stage: RunStage) -> int:
    """How much of a stage is done, in whole percent; it says 100 only when it is."""
    return min(100 * stage.done // stage.total, 100) if stage.total else 0


@register.filter
def time_left(stage: RunStage) -> str:
    """ "2 min left", or "" when there is no estimate."""
    return f"{duration(stage.eta_s)} left" if stage.eta_s is not None else ""


@register.filter
def whole_time_left(run: Run, times: Mapping[UUID, TimeLeft]) -> str:
    """What is left of a run, among those of `times_left`: "about 12 min left", or "" where it does not go on."""
    return times[run.pk].words if run.pk in times else ""


@register.filter
def stage_words(stages: Sequence[RunStage]) -> str:
    """Where a run stands among its stages: "Label, 64%, 3 min left", "8 of 8", "3 of 8, then Label"."""
    done = sum(stage.state == StageState.SUCCEEDED for stage in stages)
    for stage in stages:
        if stage.state == StageState.RUNNING:
            parts = [stage_name(stage.slug), f"{share_done(stage)}%" if stage.total else "", time_left(stage)]
            return ", ".join(filter(None, parts))
        if stage.state in (StageState.FAILED, StageState.STOPPED):
            where = f", {stage.done} of {counted(stage.total, stage.unit)}" if stage.total else ""
            return f"{stage_name(stage.slug)}{where}"
    return f"{done} of {len(stages)}"


@register.filter
def preferred(label: AILabel, who: str = "") -> str:
    """What the AI chose: "A preferred", or "The AI preferred A"; "no preference" where both are equally likely."""
    choice = label.ai_choice.upper()
    if not choice:
        return f"{who} had no preference" if who else "no preference"
    return f"{who} preferred {choice}" if who else f"{choice} preferred"


@register.filter
def p_a_words(value: float) -> str:
    """ "p(A) 0.27"."""
    return f"p(A) {value:.2f}"


@register.filter
def signed(value: float) -> str:
    """A number with two places and a real minus sign, such as a log-probability."""
    return f"{round(value, 2) + 0.0:.2f}".replace("-", "\u2212")


@register.filter
def summed(value: object) -> str:
    """A value of a summary: numbers as people read them, lists and objects in one line."""
    if isinstance(value, dict):
        return ", ".join(f"{in_words(name)} {summed(part)}" for name, part in value.items())
    if isinstance(value, list):
        return " to ".join(map(summed, value)) if len(value) == 2 else ", ".join(map(summed, value))
    return in_words(value)


@register.filter
def verdict_words(label: AILabel, audits: Mapping[int, Sequence[Audit]]) -> SafeString:
    """What people said of a label: "✓ 2 agree, ≠ 1 overrides", counting each person's newest verdict."""
    return _said(_standing(audits.get(label.pk, ())))


@register.filter
def judged_words(trace: Trace, audits: Mapping[int, Sequence[Audit]]) -> SafeString:
    """What people said of the steps of a trace, which must carry them as `step_list`."""
    steps: Sequence[TraceStep] = trace.step_list  # type: ignore[attr-defined]  # the list page's Prefetch
    return _said([audit for step in steps for audit in _standing(audits.get(step.pk, ()))])


def _standing(audits: Sequence[Audit]) -> list[Audit]:
    """Each person's newest verdict among the audits of one item, which come oldest first, where it decides."""
    newest = {audit.auditor_id: audit for audit in audits if audit.is_verdict}
    return [audit for audit in newest.values() if audit.decides]


def _said(audits: Sequence[Audit]) -> SafeString:
    if not audits:
        return NOT_AUDITED
    counts = [(verdict, sum(audit.verdict == verdict for audit in audits)) for verdict in ("agree", "override")]
    return format_html_join(
        " ", '<span class="state" data-state="{}">{} {}</span>', ((verdict, n, verdict) for verdict, n in counts if n)
    )
