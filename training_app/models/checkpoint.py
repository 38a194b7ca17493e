"""Checkpoints and what was measured on them."""

from __future__ import annotations

from pathlib import Path

from django.conf import settings
from django.db import models

from constitutions_app.models import Version
from constitutions_app.models.frozen import FrozenModel
from training_app.models.run import Run


class Checkpoint(FrozenModel):
    """Weights on disk, the manifest that lies beside them, and the version whose words made them."""

    run = models.ForeignKey(Run, on_delete=models.PROTECT, related_name="checkpoints")
    stage = models.CharField(max_length=20)
    version = models.ForeignKey(Version, on_delete=models.PROTECT, related_name="checkpoints")
    constitution_digest = models.CharField(max_length=64)
    parent = models.ForeignKey("self", on_delete=models.PROTECT, null=True, blank=True, related_name="children")
    reward_model = models.ForeignKey("self", on_delete=models.PROTECT, null=True, blank=True, related_name="rewarded")
    path = models.CharField(max_length=500)
    """Relative to the artifact root."""
    digest = models.CharField(max_length=64, unique=True)
    """sha256 of manifest.json, which lists the sha256 of every other file."""
    manifest = models.JSONField()
    size_bytes = models.PositiveBigIntegerField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("-pk",)
        constraints = (models.UniqueConstraint(fields=("run", "stage"), name="one_checkpoint_per_stage_of_a_run"),)

    def __str__(self) -> str:
        return f"Checkpoint {self.pk}"

    @property
    def folder(self) -> Path:
        return Path(settings.ARTIFACT_ROOT) / self.path


class Evaluation(FrozenModel):
    """One model measured on the held-out prompts of a run; `checkpoint` is empty for the base model."""

    run = models.ForeignKey(Run, on_delete=models.PROTECT, related_name="evaluations")
    model = models.CharField(max_length=40)
    """"base", "sl_cai", "rl_cai", "dpo_cai"."""
    checkpoint = models.ForeignKey(
        Checkpoint, on_delete=models.PROTECT, null=True, blank=True, related_name="evaluations"
    )
    metrics = models.JSONField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("pk",)
        constraints = (models.UniqueConstraint(fields=("run", "model"), name="one_evaluation_per_model_of_a_run"),)

    def __str__(self) -> str:
        return f"{self.model} in run {self.run_id}"


class EvaluationAnswer(FrozenModel):
    """One held-out prompt answered by one of the compared models."""

    run = models.ForeignKey(Run, on_delete=models.PROTECT, related_name="answers")
    model = models.CharField(max_length=40)
    prompt = models.ForeignKey("Prompt", on_delete=models.PROTECT, related_name="answers")
    text = models.TextField(blank=True)
    reward = models.FloatField(null=True, blank=True)
    evasive = models.BooleanField()
    boilerplate = models.BooleanField()
    words = models.PositiveIntegerField()
    features = models.JSONField(default=dict, blank=True)
    """Countable features by name, each there or not (`core/features.py`); empty where an older run counted none."""

    class Meta:
        ordering = ("pk",)
        constraints = (
            models.UniqueConstraint(fields=("run", "model", "prompt"), name="one_answer_per_model_and_prompt"),
        )

    def __str__(self) -> str:
        return f"{self.model}: {self.prompt_id}"
