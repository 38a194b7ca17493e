"""Whether queued runs are begun at all: one row for the whole app, made when somebody first pauses the queue."""

from __future__ import annotations

from django.conf import settings
from django.db import models


class RunQueue(models.Model):
    """The queue of runs. While it is paused no worker takes a queued run; runs under way go on."""

    THE_ONE = 1

    id = models.PositiveSmallIntegerField(primary_key=True, default=THE_ONE, editable=False)
    paused = models.BooleanField(default=False)
    reason = models.CharField(max_length=300, blank=True)
    changed_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    changed_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = (models.CheckConstraint(condition=models.Q(id=1), name="there_is_one_queue_of_runs"),)

    def __str__(self) -> str:
        return "the queue, paused" if self.paused else "the queue"
