"""SL-CAI traces: an initial response and every critique and revision made of it."""

from __future__ import annotations

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models

from constitutions_app.models import PrincipleVersion, Version
from constitutions_app.models.frozen import FrozenModel
from training_app.models.prompt import Prompt, PromptSet
from training_app.models.run import Run


class TraceImport(FrozenModel):
    """A file of traces that somebody else's model made, with its principle keys read as those of one version."""

    version = models.ForeignKey(Version, on_delete=models.PROTECT, related_name="trace_imports")
    prompt_set = models.ForeignKey(PromptSet, on_delete=models.PROTECT, related_name="trace_imports")
    file_name = models.CharField(max_length=200)
    digest = models.CharField(max_length=64)
    """sha256 of the file's bytes."""
    licence = models.CharField(max_length=100, blank=True)
    rows = models.PositiveIntegerField()
    steps = models.PositiveIntegerField()
    other_wordings = models.PositiveIntegerField()
    """Steps whose request in the file has other words than the principle they cite."""
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("-pk",)
        constraints = (
            models.UniqueConstraint(fields=("version", "digest"), name="one_import_of_a_trace_file_per_version"),
        )

    def __str__(self) -> str:
        return f"Import {self.pk}"


class Trace(FrozenModel):
    """The initial response to one prompt; red-team ones are revised, helpful ones are trained on as they are.

    A run made it, or it came from a file (`imported`).
    """

    run = models.ForeignKey(Run, on_delete=models.PROTECT, null=True, blank=True, related_name="traces")
    imported = models.ForeignKey(TraceImport, on_delete=models.PROTECT, null=True, blank=True, related_name="traces")
    prompt = models.ForeignKey(Prompt, on_delete=models.PROTECT, related_name="traces")
    initial_response = models.TextField(blank=True)
    tokens = models.PositiveIntegerField(default=0)
    finish = models.CharField(max_length=20, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("pk",)
        constraints = (
            models.UniqueConstraint(fields=("run", "prompt"), name="one_trace_per_prompt_in_a_run"),
            models.CheckConstraint(
                condition=models.Q(run__isnull=False, imported__isnull=True)
                | models.Q(run__isnull=True, imported__isnull=False),
                name="a_trace_has_one_origin",
            ),
        )

    def __str__(self) -> str:
        return f"Trace {self.pk}"


class TraceStep(FrozenModel):
    """One round: the principle it cites at its exact version, the critique, the revision, and what was sent."""

    trace = models.ForeignKey(Trace, on_delete=models.PROTECT, related_name="steps")
    round = models.PositiveSmallIntegerField()
    principle = models.ForeignKey(PrincipleVersion, on_delete=models.PROTECT, related_name="steps", db_index=False)
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
        indexes = (
            models.Index(fields=("principle", "id"), name="steps_of_a_principle"),
            models.Index(fields=("created_at", "id"), name="steps_by_time"),
        )

    def __str__(self) -> str:
        return f"Trace {self.trace_id}, round {self.round}"
