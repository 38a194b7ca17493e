"""Runs launched together to be compared: the same but for one thing, each with several seeds."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models

from constitutions_app.models.frozen import FrozenModel


class RunGroup(FrozenModel):
    """Arms times seeds, frozen as launched. What belongs to it stands on the runs: `Run.group` and `Run.arm`."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=200, blank=True)
    arms = models.JSONField()
    """Names of the arms in their order; the first is the one that the others are held against."""
    expects = models.JSONField(default=list, blank=True)
    """What was named before the launch (core/expected.py): {"arm", "feature", "more"} each."""
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("-created_at", "pk")

    def __str__(self) -> str:
        return self.name or " / ".join(self.arms)
