"""Base models as they were when somebody registered them."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from constitutions_app.models.frozen import FrozenModel


class RegisteredModel(FrozenModel):
    """The facts of one folder under MODELS_ROOT at one digest; a folder that changes is registered anew."""

    name = models.CharField(max_length=200)
    """The folder's name; runs name their base model so."""
    digest = models.CharField(max_length=64)
    size_bytes = models.PositiveBigIntegerField()
    parameters = models.PositiveBigIntegerField(null=True, blank=True)
    licence = models.CharField(max_length=100, blank=True)
    family = models.CharField(max_length=60, blank=True)
    hub = models.CharField(max_length=200, blank=True)
    """The hub's name for it ("org/name"); empty for a folder that was put there by hand."""
    revision = models.CharField(max_length=40, blank=True)
    chat_template = models.TextField(blank=True)
    rendered = models.TextField(blank=True)
    """A short conversation in that template."""
    registered_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("-pk",)
        constraints = (models.UniqueConstraint(fields=("name", "digest"), name="a_model_is_registered_once"),)

    def __str__(self) -> str:
        return f"{self.name} ({self.digest[:12]})"
