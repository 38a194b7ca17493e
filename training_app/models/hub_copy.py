"""A checkpoint handed on: a folder in the layout of a hub, and where it was pushed to."""

from __future__ import annotations

from pathlib import Path

from django.conf import settings
from django.db import models

from training_app.core.hub import FOLDER
from training_app.models.asked import AskedFor
from training_app.models.checkpoint import Checkpoint


class HubCopy(AskedFor):
    """One wish to hand a checkpoint on, and once it succeeded where it lies and which commit it is."""

    checkpoint = models.ForeignKey(Checkpoint, on_delete=models.PROTECT, related_name="hub_copies")
    repository = models.CharField(max_length=200, blank=True)
    """ORG/NAME; empty: only the folder is written."""
    endpoint = models.CharField(max_length=200, blank=True)
    is_private = models.BooleanField(default=True)
    total = models.PositiveIntegerField(default=0)
    """Files to copy and to upload; `done` counts them."""
    commit = models.CharField(max_length=64, blank=True)

    class Meta:
        ordering = ("-created_at",)
        verbose_name_plural = "hub copies"
        constraints = (
            models.CheckConstraint(
                condition=models.Q(state__in=("queued", "running", "succeeded", "failed", "cancelled")),
                name="hub_copy_state_is_known",
            ),
            models.CheckConstraint(
                condition=~models.Q(state="succeeded") | models.Q(repository="") | ~models.Q(commit=""),
                name="a_pushed_copy_has_its_commit",
            ),
            models.UniqueConstraint(
                fields=("checkpoint",),
                condition=models.Q(state__in=("queued", "running")),
                name="one_hub_copy_under_way_per_checkpoint",
            ),
        )

    def __str__(self) -> str:
        return f"{self.repository or 'folder'} of {self.checkpoint_id}"

    @property
    def folder(self) -> Path:
        """Where its job, events and copy lie."""
        return Path(settings.ARTIFACT_ROOT) / "hub" / str(self.id)

    @property
    def copy(self) -> Path:
        """The folder in the layout of a hub."""
        return self.folder / FOLDER

    @property
    def address(self) -> str:
        """Where people look at it on the hub, pinned to its commit; empty where it was not pushed."""
        return f"{self.endpoint}/{self.repository}/tree/{self.commit}" if self.commit else ""
