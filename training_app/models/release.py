"""Which checkpoint people use, and who answered for it."""

from __future__ import annotations

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models

from constitutions_app.access import Role
from constitutions_app.models import Constitution
from constitutions_app.models.frozen import FrozenModel
from training_app.models.checkpoint import Checkpoint


class CheckpointAlias(models.Model):
    """A movable pointer to a checkpoint of one constitution; every move stands in the ledger."""

    class Name(models.TextChoices):
        CANDIDATE = "candidate", "candidate"
        PRODUCTION = "production", "production"

    constitution = models.ForeignKey(Constitution, on_delete=models.PROTECT, related_name="checkpoint_aliases")
    name = models.CharField(max_length=20, choices=Name.choices)
    checkpoint = models.ForeignKey(Checkpoint, on_delete=models.PROTECT, related_name="aliases")
    moved_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    moved_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ("name",)
        verbose_name_plural = "checkpoint aliases"
        constraints = (
            models.UniqueConstraint(fields=("constitution", "name"), name="one_checkpoint_per_alias"),
            models.CheckConstraint(condition=models.Q(name__in=("candidate", "production")), name="alias_is_known"),
        )

    def __str__(self) -> str:
        return self.name


class SignOff(FrozenModel):
    """What one person says of a checkpoint in one role. A change of mind is another row; the newest counts."""

    class Word(models.TextChoices):
        APPROVE = "approve", "signs off"
        REFUSE = "refuse", "refuses"

    checkpoint = models.ForeignKey(Checkpoint, on_delete=models.PROTECT, related_name="sign_offs")
    role = models.CharField(max_length=20, choices=Role.choices)
    word = models.CharField(max_length=10, choices=Word.choices)
    note = models.TextField(blank=True)
    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("pk",)
        constraints = (
            models.CheckConstraint(condition=models.Q(word__in=("approve", "refuse")), name="sign_off_word_is_known"),
            models.CheckConstraint(condition=~models.Q(word="refuse") | ~models.Q(note=""), name="a_refusal_says_why"),
        )

    def __str__(self) -> str:
        return f"{self.get_word_display()} as {self.role}"


class ReleaseRules(models.Model):
    """The roles that must sign off before a checkpoint becomes "production". No row: none."""

    constitution = models.OneToOneField(Constitution, on_delete=models.PROTECT, related_name="release_rules")
    roles = ArrayField(models.CharField(max_length=20, choices=Role.choices), default=list, blank=True)
    updated_at = models.DateTimeField(auto_now=True)
    updated_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")

    class Meta:
        verbose_name_plural = "release rules"

    def __str__(self) -> str:
        return f"Release rules of constitution {self.constitution_id}"
