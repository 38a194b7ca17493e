"""The ledger: one hash-chained entry per verb, written in the verb's own transaction."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from constitutions_app.models.frozen import FrozenModel


def principle_of_entry() -> models.Func:
    """The key of the principle that an entry is about, or null.

    The hashed body is canonical JSON, so this text stands in it exactly where a verb named the principle: quotation
    marks that people wrote are escaped there.
    """
    named = models.Value('"principle":"([^"]{1,80})"')
    return models.Func(models.F("body"), named, function="substring", output_field=models.TextField())


class LedgerEntry(FrozenModel):
    """One verb done by one person (or by the system) to one object.

    `body` is the canonical JSON of what is hashed; `hash` = sha256(previous_hash + body). The other columns repeat
    parts of `body` so that they can be asked for.
    """

    seq = models.BigIntegerField(primary_key=True)
    at = models.DateTimeField()
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    actor_name = models.CharField(max_length=200, blank=True)
    verb = models.CharField(max_length=80)
    object_type = models.CharField(max_length=80)
    object_id = models.CharField(max_length=80)
    object_label = models.CharField(max_length=300)
    body = models.TextField()
    previous_hash = models.CharField(max_length=64)
    hash = models.CharField(max_length=64, unique=True)

    class Meta:
        ordering = ("-seq",)
        verbose_name_plural = "ledger entries"
        indexes = (
            models.Index(fields=("object_type", "object_id", "-seq"), name="ledger_by_object"),
            models.Index(fields=("verb", "-seq"), name="ledger_by_verb"),
            models.Index(fields=("object_type", "object_id", "verb", "-seq"), name="ledger_by_object_and_verb"),
            models.Index(fields=("object_type", "object_id", "actor", "-seq"), name="ledger_by_object_and_actor"),
            models.Index(
                "object_id",
                principle_of_entry(),
                models.F("seq").desc(),
                condition=models.Q(object_type="constitutions_app.constitution"),
                name="ledger_by_principle",
            ),
        )

    def __str__(self) -> str:
        return f"{self.seq} {self.verb} {self.object_label}"
