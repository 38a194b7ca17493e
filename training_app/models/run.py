"""Runs, their stages, and what the stages reported.

The row is the truth and the broker only a doorbell: a worker owns a run for as long as it holds an unexpired lease, and
everything it writes is conditioned on `fencing_token`, which grows with every claim. Verbs live in `actions` and
`runner`; the methods here only answer questions about one row.
"""

from __future__ import annotations

import uuid
from pathlib import Path

from django.conf import settings
from django.db import models
from django.utils import timezone

from constitutions_app.models import Version
from training_app.models.exemplars import ExemplarSet
from training_app.models.prompt import PromptSet
from training_app.models.run_group import RunGroup


class RunState(models.TextChoices):
    """Every state a run can be in."""

    QUEUED = "queued", "queued"
    RUNNING = "running", "running"
    STOPPING = "stopping", "stopping"
    SUCCEEDED = "succeeded", "succeeded"
    FAILED = "failed", "failed"
    CANCELLED = "cancelled", "cancelled"
    LOST = "lost", "lost"


ACTIVE_STATES = (RunState.RUNNING, RunState.STOPPING)
ENDED_STATES = (RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED, RunState.LOST)
RESUMABLE_STATES = (RunState.FAILED, RunState.CANCELLED, RunState.LOST)


class Priority(models.IntegerChoices):
    """What goes first among queued runs, whatever their order otherwise."""

    HIGH = 1, "high"
    NORMAL = 0, "normal"
    LOW = -1, "low"


class Run(models.Model):
    """One launch of the pipeline from one constitution version."""

    State = RunState

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    number = models.PositiveIntegerField(unique=True)
    name = models.CharField(max_length=200, blank=True)
    version = models.ForeignKey(Version, on_delete=models.PROTECT, related_name="runs")
    base_model = models.JSONField()
    """{"name", "path", "digest", "chat_template": bool}"""
    other_models = models.JSONField(default=dict, blank=True)
    """Who answers instead of the base model, by role ("judge", "generator"): {"backend", "name", "model", "digest"}"""
    prompt_sets = models.ManyToManyField(PromptSet, related_name="runs")
    exemplars = models.ForeignKey(ExemplarSet, on_delete=models.PROTECT, null=True, blank=True, related_name="runs")
    """The worked examples for the base model's family; None: those of the version itself."""
    preset = models.CharField(max_length=20)
    seed = models.PositiveIntegerField()
    config = models.JSONField()
    """Every effective value: `training_app.core.config.RunConfig` as plain data."""
    source = models.ForeignKey("self", on_delete=models.PROTECT, null=True, blank=True, related_name="continued")
    """The run whose critiques, SL-CAI, comparisons and labels this one learns from; None: its own."""
    group = models.ForeignKey(RunGroup, on_delete=models.PROTECT, null=True, blank=True, related_name="runs")
    arm = models.CharField(max_length=100, blank=True)
    """Which arm of its group the run is."""

    state = models.CharField(max_length=12, choices=RunState.choices, default=RunState.QUEUED)
    reason = models.TextField(blank=True)
    advice = models.TextField(blank=True)
    exit_code = models.IntegerField(null=True, blank=True)
    discarded = models.BooleanField(default=False)
    """People threw away what only a resume would need: the run cannot be resumed."""
    device = models.CharField(max_length=200, blank=True)

    priority = models.SmallIntegerField(choices=Priority.choices, default=Priority.NORMAL)
    place = models.IntegerField(default=0)
    """Its place among queued runs of one priority, once somebody has moved one: below 0; new runs come behind at 0."""
    attempt = models.PositiveIntegerField(default=0)
    fencing_token = models.PositiveBigIntegerField(default=0)
    lease_owner = models.CharField(max_length=200, blank=True)
    lease_expires_at = models.DateTimeField(null=True, blank=True)

    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-number",)
        constraints = (
            models.CheckConstraint(condition=models.Q(state__in=RunState.values), name="run_state_is_known"),
            models.CheckConstraint(condition=models.Q(priority__in=Priority.values), name="run_priority_is_known"),
            models.CheckConstraint(
                condition=~models.Q(state="running") | models.Q(lease_expires_at__isnull=False),
                name="a_running_run_has_a_lease",
            ),
            models.CheckConstraint(
                condition=~models.Q(state__in=ENDED_STATES) | models.Q(finished_at__isnull=False),
                name="an_ended_run_has_an_end",
            ),
        )
        indexes = (models.Index(fields=("state", "lease_expires_at"), name="run_by_state_and_lease"),)

    def __str__(self) -> str:
        return f"Run {self.number}"

    @property
    def folder(self) -> Path:
        """Where the run's files lie, on the artifact folder that all workers share."""
        return Path(settings.ARTIFACT_ROOT) / "runs" / str(self.id)

    @property
    def records(self) -> Run:
        """The run whose critiques, labels and comparisons this one learns from: its source, or itself. May query."""
        return self.source or self

    @property
    def has_ended(self) -> bool:
        return self.state in ENDED_STATES

    @property
    def can_resume(self) -> bool:
        return self.state in RESUMABLE_STATES and not self.discarded

    def lease_is_alive(self) -> bool:
        return self.lease_expires_at is not None and self.lease_expires_at > timezone.now()


