"""Scenarios: a principle's tests, their results as told by a judge, and where imported text came from."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models

from constitutions_app.core import scenarios as core
from constitutions_app.models.constitution import Constitution
from constitutions_app.models.frozen import FrozenModel
from constitutions_app.models.searching import scenario_words

RESPONSES = (("a", "A"), ("b", "B"))
"""The two responses of a prompt, as people choose one of them."""


class Scenario(models.Model):
    """A prompt, two responses, and the one expected to win, attached to principles by their stable keys.

    `origin` names what it was made from, for people and for links: an import's file and line, a comparison, an audit.
    """

    constitution = models.ForeignKey(Constitution, on_delete=models.PROTECT, related_name="scenarios")
    key = models.SlugField(max_length=120)
    title = models.CharField(max_length=200, blank=True)
    principles = ArrayField(models.CharField(max_length=80), default=list, blank=True)
    prompt = models.TextField()
    response_a = models.TextField(blank=True)
    response_b = models.TextField(blank=True)
    expected = models.CharField(max_length=1, choices=RESPONSES, blank=True)
    note = models.TextField(blank=True)
    origin = models.JSONField(default=dict, blank=True)
    retired_at = models.DateTimeField(null=True, blank=True)
    revision = models.PositiveIntegerField(default=0)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    updated_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")

    class Meta:
        ordering = ("key",)
        constraints = (models.UniqueConstraint(fields=("constitution", "key"), name="one_scenario_per_key"),)
        indexes = (
            GinIndex(fields=("principles",), name="scenarios_by_principle"),
            GinIndex(scenario_words(), name="words_of_scenarios"),
        )

    def __str__(self) -> str:
        return self.title or self.key

    def to_core(self) -> core.Scenario:
        """This scenario as a plain value."""
        return core.Scenario(
            id=self.key,
            title=self.title,
            principles=tuple(self.principles),
            prompt=self.prompt,
            response_a=self.response_a,
            response_b=self.response_b,
            expected=self.expected,
            note=self.note,
        )

    @property
    def is_complete(self) -> bool:
        """Whether a judge can be asked: both responses are there and one is expected to win."""
        return self.to_core().is_complete


class ScenarioResult(FrozenModel):
    """What a judge said of a scenario under one constitution text. Digests name text and judge; no foreign keys.

    `p_expected` is the probability, in [0, 1], that the judge gave the expected response, averaged over both orders.
    """

    scenario = models.ForeignKey(Scenario, on_delete=models.PROTECT, related_name="results")
    scenario_digest = models.CharField(max_length=64)
    constitution_digest = models.CharField(max_length=64)
    principle = models.CharField(max_length=80)
    judge_digest = models.CharField(max_length=64)
    judge_name = models.CharField(max_length=200)
    p_expected = models.FloatField()
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("-at", "-pk")
        constraints = (
            models.CheckConstraint(
                condition=models.Q(p_expected__gte=0) & models.Q(p_expected__lte=1), name="p_expected_is_a_probability"
            ),
        )
        indexes = (models.Index(fields=("scenario", "constitution_digest", "-at"), name="newest_scenario_result"),)

    def __str__(self) -> str:
        return f"{self.p_expected:.2f}"


class Import(FrozenModel):
    """One file that was imported: what it was, and what it said beyond the words, by principle key (votes, anchors)."""

    constitution = models.ForeignKey(Constitution, on_delete=models.PROTECT, related_name="imports")
    format = models.CharField(max_length=40)
    file_name = models.CharField(max_length=200)
    file_digest = models.CharField(max_length=64)
    licence = models.CharField(max_length=200, blank=True)
    """In the words of whoever imported it; empty where nobody said."""
    provenance = models.JSONField(default=dict)
    not_understood = models.JSONField(default=list)
    imported_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    imported_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("-imported_at", "-pk")

    def __str__(self) -> str:
        return self.file_name


class Upload(models.Model):
    """A file that waits for its owner to read the preview and decide. It is read anew whenever it is shown.

    `beside` holds files of its examples/ folder by relative path, as base64; `choices` the links between the paper's
    two lists by pair: {"question": position or null, "confirmed": bool}, or null where nobody has chosen any.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    file_name = models.CharField(max_length=200)
    data = models.BinaryField()
    format = models.CharField(max_length=40, blank=True)
    licence = models.CharField(max_length=200, blank=True)
    link_name = models.CharField(max_length=200, blank=True)
    link_data = models.BinaryField(null=True)
    beside = models.JSONField(default=dict, blank=True)
    choices = models.JSONField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("-created_at",)
        indexes = (models.Index(fields=("person", "-created_at"), name="uploads_by_person"),)

    def __str__(self) -> str:
        return self.file_name
