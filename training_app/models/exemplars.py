"""Worked examples for one constitution version and one family of models."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from constitutions_app.core.principles import Exemplar
from constitutions_app.models import Version
from constitutions_app.models.frozen import FrozenModel


class ExemplarSet(FrozenModel):
    """Frozen examples; the newest of a version and family is shown to models of that family.

    A version without a set for a family shows that family its own examples.
    """

    version = models.ForeignKey(Version, on_delete=models.PROTECT, related_name="exemplar_sets")
    family = models.CharField(max_length=60)
    """As config.json's model_type names it: "llama", "qwen2"."""
    exemplars = models.JSONField()
    """A list of `constitutions_app.core.principles.Exemplar` as plain data."""
    digest = models.CharField(max_length=64)
    note = models.CharField(max_length=500, blank=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("-pk",)
        constraints = (
            models.UniqueConstraint(fields=("version", "family", "digest"), name="one_set_of_these_examples_a_family"),
        )

    def __str__(self) -> str:
        return f"examples for {self.family}"

    def to_core(self) -> tuple[Exemplar, ...]:
        """The examples as plain values. No query."""
        return tuple(Exemplar(**one) for one in self.exemplars)
