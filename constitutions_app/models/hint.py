"""Hints that somebody has read and does not want to see again."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from constitutions_app.models.constitution import Draft

MAX_WORDS = 200


class DismissedHint(models.Model):
    """A hint put aside for one principle (or, with an empty key, for the parts beside them).

    `words` are what it pointed at: when they are written differently, the hint is a new one and comes back.
    """

    draft = models.ForeignKey(Draft, on_delete=models.CASCADE, related_name="dismissed_hints")
    key = models.SlugField(max_length=80, blank=True)
    slug = models.CharField(max_length=40)
    words = models.CharField(max_length=MAX_WORDS, blank=True)
    dismissed_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    dismissed_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("draft", "key", "slug", "words"), name="a_hint_is_dismissed_once"),
        )

    def __str__(self) -> str:
        return f"{self.slug} at {self.key or 'the draft'}"
