"""Frozen versions: what was published, word for word, with its digest."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from constitutions_app.core import principles as core
from constitutions_app.models.constitution import Constitution
from constitutions_app.models.frozen import FrozenModel


class Version(FrozenModel):
    """A frozen snapshot of a draft. `canonical` is the text whose sha256 is `digest`."""

    constitution = models.ForeignKey(Constitution, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    canonical = models.TextField()
    digest = models.CharField(max_length=64)
    parent = models.ForeignKey("self", on_delete=models.PROTECT, null=True, blank=True, related_name="children")
    author = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    note = models.TextField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("-number",)
        constraints = (
            models.UniqueConstraint(fields=("constitution", "number"), name="one_version_per_number"),
            models.CheckConstraint(condition=models.Q(number__gte=1), name="version_numbers_start_at_one"),
            models.CheckConstraint(condition=~models.Q(note=""), name="a_version_has_a_change_note"),
        )

    def __str__(self) -> str:
        return f"v{self.number}"

    def to_core(self) -> core.Constitution:
        """The published constitution as a plain value, read from the digested text itself."""
        return core.from_json(self.canonical)


class PrincipleVersion(FrozenModel):
    """One principle of one version: what steps and labels cite. `body` repeats its part of the canonical JSON."""

    version = models.ForeignKey(Version, on_delete=models.PROTECT, related_name="principles")
    key = models.SlugField(max_length=80)
    position = models.PositiveIntegerField()
    title = models.CharField(max_length=200, blank=True)
    text = models.TextField()
    body = models.JSONField()

    class Meta:
        ordering = ("position",)
        constraints = (models.UniqueConstraint(fields=("version", "key"), name="one_principle_per_key_in_a_version"),)

    def __str__(self) -> str:
        return self.title or self.key
