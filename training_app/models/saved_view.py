"""Questions to the explorer that somebody wants to ask again, or to show others."""

from __future__ import annotations

from django.conf import settings
from django.db import models


class SavedView(models.Model):
    """A question under a name. Its owner sees it, and everybody with a role where it is shared."""

    name = models.CharField(max_length=100)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="saved_views")
    query = models.CharField(max_length=2000, blank=True)
    """As `Filters.to_query` spells it."""
    shared = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("name", "pk")
        constraints = (models.UniqueConstraint(fields=("owner", "name"), name="one_view_per_name_and_owner"),)

    def __str__(self) -> str:
        return self.name
