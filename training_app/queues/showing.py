"""What is told of an item to the person it was given to: blind before the choice, and what is revealed after it.

The page of an item and the API show the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from django.utils import timezone

from constitutions_app.composed import Composed, Later
from constitutions_app.models import PrincipleVersion
from training_app.auditor_settings import settings_of, shown_today
from training_app.core.breaks import Streak, is_due, streak_of
from training_app.core.harm import NONE, PROVOKING, WORDS, is_veiled, severity_of
from training_app.models import (
    AILabel,
    Audit,
    AuditorSettings,
    AuditQueue,
    ChatTurn,
    Checkpoint,
    Comparison,
    Prompt,
    PromptSet,
    Reservation,
    TraceStep,
)
from training_app.models.audit import AuditQuerySet
from training_app.queues.history import History, history_of
from training_app.stale import newest_versions

LETTERS = {"first": {"a": "a", "b": "b"}, "second": {"a": "b", "b": "a"}}


@dataclass(frozen=True)
class Side:
    """One of two texts to choose between, at its place for this person."""

    name: str
    number: str
    """What is pressed for it: "1" or "2"."""
    letter: str
    text: str
    is_mine: bool
    is_ai: bool


class Given:
    """One reservation and everything that may be told of it to its person at this moment."""

    def __init__(self, reservation: Reservation) -> None:
        self.reservation = reservation
        self.item = reservation.item
        self.queue: AuditQueue = reservation.queue

    @cached_property
    def label(self) -> AILabel | None:
        """With everything that is shown of it. One query where it is one."""
        return _LABEL.first(label=self.item.label_id) if self.item.label_id else None

    @cached_property
    def step(self) -> TraceStep | None:
        """The same of a step."""
        return _STEP.first(step=self.item.step_id) if self.item.step_id else None

    @property
    def comparison(self) -> Comparison | None:
        """The two responses; None for a step."""
        return self.label.comparison if self.label else self.item.comparison

    @property
    def prompt(self) -> Prompt | None:
        if self.step:
            return self.step.trace.prompt
        return self.comparison.prompt if self.comparison else None

    @property
    def messages(self) -> list[dict[str, str]]:
        return (self.comparison.messages if self.comparison else self.prompt.messages if self.prompt else []) or []

    @property
    def prompt_text(self) -> str:
        return self.comparison.prompt_text if self.comparison else self.prompt.text if self.prompt else ""

    @property
    def is_open(self) -> bool:
        """Whether something is still to be decided here."""
        return self.reservation.state in (Reservation.State.OPEN, Reservation.State.EXPIRED)

    @property
    def is_revealed(self) -> bool:
        return self.reservation.is_revealed

    @cached_property
    def settings(self) -> AuditorSettings:
        return settings_of(self.reservation.auditor)

    # ---- What is judged ----

    @property
    def sides(self) -> Sequence[Side]:
        """Both responses in this person's order. Whose choice they were is said only after the reveal."""
        pair = self.comparison
        if pair is None:
            return ()
        order = "ab" if self.reservation.shown_first == "a" else "ba"
        ai = self.label.ai_choice if self.label and self.is_revealed else ""
        texts = {"a": pair.response_a, "b": pair.response_b}
        return [
            Side(name, number, letter, texts[letter], self.reservation.choice == letter, ai == letter)
            for (name, number), letter in zip((("first", "1"), ("second", "2")), order, strict=True)
        ]

    @cached_property
    def before(self) -> str:
        """The text that a step was to revise. One query from the second round on."""
        if self.step is None:
            return ""
        earlier = TraceStep.objects.filter(trace=self.step.trace_id, round=self.step.round - 1)
        return earlier.values_list("revision", flat=True).first() or self.step.trace.initial_response

    @property
    def principle(self) -> PrincipleVersion | None:
        """The cited principle at its version, unless the queue keeps it back until the choice."""
        cited = self.label.principle if self.label else self.step.principle if self.step else None
        return cited if self.is_revealed or not self.queue.hide_principle else None

    @property
    def keeps_principle_back(self) -> bool:
        return self.queue.hide_principle and not self.is_revealed

    @property
    def own_side(self) -> str:
        """Where the person's blind choice stands: "first", "second", "neither", or "" before it."""
        return side_of(self.reservation, self.reservation.choice, is_step=self.step is not None)

    # ---- After the reveal ----

    @cached_property
    def others(self) -> Sequence[Audit]:
        """What others said of it, once this person has chosen. One query."""
        if not self.is_revealed or self.item.comparison_id:
            return []
        auditor = self.reservation.auditor_id
        if self.item.label_id:
            return _OTHERS_ON_LABEL.all(label=self.item.label_id, auditor=auditor)
        return _OTHERS_ON_STEP.all(step=self.item.step_id, auditor=auditor)

    @cached_property
    def principle_now(self) -> PrincipleVersion | None:
        """The principle in the newest version of its constitution's main branch, where its text reads otherwise now."""
        cited = self.principle
        if cited is None or not self.is_revealed:
            return None
        version = cited.version
        found = _NOW.first(constitution=version.constitution_id, number=version.number, key=cited.key)
        return found if found and found.text != cited.text else None

    @property
    def outcome(self) -> str:
        """What keeping the blind choice comes to, in words."""
        if self.item.comparison_id and not self.item.known:
            return "is your preference"
        if self.item.comparison_id:
            return (
                f"{'agrees with' if self.reservation.choice == self.item.known else 'differs from'} people before you"
            )
        if self.step:
            return {"a": "overrides it: not trained on", "b": "agrees"}.get(self.reservation.choice, "decides nothing")
        ai = self.label.ai_choice if self.label else ""
        return "agrees with the AI" if self.reservation.choice == (ai or "neither") else "overrides the AI"

    @cached_property
    def authors(self) -> Sequence[tuple[str, Checkpoint]]:
        """Whose answer stood first and whose second, where two checkpoints answered a question. One query there."""
        pair = self.item.comparison
        if not self.is_revealed or pair is None or pair.chat_id is None:
            return ()
        turn = ChatTurn.objects.select_related("left__run", "right__run").get(pk=pair.chat_id)
        answered = {"a": turn.left, "b": turn.right}
        return [(side.name, one) for side in self.sides if (one := answered[side.letter]) is not None]

    @property
    def known_side(self) -> str:
        return side_of(self.reservation, self.item.known, is_step=False)

    # ---- Protection ----

    @cached_property
    def tags(self) -> Sequence[str]:
        return self.prompt.tags if self.prompt else ()

    @cached_property
    def severity(self) -> int:
        """Of what people try on checkpoints nobody has said how harmful it is, so it counts as a red-team prompt."""
        prompt, pair = self.prompt, self.comparison
        red_team = prompt is not None and prompt.prompt_set.kind == PromptSet.Kind.RED_TEAM
        red_team = red_team or (pair is not None and pair.source == Comparison.Source.CHAT)
        return severity_of(self.tags, is_red_team=red_team)

    @cached_property
    def is_veiled(self) -> bool:
        """Whether the texts wait until they are asked for. One query where they might."""
        own = self.settings
        if not is_veiled(self.tags, self.severity, veil_from=own.veil_from, veil_tags=own.veil_tags):
            return False
        return not self.reservation.exposures.exists()

    @property
    def veil_words(self) -> str:
        return WORDS.get(max(self.severity, PROVOKING) if self.severity != NONE else PROVOKING, "")

    @cached_property
    def shown_today(self) -> int:
        return shown_today(self.reservation.auditor)

    @cached_property
    def streak(self) -> Streak:
        """What was decided here without a break."""
        return streak_of(self.history.times, timezone.now())

    @property
    def offers_break(self) -> bool:
        own = self.settings
        return is_due(self.streak, after_items=own.break_after_items, after_minutes=own.break_after_minutes)

    # ---- Progress ----

    @cached_property
    def history(self) -> History:
        """What the person has done in this queue. One query."""
        return history_of(self.reservation, is_over=not self.is_open)

    @property
    def decided(self) -> int:
        """How many items of this queue the person has decided."""
        return self.history.decided

    @property
    def previous(self) -> int | None:
        """The place of the item the person decided last before this one."""
        return self.history.previous


