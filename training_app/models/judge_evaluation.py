"""A judge measured on a file of questions with known answers: asked for by a person, done by an `infer` worker."""

from __future__ import annotations

from pathlib import Path

from django.conf import settings
from django.db import models

from training_app.models.asked import AskedFor
from training_app.models.judgement import Judge


class JudgeEvaluation(AskedFor):
    """One file, one judge, one report. As with runs, only the newest `fencing_token` may write."""

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

    total = models.PositiveIntegerField()

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
