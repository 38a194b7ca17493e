"""Figures that take longer to compute than a page may wait."""

from __future__ import annotations

from django.db import models


class NumbersReport(models.Model):
    """What people and judges agree on in one scope, as last computed. A worker writes it, pages read it."""

    key = models.CharField(max_length=64, unique=True)
    """sha256 of the scope's address."""
    scope = models.CharField(max_length=500, blank=True)
    """The scope as a query string; empty: everything."""
    data = models.JSONField(default=dict, blank=True)
    """`training_app.numbers.report.Report` as plain data; empty before the first time."""
    audits = models.PositiveIntegerField(default=0)
    seconds = models.FloatField(null=True, blank=True)
    computed_at = models.DateTimeField(null=True, blank=True)
    asked_at = models.DateTimeField(null=True, blank=True)
    """When somebody asked for newer figures that no worker has computed yet."""

    class Meta:
        ordering = ("-pk",)
        indexes = (models.Index(fields=("asked_at",), name="numbers_report_asked"),)

    def __str__(self) -> str:
        return self.scope or "everything"

    @property
    def is_waiting(self) -> bool:
        return self.asked_at is not None
