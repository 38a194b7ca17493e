"""A checkpoint's signature by the key of this installation: asked for by a person, made by a worker."""

from __future__ import annotations

from pathlib import Path

from django.conf import settings
from django.db import models

from training_app.models.asked import AskedFor
from training_app.models.checkpoint import Checkpoint


class CheckpointSignature(AskedFor):
    """One wish to have a checkpoint signed, and once it succeeded the signature itself. The newest made one counts."""

    checkpoint = models.ForeignKey(Checkpoint, on_delete=models.PROTECT, related_name="signatures")
    fingerprint = models.CharField(max_length=64)
    """sha256 of `public_key`: the key that whoever asked was shown."""
    public_key = models.TextField()
    """PEM."""
    bundle = models.TextField(blank=True)
    """The text of `model.sig`, which also lies beside the weights."""
    digest = models.CharField(max_length=64, blank=True)
    """sha256 of `model.sig`."""

    class Meta:
        ordering = ("-created_at",)
        constraints = (
            models.CheckConstraint(
                condition=models.Q(state__in=("queued", "running", "succeeded", "failed", "cancelled")),
                name="signature_state_is_known",
            ),
            models.CheckConstraint(
                condition=~models.Q(state="succeeded") | (~models.Q(digest="") & ~models.Q(bundle="")),
                name="a_made_signature_is_kept",
            ),
            models.UniqueConstraint(
                fields=("checkpoint",), condition=models.Q(state__in=("queued", "running")),
                name="one_signature_under_way_per_checkpoint",
            ),
        )  # fmt: skip

    def __str__(self) -> str:
        return f"Signature of {self.checkpoint_id} by {self.fingerprint[:12]}"

    @property
    def folder(self) -> Path:
        """Where its job and events lie."""
        return Path(settings.ARTIFACT_ROOT) / "signatures" / str(self.id)
