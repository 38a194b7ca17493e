"""A judge measured on a file of questions with known answers: asked for by a person, done by an `infer` worker."""

from __future__ import annotations

import uuid
from pathlib import Path

from django.conf import settings
from django.db import models

from training_app.models.judgement import Judge


class JudgeEvaluation(models.Model):
    """One file, one judge, one report. As with runs, only the newest `fencing_token` may write."""

    class State(models.TextChoices):
        QUEUED = "queued", "queued"
        RUNNING = "running", "running"
        SUCCEEDED = "succeeded", "succeeded"
        FAILED = "failed", "failed"
        CANCELLED = "cancelled", "cancelled"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    file_name = models.CharField(max_length=200)
    file_digest = models.CharField(max_length=64)
    format = models.CharField(max_length=20)
    """A key of `core.judge_items.FORMATS`."""
    model = models.JSONField()
    """As a job names it: {"name", "digest"} with "path" under MODELS_ROOT, or with "backend" for a model server."""
    params = models.JSONField()
    """`core.judge_eval.JudgeEvalParams` as plain data."""
    judge = models.ForeignKey(Judge, on_delete=models.PROTECT, null=True, blank=True, related_name="evaluations")
    """Known when it is done: the number format is chosen where it runs."""
    report = models.JSONField(default=dict, blank=True)

    state = models.CharField(max_length=12, choices=State.choices, default=State.QUEUED)
    reason = models.TextField(blank=True)
    advice = models.TextField(blank=True)
    done = models.PositiveIntegerField(default=0)
    total = models.PositiveIntegerField()
    eta_s = models.FloatField(null=True, blank=True)
    attempt = models.PositiveIntegerField(default=0)
    fencing_token = models.PositiveBigIntegerField(default=0)
    lease_expires_at = models.DateTimeField(null=True, blank=True)

    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-created_at",)
        constraints = (
            models.CheckConstraint(
                condition=models.Q(state__in=("queued", "running", "succeeded", "failed", "cancelled")),
                name="judge_evaluation_state_is_known",
            ),
            models.CheckConstraint(
                condition=~models.Q(state="succeeded") | models.Q(judge__isnull=False, finished_at__isnull=False),
                name="a_measured_judge_is_known",
            ),
        )

    def __str__(self) -> str:
        return f"{self.model['name']} on {self.file_name}"

    @property
    def folder(self) -> Path:
        """Where its file, job and events lie."""
        return Path(settings.ARTIFACT_ROOT) / "judge-evaluations" / str(self.id)

    @property
    def has_ended(self) -> bool:
        return self.state in (self.State.SUCCEEDED, self.State.FAILED, self.State.CANCELLED)