class StageState(models.TextChoices):
    """Every state a stage of a run can be in."""

    WAITING = "waiting", "waiting"
    RUNNING = "running", "running"
    SUCCEEDED = "succeeded", "succeeded"
    FAILED = "failed", "failed"
    STOPPED = "stopped", "stopped"


class RunStage(models.Model):
    """One stage of a run: one program started from one `job.json`."""

    State = StageState

    run = models.ForeignKey(Run, on_delete=models.PROTECT, related_name="stages")
    slug = models.CharField(max_length=20)
    position = models.PositiveSmallIntegerField()
    state = models.CharField(max_length=12, choices=StageState.choices, default=StageState.WAITING)
    job_digest = models.CharField(max_length=64, blank=True)
    device = models.CharField(max_length=200, blank=True)
    dtype = models.CharField(max_length=20, blank=True)
    notes = models.JSONField(default=list, blank=True)
    unit = models.CharField(max_length=30, blank=True)
    done = models.PositiveIntegerField(default=0)
    total = models.PositiveIntegerField(null=True, blank=True)
    rate = models.FloatField(null=True, blank=True)
    eta_s = models.FloatField(null=True, blank=True)
    last_seq = models.PositiveBigIntegerField(default=0)
    """The last event of this stage that is in the database; ingesting goes on behind it."""
    summary = models.JSONField(default=dict, blank=True)
    outputs = models.JSONField(default=dict, blank=True)
    exit_code = models.IntegerField(null=True, blank=True)
    reason = models.TextField(blank=True)
    advice = models.TextField(blank=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("position",)
        constraints = (models.UniqueConstraint(fields=("run", "slug"), name="one_stage_per_slug_in_a_run"),)

    def __str__(self) -> str:
        return self.slug

    @property
    def folder(self) -> Path:
        """The stage's own folder: job.json, events.jsonl, log.txt, outputs. Reads the run."""
        return self.run.folder / f"{self.position:02d}-{self.slug}"


class RunEvent(models.Model):
    """Something a stage said that people may want to read again; `id` orders the live stream."""

    stage = models.ForeignKey(RunStage, on_delete=models.PROTECT, related_name="events")
    seq = models.PositiveBigIntegerField()
    kind = models.CharField(max_length=20)
    at = models.DateTimeField()
    data = models.JSONField()

    class Meta:
        ordering = ("id",)
        constraints = (models.UniqueConstraint(fields=("stage", "seq"), name="one_event_per_seq_in_a_stage"),)

    def __str__(self) -> str:
        return f"{self.kind} {self.seq}"


class MetricPoint(models.Model):
    """One finite number of one curve at one training step."""

    stage = models.ForeignKey(RunStage, on_delete=models.PROTECT, related_name="metrics")
    name = models.CharField(max_length=60)
    step = models.PositiveIntegerField()
    value = models.FloatField()

    class Meta:
        ordering = ("name", "step")
        constraints = (models.UniqueConstraint(fields=("stage", "name", "step"), name="one_value_per_step_of_a_curve"),)

    def __str__(self) -> str:
        return f"{self.name}@{self.step}"
