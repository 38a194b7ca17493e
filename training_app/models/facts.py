"""What the explorer asks about items, gathered in one row each, so that every question is answered by an index.

These rows say nothing that does not stand elsewhere. Triggers (migrations/_facts.py) write them in the transaction that
inserts the label, step, comparison or audit, whoever inserts it and however, and write what people said anew with every
audit; `manage.py rebuild_explorer` holds them against a full scan.

`facets` is what a search engine calls an inverted index: one whole number for each thing that is true of an item
(explorer/tokens.py). A conjunction of filters, however odd, is one question to one GIN index.
"""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVectorField
from django.db import models
from django.db.models import F, Q, Value
from django.db.models.functions import Abs

from training_app.explorer.tokens import STATES, Fact, token
from training_app.models.audit import Audit
from training_app.models.judgement import AILabel, Comparison
from training_app.models.run import Run
from training_app.models.trace import TraceStep

CONFIG = "english"
"""How words are read (migrations/_facts.py reads them the same way)."""
DISPUTED = Q(facets__contains=[token(Fact.STATE, STATES.index("disputed"))])
PENDING_KB = 128
"""Index entries that wait to be sorted in: a search reads them one by one, so there are few."""


class Judged(models.Model):
    """What people made of an item. Of each person the newest verdict counts, as in `verdicts`; comments are none."""

    agrees = models.PositiveSmallIntegerField(default=0)
    overrides = models.PositiveSmallIntegerField(default=0)
    audits = models.PositiveIntegerField(default=0)
    """Rows in all, changes of mind and comments among them."""
    audited_at = models.DateTimeField(null=True, blank=True)
    """When somebody last said something, the last word among it."""
    agreement = models.FloatField(null=True, blank=True)
    """Where standing verdicts differ, the share of pairs of people that say the same, in [0, 1); else None."""
    choice = models.CharField(max_length=10, blank=True, default="", db_default="")
    """What an overridden label comes to: "a", "b" or "neither"; "" where it is none, or people do not agree on it."""
    facets = ArrayField(models.IntegerField())

    class Meta:
        abstract = True


class LabelFacts(Judged):
    """An AI label as the explorer sees it. Its words are those of its comparison."""

    label = models.OneToOneField(
        AILabel, on_delete=models.CASCADE, primary_key=True, related_name="facts", db_constraint=False
    )
    comparison = models.ForeignKey(
        Comparison, on_delete=models.CASCADE, related_name="+", db_constraint=False, db_index=False
    )
    p_a = models.FloatField()

    class Meta:
        verbose_name_plural = "label facts"
        indexes = (
            GinIndex(fields=("facets",), name="label_facets", gin_pending_list_limit=PENDING_KB),
            models.Index(fields=("comparison", "label"), name="label_facts_by_comparison"),
            models.Index(fields=("p_a", "label"), name="label_facts_by_p_a"),
            models.Index(
                fields=("p_a", "label"),
                condition=Q(facets__contains=[token(Fact.SAME_POSITION, 1)]),
                name="label_facts_same_by_p_a",
            ),
            models.Index(Abs(F("p_a") - Value(0.5)), F("label"), name="label_facts_by_doubt"),
            models.Index(
                fields=("audited_at", "label"), condition=Q(audited_at__isnull=False), name="label_facts_by_audit"
            ),
            models.Index(fields=("agreement", "label"), condition=DISPUTED, name="label_facts_disputed"),
        )

    def __str__(self) -> str:
        return f"Facts of label {self.label_id}"


class StepFacts(Judged):
    """A step of a trace as the explorer sees it."""

    step = models.OneToOneField(
        TraceStep, on_delete=models.CASCADE, primary_key=True, related_name="facts", db_constraint=False
    )
    words = SearchVectorField()
    """Of the prompt, the critique and the revision."""

    class Meta:
        verbose_name_plural = "step facts"
        indexes = (
            GinIndex(fields=("facets", "words"), name="step_facets", gin_pending_list_limit=PENDING_KB),
            models.Index(
                fields=("audited_at", "step"), condition=Q(audited_at__isnull=False), name="step_facts_by_audit"
            ),
            models.Index(fields=("agreement", "step"), condition=DISPUTED, name="step_facts_disputed"),
        )

    def __str__(self) -> str:
        return f"Facts of step {self.step_id}"


class ComparisonFacts(models.Model):
    """A comparison as the explorer sees it."""

    comparison = models.OneToOneField(
        Comparison, on_delete=models.CASCADE, primary_key=True, related_name="facts", db_constraint=False
    )
    words = SearchVectorField()
    """Of the prompt and both responses."""
    facets = ArrayField(models.IntegerField())

    class Meta:
        verbose_name_plural = "comparison facts"
        indexes = (GinIndex(fields=("facets", "words"), name="comparison_facets", gin_pending_list_limit=PENDING_KB),)

    def __str__(self) -> str:
        return f"Facts of comparison {self.comparison_id}"


class AuditFacts(models.Model):
    """An audit as the explorer sees it: what it says, and what is true of the label or step it is about."""

    audit = models.OneToOneField(Audit, on_delete=models.CASCADE, related_name="facts", db_constraint=False)
    words = SearchVectorField()
    """Of the comment."""
    facets = ArrayField(models.IntegerField())

    class Meta:
        verbose_name_plural = "audit facts"
        indexes = (GinIndex(fields=("facets", "words"), name="audit_facets", gin_pending_list_limit=PENDING_KB),)

    def __str__(self) -> str:
        return f"Facts of audit {self.audit_id}"


class RunTally(models.Model):
    """How much a run made to judge. Written with what it counts, by triggers; whoever judges never waits for it."""

    run = models.OneToOneField(Run, on_delete=models.CASCADE, primary_key=True, related_name="tally")
    labels = models.PositiveIntegerField(default=0)
    same_position = models.PositiveIntegerField(default=0)
    """Labels whose judge picked the same position in both orders."""
    steps = models.PositiveIntegerField(default=0)

    class Meta:
        verbose_name_plural = "run tallies"

    def __str__(self) -> str:
        return f"Tally of {self.run_id}"


class RunAudits(models.Model):
    """How many items of a run somebody agrees with or overrides, and how many somebody overrides."""

    run = models.OneToOneField(Run, on_delete=models.CASCADE, primary_key=True, related_name="audit_tally")
    labels_audited = models.PositiveIntegerField(default=0)
    labels_overridden = models.PositiveIntegerField(default=0)
    steps_audited = models.PositiveIntegerField(default=0)
    steps_overridden = models.PositiveIntegerField(default=0)

    class Meta:
        verbose_name_plural = "run audits"

    def __str__(self) -> str:
        return f"Audits of {self.run_id}"