_LABEL = Composed(
    lambda: (
        AILabel.objects.select_related("comparison__prompt__prompt_set", "judge", "principle__version__constitution")
        .defer("principle__version__canonical")
        .filter(pk=Later("label"))
    )
)
_STEP = Composed(
    lambda: (
        TraceStep.objects.select_related("trace__prompt__prompt_set", "principle__version__constitution")
        .defer("principle__version__canonical")
        .filter(pk=Later("step"))
    )
)
_OTHERS_ON_LABEL = Composed(lambda: _others(Audit.objects.filter(label_id=Later("label"))))
_OTHERS_ON_STEP = Composed(lambda: _others(Audit.objects.filter(step_id=Later("step"))))
_NOW = Composed(
    lambda: PrincipleVersion.objects.filter(
        version__in=newest_versions().filter(constitution_id=Later("constitution"), number__gt=Later("number")),
        key=Later("key"),
    ).select_related("version__constitution")[:1]
)


def _others(audits: AuditQuerySet) -> AuditQuerySet:
    standing = audits.standing().exclude(auditor_id=Later("auditor"))
    return standing.select_related("auditor").order_by("created_at")


def letter_of(reservation: Reservation, side: str, *, is_step: bool) -> str:
    """The choice ("a", "b", "neither") behind a place. Of a step "first" says that the revision, "b", is better."""
    if side not in ("first", "second"):
        return side
    if is_step:
        return "b" if side == "first" else "a"
    return LETTERS[side][reservation.shown_first]


def side_of(reservation: Reservation, choice: str, *, is_step: bool) -> str:
    """The place that a choice stands at for this person; `letter_of` the other way round."""
    for side in ("first", "second"):
        if choice and letter_of(reservation, side, is_step=is_step) == choice:
            return side
    return choice
