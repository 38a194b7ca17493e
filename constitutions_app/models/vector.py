"""What texts mean, as vectors: how near-duplicates are found in PostgreSQL."""

from __future__ import annotations

from django.db import models
from pgvector.django import VectorField

from constitutions_app.core.sentence_vectors import WIDTH


class TextVector(models.Model):
    """The vector of one text under one model: `digest` is the sha256 of the text, `model` that of the model's weights.

    A cache of what can be computed again, so nothing refers to it. Where the database has no vector type, the column is
    a list of numbers instead and stays empty (migration 0016, `vectors.switch_on`).
    """

    digest = models.CharField(max_length=64)
    model = models.CharField(max_length=64)
    vector = VectorField(dimensions=WIDTH)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("model", "digest"), name="one_vector_per_text_and_model"),)

    def __str__(self) -> str:
        return f"{self.digest[:12]} by {self.model[:12]}"
