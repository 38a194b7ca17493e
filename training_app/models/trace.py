"""SL-CAI traces: an initial response and every critique and revision made of it."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models

from constitutions_app.models import PrincipleVersion
from constitutions_app.models.frozen import FrozenModel
from training_app.models.prompt import Prompt
from training_app.models.run import Run


class Trace(FrozenModel):
    """The initial response to one prompt; red-team ones are revised, helpful ones are trained on as they are."""

    run = models.ForeignKey(Run, on_delete=models.PROTECT, related_name="traces")
    prompt = models.ForeignKey(Prompt, on_delete=models.PROTECT, related_name="traces")
    initial_response = models.TextField(blank=True)
    tokens = models.PositiveIntegerField(default=0)
    finish = models.CharField(max_length=20, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("pk",)
        constraints = (models.UniqueConstraint(fields=("run", "prompt"), name="one_trace_per_prompt_in_a_run"),)

    def __str__(self) -> str:
        return f"Trace {self.pk}"


class TraceStep(FrozenModel):
    """One round: the principle it cites at its exact version, the critique, the revision, and what was sent."""

    trace = models.ForeignKey(Trace, on_delete=models.PROTECT, related_name="steps")
    round = models.PositiveSmallIntegerField()
    principle = models.ForeignKey(PrincipleVersion, on_delete=models.PROTECT, related_name="steps")
    critique_request = models.TextField()
    critique = models.TextField(blank=True)
    revision_request = models.TextField()
    revision = models.TextField(blank=True)
    flags = ArrayField(models.CharField(max_length=30), default=list, blank=True)
    sent_critique = models.TextField(blank=True)
    sent_revision = models.TextField(blank=True)
    tokens = models.PositiveIntegerField(default=0)
    seed = models.PositiveBigIntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("trace", "round")
        constraints = (models.UniqueConstraint(fields=("trace", "round"), name="one_step_per_round_of_a_trace"),)

    def __str__(self) -> str:
        return f"Trace {self.trace_id}, round {self.round}"
