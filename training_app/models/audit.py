"""People's verdicts on what the AI did. Append-only: a change of mind is another row."""

from __future__ import annotations

import uuid
from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Exists, OuterRef

from constitutions_app.models.frozen import FrozenModel, FrozenQuerySet
from training_app.models.judgement import AILabel
from training_app.models.run import Run
from training_app.models.trace import TraceStep


class AuditQuerySet(FrozenQuerySet["Audit"]):
    """Audits, and the question which of them still stand."""

    def standing(self) -> Self:
        """Each person's newest verdict on each item, where it was not taken back. Comments are no verdicts."""
        later = Audit.objects.exclude(verdict=Audit.Verdict.COMMENT).filter(
            auditor=OuterRef("auditor"), created_at__gt=OuterRef("created_at")
        )
        superseded = Exists(later.filter(label=OuterRef("label"))) | Exists(later.filter(step=OuterRef("step")))
        return self.exclude(verdict__in=(Audit.Verdict.COMMENT, Audit.Verdict.WITHDRAW)).filter(~superseded)

    def deciding(self) -> Self:
        """Standing verdicts that agree or override: those that count."""
        return self.standing().exclude(verdict=Audit.Verdict.ABSTAIN)


class AuditImport(FrozenModel):
    """A file of verdicts that people gave elsewhere on the labels of one run."""

    run = models.ForeignKey(Run, on_delete=models.PROTECT, related_name="audit_imports")
    file_name = models.CharField(max_length=200)
    digest = models.CharField(max_length=64)
    """sha256 of the file's bytes."""
    format = models.CharField(max_length=20)
    source = models.CharField(max_length=200)
    """Where the verdicts were given, in the words of whoever imported them."""
    rows = models.PositiveIntegerField()
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("-pk",)
        constraints = (models.UniqueConstraint(fields=("run", "digest"), name="one_import_of_an_audit_file_per_run"),)

    def __str__(self) -> str:
        return f"Import {self.pk}"


class Audit(FrozenModel):
    """One person's verdict on a trace step or on an AI label. The newest per person and item counts."""

    class Verdict(models.TextChoices):
        AGREE = "agree", "agrees"
        OVERRIDE = "override", "overrides"
        COMMENT = "comment", "comments only"
        ABSTAIN = "abstain", "cannot tell"
        WITHDRAW = "withdraw", "takes it back"

    class Choice(models.TextChoices):
        A = "a", "response A"
        B = "b", "response B"
        NEITHER = "neither", "neither, or can't tell"

    class Reason(models.TextChoices):
        WRONG_PRINCIPLE = "wrong_principle", "wrong principle"
        AMBIGUOUS = "ambiguous", "principle ambiguous"
        MISREAD = "misread", "misread"
        POSITION = "position", "position"
        BOTH_BAD = "both_bad", "both bad"
        TASTE = "taste", "taste"
        UNSAFE = "unsafe", "unsafe"
        OTHER = "other", "other"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    """Also the idempotency key: the page chooses it, so that sending twice saves once."""
    auditor = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="audits")
    label = models.ForeignKey(AILabel, on_delete=models.PROTECT, null=True, blank=True, related_name="audits")
    step = models.ForeignKey(TraceStep, on_delete=models.PROTECT, null=True, blank=True, related_name="audits")
    verdict = models.CharField(max_length=10, choices=Verdict.choices)
    choice = models.CharField(max_length=10, choices=Choice.choices, blank=True)
    critique_fair = models.BooleanField(null=True, blank=True)
    revision_better = models.BooleanField(null=True, blank=True)
    principle_fits = models.BooleanField(null=True, blank=True)
    change_needed = models.BooleanField(null=True, blank=True)
    """Whether the text before the revision needed any change at all."""
    blind = models.BooleanField()
    """Whether the choice was made before the AI's was shown."""
    blind_choice = models.CharField(max_length=10, choices=Choice.choices, blank=True)
    """What was chosen before the AI's choice was shown, where `choice` may have become another. Empty: not asked."""
    shown_first = models.CharField(max_length=1, blank=True, choices=(("a", "A"), ("b", "B")))
    """Which response stood first when it was chosen; empty where sides were not shuffled."""
    seconds = models.PositiveIntegerField(null=True, blank=True)
    """From seeing the item to the blind choice, as the page measured it."""
    confidence = models.PositiveSmallIntegerField(null=True, blank=True)
    """1 (a guess) to 4 (certain)."""
    reason = models.CharField(max_length=20, choices=Reason.choices, blank=True)
    comment = models.TextField(blank=True)
    imported = models.ForeignKey(AuditImport, on_delete=models.PROTECT, null=True, blank=True, related_name="audits")
    """The file it came from; its auditor is then an account that nobody can sign in to."""
    created_at = models.DateTimeField(auto_now_add=True)

    objects = AuditQuerySet.as_manager()  # type: ignore[misc]  # a manager with one more question

    class Meta:
        ordering = ("created_at", "pk")
        indexes = (models.Index(fields=("created_at", "id"), name="audits_by_time"),)
        constraints = (
            models.CheckConstraint(
                condition=models.Q(label__isnull=False, step__isnull=True)
                | models.Q(label__isnull=True, step__isnull=False),
                name="an_audit_has_one_item",
            ),
            models.CheckConstraint(
                condition=~models.Q(verdict="override", label__isnull=False) | ~models.Q(choice=""),
                name="an_override_of_a_label_chooses",
            ),
            models.CheckConstraint(
                condition=models.Q(confidence__isnull=True) | models.Q(confidence__gte=1, confidence__lte=4),
                name="confidence_is_one_to_four",
            ),
        )

    @property
    def is_verdict(self) -> bool:
        """Whether it takes the place of what the person said before; a comment does not."""
        return self.verdict != self.Verdict.COMMENT

    @property
    def decides(self) -> bool:
        """Whether it says that the AI was right or wrong."""
        return self.verdict in (self.Verdict.AGREE, self.Verdict.OVERRIDE)

    def __str__(self) -> str:
        return f"{self.get_verdict_display()} ({self.auditor_id})"
