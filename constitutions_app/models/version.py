"""Frozen versions: what was published, word for word, with its digest."""

from __future__ import annotations

from django.conf import settings
from django.contrib.postgres.indexes import GinIndex
from django.db import models

from constitutions_app.core import principles as core
from constitutions_app.models.constitution import MAIN, Constitution
from constitutions_app.models.frozen import FrozenModel
from constitutions_app.models.searching import note_words, published_preamble_words, version_words


class Version(FrozenModel):
    """A frozen snapshot of a draft. `canonical` is the text whose sha256 is `digest`.

    Numbers count through all branches of a constitution. A version that merged another one has it as `second_parent`.
    """

    constitution = models.ForeignKey(Constitution, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    canonical = models.TextField()
    digest = models.CharField(max_length=64)
    parent = models.ForeignKey("self", on_delete=models.PROTECT, null=True, blank=True, related_name="children")
    second_parent = models.ForeignKey(
        "self", on_delete=models.PROTECT, null=True, blank=True, related_name="merged_into"
    )
    branch = models.SlugField(max_length=60, default=MAIN)
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
        indexes = (
            GinIndex(note_words(), name="words_of_change_notes"),
            GinIndex(published_preamble_words(), name="words_of_published_preambles"),
        )

    def __str__(self) -> str:
        return f"v{self.number}"

    def to_core(self) -> core.Constitution:
        """The published constitution as a plain value, read from the digested text itself."""
        return core.from_json(self.canonical)


class Alias(models.Model):
    """A movable pointer to a version: "approved", "production". "latest" is computed and has no row."""

    constitution = models.ForeignKey(Constitution, on_delete=models.PROTECT, related_name="aliases")
    name = models.SlugField(max_length=40)
    version = models.ForeignKey(Version, on_delete=models.PROTECT, related_name="aliases")
    moved_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    moved_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ("name",)
        verbose_name_plural = "aliases"
        constraints = (
            models.UniqueConstraint(fields=("constitution", "name"), name="one_version_per_alias"),
            models.CheckConstraint(condition=~models.Q(name="latest"), name="latest_is_computed"),
        )

    def __str__(self) -> str:
        return self.name


class Change(models.TextChoices):
    """What a version did to a principle, against its parent."""

    SAME = "same", "Same"
    ADDED = "added", "Added"
    SEMANTIC = "semantic", "Semantic edit"
    MINOR = "minor", "Minor edit"


class PrincipleVersion(FrozenModel):
    """One principle of one version: what steps and labels cite. `body` repeats its part of the canonical JSON.

    `change` says what happened to it against the parent; `since` is the number of the version in which its meaning last
    changed, so two versions of a key with the same `since` mean the same. 0 where nobody recorded it.
    """

    version = models.ForeignKey(Version, on_delete=models.PROTECT, related_name="principles")
    key = models.SlugField(max_length=80)
    position = models.PositiveIntegerField()
    title = models.CharField(max_length=200, blank=True)
    text = models.TextField()
    body = models.JSONField()
    change = models.CharField(max_length=10, choices=Change.choices, blank=True)
    since = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ("position",)
        constraints = (models.UniqueConstraint(fields=("version", "key"), name="one_principle_per_key_in_a_version"),)
        indexes = (GinIndex(version_words(), name="words_of_principle_versions"),)

    def __str__(self) -> str:
        return self.title or self.key
