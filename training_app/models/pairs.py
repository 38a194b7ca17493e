"""Annotated pairs that came from a file: comparisons with what each of its annotators preferred, as it stood there."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from constitutions_app.models.frozen import FrozenModel
from training_app.models.judgement import Comparison
from training_app.models.prompt import PromptSet


class PairImport(FrozenModel):
    """One file of annotated pairs. Its comparisons are those of `prompt_set`."""

    prompt_set = models.ForeignKey(PromptSet, on_delete=models.PROTECT, related_name="pair_imports")
    file_name = models.CharField(max_length=200)
    digest = models.CharField(max_length=64, unique=True)
    """sha256 of the file's bytes."""
    licence = models.CharField(max_length=100, blank=True)
    annotators = models.JSONField()
    """As the file lists them, in its order: {"id", "name", "type", "description", "said"}."""
    default_annotator = models.CharField(max_length=200, blank=True)
    metadata = models.JSONField()
    rows = models.PositiveIntegerField()
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("-pk",)

    def __str__(self) -> str:
        return f"Pairs {self.pk}"


class AnnotatedPair(FrozenModel):
    """One comparison of an import and what was said about it; what has no column of its own is kept as it stood."""

    imported = models.ForeignKey(PairImport, on_delete=models.PROTECT, related_name="pairs")
    comparison = models.ForeignKey(Comparison, on_delete=models.PROTECT, related_name="annotated")
    position = models.PositiveIntegerField()
    prompt = models.JSONField()
    """As the file has it: often a whole conversation in one text."""
    annotations = models.JSONField()
    """Annotator's id → {"pref": "a", "b" or null, …}."""
    responders = models.JSONField()
    """The names of the two models, a first."""
    metadata = models.JSONField()

    class Meta:
        ordering = ("position",)
        constraints = (
            models.UniqueConstraint(fields=("imported", "comparison"), name="one_annotated_pair_per_comparison"),
            models.UniqueConstraint(fields=("imported", "position"), name="one_annotated_pair_per_position"),
        )

    def __str__(self) -> str:
        return f"Pair {self.pk}"
