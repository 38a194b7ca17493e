"""Frozen, digested collections of prompts."""

from __future__ import annotations

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models

from constitutions_app.models.frozen import FrozenModel


class PromptSet(FrozenModel):
    """A named collection whose `digest` is the sha256 of its canonical JSONL. A changed file becomes a new set."""

    class Kind(models.TextChoices):
        RED_TEAM = "red_team", "red-team prompts"
        HELPFUL = "helpful", "helpfulness prompts"
        COMPARISONS = "comparisons", "human comparisons"

    slug = models.SlugField(max_length=100, unique=True)
    name = models.CharField(max_length=200)
    kind = models.CharField(max_length=20, choices=Kind.choices)
    licence = models.CharField(max_length=100, blank=True)
    digest = models.CharField(max_length=64)
    rows = models.PositiveIntegerField()
    made_by = models.ForeignKey(
        "training_app.Run", on_delete=models.PROTECT, null=True, blank=True, related_name="written_sets"
    )
    """The run that wrote it; None for a set that was loaded."""
    provenance = models.JSONField(default=dict, blank=True)
    """What went into a written set: seed sets, model, constitution, options and what was left out why."""
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("kind", "name")

    def __str__(self) -> str:
        return self.name


class Prompt(FrozenModel):
    """One prompt. `messages` holds a partial conversation that ends with `text`; empty for a single turn."""

    prompt_set = models.ForeignKey(PromptSet, on_delete=models.PROTECT, related_name="prompts")
    key = models.CharField(max_length=100)
    position = models.PositiveIntegerField()
    text = models.TextField()
    messages = models.JSONField(default=list, blank=True)
    tags = ArrayField(models.CharField(max_length=60), default=list, blank=True)

    class Meta:
        ordering = ("position",)
        constraints = (models.UniqueConstraint(fields=("prompt_set", "key"), name="one_prompt_per_key_in_a_set"),)

    def __str__(self) -> str:
        return self.key
