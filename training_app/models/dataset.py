"""Dataset builds: exactly which items a training stage saw, and under which rules."""

from __future__ import annotations

from django.db import models

from constitutions_app.models.frozen import FrozenModel
from training_app.models.adjudication import Adjudication
from training_app.models.audit import Audit
from training_app.models.judgement import AILabel, Comparison
from training_app.models.run import Run
from training_app.models.trace import Trace, TraceStep


class DatasetBuild(FrozenModel):
    """A frozen file of training rows. `digest` is the sha256 of the JSONL file a stage reads."""

    run = models.ForeignKey(Run, on_delete=models.PROTECT, related_name="builds")
    stage = models.CharField(max_length=20)
    """The stage that trains on it: "sft", "reward", "dpo"."""
    name = models.CharField(max_length=60)
    digest = models.CharField(max_length=64)
    rows = models.PositiveIntegerField()
    path = models.CharField(max_length=500)
    """Relative to the artifact root."""
    rules = models.JSONField()
    """Rules and counts of what was kept, dropped and overridden, and why."""
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("pk",)
        constraints = (models.UniqueConstraint(fields=("run", "stage", "name"), name="one_build_per_name_of_a_stage"),)

    def __str__(self) -> str:
        return f"{self.name} ({self.digest[:12]})"


class DatasetItem(FrozenModel):
    """One row of a build and an item it came from; `audit` or `adjudication` is what changed it, if anything.

    A row whose target several principles' labels make together has one item for each, numbered by `part`.
    """

    build = models.ForeignKey(DatasetBuild, on_delete=models.PROTECT, related_name="items")
    position = models.PositiveIntegerField()
    part = models.PositiveSmallIntegerField(default=0)
    step = models.ForeignKey(TraceStep, on_delete=models.PROTECT, null=True, related_name="used_in")
    trace = models.ForeignKey(Trace, on_delete=models.PROTECT, null=True, related_name="used_in")
    label = models.ForeignKey(AILabel, on_delete=models.PROTECT, null=True, related_name="used_in")
    comparison = models.ForeignKey(Comparison, on_delete=models.PROTECT, null=True, related_name="used_in")
    audit = models.ForeignKey(Audit, on_delete=models.PROTECT, null=True, related_name="used_in")
    adjudication = models.ForeignKey(Adjudication, on_delete=models.PROTECT, null=True, related_name="used_in")

    class Meta:
        ordering = ("position", "part")
        constraints = (
            models.UniqueConstraint(fields=("build", "position", "part"), name="one_item_per_part_of_a_row"),
            models.CheckConstraint(
                condition=models.Q(step__isnull=False)
                | models.Q(trace__isnull=False)
                | models.Q(label__isnull=False)
                | models.Q(comparison__isnull=False),
                name="a_dataset_item_has_an_origin",
            ),
        )

    def __str__(self) -> str:
        return f"{self.build_id}#{self.position}"
