"""Queues of items to judge: what is in them, who was given what, and what each person may read without being asked.

An item is given by raising its `taken`, which a constraint keeps at or under `wanted`; whoever is given it holds a
`Reservation` that expires and comes back. So no item is ever in more hands than its queue asks for.
"""

from __future__ import annotations

import uuid
from typing import Self

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q

from training_app.models.audit import Audit
from training_app.models.judgement import AILabel, Comparison
from training_app.models.prompt import PromptSet
from training_app.models.trace import TraceStep

MOST_AUDITORS = 20


class AuditQueue(models.Model):
    """Items to be judged blind by so many people each: chosen once by a filter and a rule, or sent one by one."""

    class Kind(models.TextChoices):
        LABELS = "labels", "AI labels"
        STEPS = "steps", "critiques and revisions"
        ANSWERS = "answers", "pairs of answers"

    class Rule(models.TextChoices):
        UNIFORM = "uniform", "by chance, all alike"
        STRATIFIED = "stratified", "by chance, the same number for each principle"
        UNCERTAIN = "uncertain", "where the judge was least sure"
        ORDER = "order", "where the judge changed its mind with the order"
        INFLUENTIAL = "influential", "what training learns most from"
        NEWEST = "newest", "newest first"
        DISAGREEMENT = "disagreement", "where auditors disagree"
        SENT = "sent", "as people send them"

    name = models.CharField(max_length=200)
    kind = models.CharField(max_length=10, choices=Kind.choices)
    filters = models.CharField(max_length=2000, blank=True)
    """The filter it was built from, as a query string of the lists."""
    rule = models.CharField(max_length=20, choices=Rule.choices)
    seed = models.PositiveIntegerField(default=0)
    per_item = models.PositiveSmallIntegerField(
        default=1, validators=[MinValueValidator(1), MaxValueValidator(MOST_AUDITORS)]
    )
    """How many people judge each item, none knowing of the others."""
    hide_principle = models.BooleanField(default=False)
    """Whether the cited principle, too, is shown only after the choice."""
    goal = models.PositiveIntegerField(default=0)
    """Decisions a person wants to reach in a day; 0 for none."""
    calibration_set = models.ForeignKey(PromptSet, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    """Human comparisons whose known answers are mixed in."""
    people = models.ManyToManyField(settings.AUTH_USER_MODEL, blank=True, related_name="audit_queues")
    """Whom it is for; nobody named: every auditor."""
    items_count = models.PositiveIntegerField(default=0)
    decisions = models.PositiveIntegerField(default=0)
    """Decisions so far, of `items_count` times `per_item`; kept with every decision, so that no page counts rows."""
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    closed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-pk",)
        constraints = (
            models.CheckConstraint(
                condition=Q(per_item__gte=1, per_item__lte=MOST_AUDITORS), name="a_queue_asks_for_somebody"
            ),
            models.CheckConstraint(
                condition=Q(kind="answers", rule="sent") | ~Q(kind="answers") & ~Q(rule="sent"),
                name="answers_are_sent_and_nothing_else",
            ),
            models.UniqueConstraint(
                fields=("kind",), condition=Q(kind="answers", closed_at=None), name="one_open_queue_of_answers"
            ),
        )

    def __str__(self) -> str:
        return self.name

    @property
    def wanted(self) -> int:
        """Decisions it asks for in all."""
        return self.items_count * self.per_item


KINDS_DRAWN = [(one.value, one.label) for one in AuditQueue.Kind if one != AuditQueue.Kind.ANSWERS]
DRAWN_BY = [(one.value, one.label) for one in AuditQueue.Rule if one != AuditQueue.Rule.SENT]
"""The kinds and rules of queues whose items are drawn when the queue is made."""


class QueueItem(models.Model):
    """One thing to judge in a queue: an AI label, a trace step, a human comparison whose answer is known, or a pair of
    answers that nobody has chosen between."""

    queue = models.ForeignKey(AuditQueue, on_delete=models.CASCADE, related_name="items")
    position = models.PositiveIntegerField()
    label = models.ForeignKey(AILabel, on_delete=models.PROTECT, null=True, blank=True, related_name="queued")
    step = models.ForeignKey(TraceStep, on_delete=models.PROTECT, null=True, blank=True, related_name="queued")
    comparison = models.ForeignKey(Comparison, on_delete=models.PROTECT, null=True, blank=True, related_name="queued")
    why = models.CharField(max_length=300)
    """Why this item is here, in a line that says nothing of what the AI or anybody chose."""
    known = models.CharField(max_length=1, blank=True, choices=(("a", "A"), ("b", "B")))
    """The answer of a calibration item, hidden until the auditor has chosen; empty where nobody knows."""
    wanted = models.PositiveSmallIntegerField()
    taken = models.PositiveSmallIntegerField(default=0)
    """People who hold it or have decided it."""
    decided = models.PositiveSmallIntegerField(default=0)

    class Meta:
        ordering = ("queue", "position")
        constraints = (
            models.UniqueConstraint(fields=("queue", "position"), name="one_item_per_place_in_a_queue"),
            models.UniqueConstraint(
                fields=("queue", "label"), condition=Q(label__isnull=False), name="a_label_is_once_in_a_queue"
            ),
            models.UniqueConstraint(
                fields=("queue", "step"), condition=Q(step__isnull=False), name="a_step_is_once_in_a_queue"
            ),
            models.UniqueConstraint(
                fields=("queue", "comparison"),
                condition=Q(comparison__isnull=False),
                name="a_comparison_is_once_in_a_queue",
            ),
            models.CheckConstraint(
                condition=Q(label__isnull=False, step__isnull=True, comparison__isnull=True)
                | Q(label__isnull=True, step__isnull=False, comparison__isnull=True)
                | Q(label__isnull=True, step__isnull=True, comparison__isnull=False, known__in=("a", "b", "")),
                name="a_queue_item_is_one_thing",
            ),
            models.CheckConstraint(
                condition=Q(taken__lte=F("wanted"), decided__lte=F("taken")), name="no_item_in_too_many_hands"
            ),
        )
        indexes = (
            models.Index(fields=("queue", "position"), condition=Q(taken__lt=F("wanted")), name="items_to_give"),
        )

    def __str__(self) -> str:
        return f"{self.queue_id}/{self.position}"


class ReservationQuerySet(models.QuerySet["Reservation"]):
    """Reservations, with what judging needs of them."""

    def given(self) -> Self:
        """With queue, item, the person and how they judge, and what the AI chose of a label without its texts."""
        texts = [f"item__label__{name}" for name in ("question", "sent_ab", "sent_ba", "votes")]
        return self.select_related("queue", "item__label", "auditor__auditor_settings").defer(*texts)


class Reservation(models.Model):
    """That one person was given one item, what they chose blind, and how it ended. One per person and item."""

    class State(models.TextChoices):
        OPEN = "open", "being judged"
        DECIDED = "decided", "decided"
        LATE = "late", "decided after others had taken it"
        EXPIRED = "expired", "came back"
        REFUSED = "refused", "refused"

    item = models.ForeignKey(QueueItem, on_delete=models.CASCADE, related_name="reservations")
    queue = models.ForeignKey(AuditQueue, on_delete=models.CASCADE, related_name="reservations")
    auditor = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="reservations")
    state = models.CharField(max_length=10, choices=State.choices, default=State.OPEN)
    taken_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    shown_first = models.CharField(max_length=1, choices=(("a", "A"), ("b", "B")))
    """Which response stands first for this person."""
    choice = models.CharField(max_length=10, choices=Audit.Choice.choices, blank=True)
    """The blind choice, kept before anything was revealed. For a step: "b" the revision, "a" what stood before it."""
    answers = models.JSONField(default=dict, blank=True)
    """What was said of a step before the reveal: {"critique_fair": true, "principle_fits": …, "change_needed": …}."""
    choice_key = models.UUIDField(null=True, blank=True)
    chosen_at = models.DateTimeField(null=True, blank=True)
    seconds = models.PositiveIntegerField(null=True, blank=True)
    """From seeing the item to choosing, as the page measured it."""
    audit = models.ForeignKey(Audit, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    decided_at = models.DateTimeField(null=True, blank=True)

    objects = ReservationQuerySet.as_manager()

    class Meta:
        ordering = ("taken_at", "pk")
        constraints = (models.UniqueConstraint(fields=("item", "auditor"), name="an_item_is_given_once_to_a_person"),)
        indexes = (
            models.Index(fields=("queue", "auditor", "state", "decided_at"), name="reservations_of_a_person"),
            models.Index(fields=("expires_at",), condition=Q(state="open"), name="reservations_to_expire"),
        )

    def __str__(self) -> str:
        return f"{self.item_id} with {self.auditor_id}"

    @property
    def is_revealed(self) -> bool:
        """Whether the AI's choice has been shown to this person here."""
        return bool(self.choice)


class AuditorSettings(models.Model):
    """How one person reads and judges: what stays veiled, which keys work, when a break is offered."""

    class Veil(models.IntegerChoices):
        ALL = 1, "everything from red-team prompts"
        HARM = 2, "what is tagged as harmful"
        SEVERE = 3, "only what is tagged as severe"
        NOTHING = 9, "nothing"

    person = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="auditor_settings")
    veil_from = models.PositiveSmallIntegerField(choices=Veil.choices, default=Veil.HARM)
    veil_tags = ArrayField(models.CharField(max_length=60), default=list, blank=True)
    """Tags of prompts that are veiled whatever their severity."""
    raw_text = models.BooleanField(default=False)
    """Whether texts of models are shown as they were written, Markdown signs and all."""
    keys_on = models.BooleanField(default=True)
    keys = models.JSONField(default=dict, blank=True)
    """Own keys by the name of what they do: {"first": "f"}; others keep theirs."""
    break_after_items = models.PositiveSmallIntegerField(default=40)
    break_after_minutes = models.PositiveSmallIntegerField(default=45)
    """A break is offered after so many decisions or minutes; 0: never."""

    def __str__(self) -> str:
        return f"settings of {self.person_id}"


class Exposure(models.Model):
    """That a person unveiled a harmful text: when, and how severe. Counted, never quoted."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="exposures")
    reservation = models.ForeignKey(Reservation, on_delete=models.CASCADE, related_name="exposures")
    severity = models.PositiveSmallIntegerField()
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("-at",)
        constraints = (models.UniqueConstraint(fields=("reservation",), name="an_exposure_is_counted_once"),)
        indexes = (models.Index(fields=("person", "-at"), name="exposures_of_a_person"),)

    def __str__(self) -> str:
        return f"{self.person_id} at {self.at}"
