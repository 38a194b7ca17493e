"""The last word on an item that people disagree about. Append-only: another last word is another row."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models

from constitutions_app.models.frozen import FrozenModel
from training_app.models.audit import Audit
from training_app.models.judgement import AILabel
from training_app.models.trace import TraceStep

FINAL_VERDICTS = ((Audit.Verdict.AGREE, "agrees"), (Audit.Verdict.OVERRIDE, "overrides"))


class Adjudication(FrozenModel):
    """What one person decided on a label or a step after reading what the others said, and why. The newest counts."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    """Also the idempotency key, as with audits."""
    adjudicator = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="adjudications")
    label = models.ForeignKey(AILabel, on_delete=models.PROTECT, null=True, blank=True, related_name="adjudications")
    step = models.ForeignKey(TraceStep, on_delete=models.PROTECT, null=True, blank=True, related_name="adjudications")
    verdict = models.CharField(max_length=10, choices=FINAL_VERDICTS)
    """Towards the AI, as with audits: it follows from the choice where there is one."""
    choice = models.CharField(max_length=10, choices=Audit.Choice.choices, blank=True)
    """The final choice on a label; empty for steps."""
    note = models.TextField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("created_at", "pk")
        constraints = (
            models.CheckConstraint(
                condition=models.Q(label__isnull=False, step__isnull=True)
                | models.Q(label__isnull=True, step__isnull=False),
                name="an_adjudication_has_one_item",
            ),
            models.CheckConstraint(
                condition=models.Q(label__isnull=True) | ~models.Q(choice=""), name="an_adjudicated_label_has_a_choice"
            ),
            models.CheckConstraint(condition=~models.Q(note=""), name="an_adjudication_says_why"),
        )

    def __str__(self) -> str:
        return f"{self.get_verdict_display()} ({self.adjudicator_id})"
