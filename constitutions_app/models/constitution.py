"""A constitution and its draft, the one workspace in which people edit."""

from __future__ import annotations

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.functional import cached_property

from constitutions_app.core import principles as core
from constitutions_app.models.searching import draft_words, preamble_words

MAIN = "main"
"""The branch that every constitution has from the start."""


class EditKind(models.TextChoices):
    """What an edit does to a principle's meaning. What was made under semantically changed text is stale."""

    SEMANTIC = "semantic", "Semantic"
    MINOR = "minor", "Minor"


def all_stages() -> list[str]:
    """The stages a new principle serves: all of them."""
    return list(core.STAGES)


class ConstitutionQuerySet(models.QuerySet["Constitution"]):
    """Constitutions, and what lists of them need."""

    def with_draft(self) -> ConstitutionQuerySet:
        """Each with the draft of its main branch, in one query more."""
        drafts = Draft.objects.filter(branch=MAIN).select_related("updated_by")
        return self.prefetch_related(models.Prefetch("drafts", drafts, to_attr="main_drafts"))


class Constitution(models.Model):
    """A named, versioned collection of principles with a preamble."""

    slug = models.SlugField(unique=True, max_length=80)
    name = models.CharField(max_length=200)
    description = models.TextField(blank=True)
    forked_from = models.ForeignKey("Version", on_delete=models.PROTECT, null=True, blank=True, related_name="forks")
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = ConstitutionQuerySet.as_manager()

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name

    @cached_property
    def draft(self) -> Draft:
        """The draft of the main branch. One query the first time, none after `with_draft`."""
        fetched: list[Draft] = getattr(self, "main_drafts", [])
        return fetched[0] if fetched else self.drafts.get(branch=MAIN)


class Draft(models.Model):
    """The editable workspace of one branch of a constitution. `revision` grows by one with every saved change.

    `base` is the version it began from; `merging` the version whose words are being merged in, which becomes the second
    parent of the version that this draft publishes next.
    """

    constitution = models.ForeignKey(Constitution, on_delete=models.PROTECT, related_name="drafts")
    branch = models.SlugField(max_length=60, default=MAIN)
    preamble = models.TextField(blank=True)
    exemplars = models.JSONField(default=list, blank=True)
    base = models.ForeignKey("Version", on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    merging = models.ForeignKey("Version", on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    revision = models.PositiveIntegerField(default=0)
    updated_at = models.DateTimeField(auto_now=True)
    updated_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    closed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("constitution", "branch"), name="one_draft_per_branch"),
            models.CheckConstraint(
                condition=models.Q(closed_at__isnull=True) | ~models.Q(branch=MAIN), name="the_main_branch_stays_open"
            ),
        )
        indexes = (GinIndex(preamble_words(), name="words_of_draft_preambles"),)

    def __str__(self) -> str:
        return f"Draft {self.branch} of constitution {self.constitution_id}"

    @property
    def is_main(self) -> bool:
        return self.branch == MAIN

    @property
    def ref(self) -> str:
        """Its name in a comparison's address: "draft", or "draft@branch"."""
        return "draft" if self.is_main else f"draft@{self.branch}"

    @property
    def address(self) -> str:
        """Its constitution's slug, with the branch behind it unless that is the main one. Reads the constitution."""
        return self.constitution.slug if self.is_main else f"{self.constitution.slug}@{self.branch}"

    def to_core(self) -> core.Constitution:
        """The draft as a plain value. Two queries: the constitution's name and the principles."""
        return core.Constitution(
            name=self.constitution.name,
            preamble=self.preamble,
            principles=tuple(principle.to_core() for principle in self.principles.all()),
            exemplars=tuple(core.Exemplar(**exemplar) for exemplar in self.exemplars),
        )


class DraftPrinciple(models.Model):
    """One principle as it stands in a draft. `key` is the stable id that every version repeats.

    `edit_kind` is what people said its edits since the base are; empty: not said, so that the words decide.
    """

    draft = models.ForeignKey(Draft, on_delete=models.CASCADE, related_name="principles")
    key = models.SlugField(max_length=80)
    position = models.PositiveIntegerField()
    title = models.CharField(max_length=200, blank=True)
    text = models.TextField(blank=True)
    rationale = models.TextField(blank=True)
    source_document = models.CharField(max_length=300, blank=True)
    source_article = models.CharField(max_length=200, blank=True)
    source_url = models.URLField(max_length=500, blank=True)
    tags = ArrayField(models.CharField(max_length=60), default=list, blank=True)
    weight = models.FloatField(default=1.0, validators=[MinValueValidator(0.0), MaxValueValidator(core.MAX_WEIGHT)])
    strict = models.BooleanField(default=False)
    enabled = models.BooleanField(default=True)
    stages = ArrayField(models.CharField(max_length=20), default=all_stages, blank=True)
    critique_request = models.TextField(blank=True)
    revision_request = models.TextField(blank=True)
    comparison_question = models.TextField(blank=True)
    positive_examples = ArrayField(models.TextField(), default=list, blank=True)
    negative_examples = ArrayField(models.TextField(), default=list, blank=True)
    edit_kind = models.CharField(max_length=10, choices=EditKind.choices, blank=True)
    revision = models.PositiveIntegerField(default=0)
    updated_at = models.DateTimeField(auto_now=True)
    updated_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")

    class Meta:
        ordering = ("position", "pk")
        constraints = (
            models.UniqueConstraint(fields=("draft", "key"), name="one_principle_per_key_in_a_draft"),
            models.CheckConstraint(
                condition=models.Q(weight__gte=0) & models.Q(weight__lte=core.MAX_WEIGHT),
                name="principle_weight_in_range",
            ),
        )
        indexes = (GinIndex(draft_words(), name="words_of_draft_principles"),)

    def __str__(self) -> str:
        return self.title or self.key

    def to_core(self) -> core.Principle:
        """This principle as a plain value, normalised as it will be digested."""
        return core.Principle(
            id=self.key,
            title=core.normalise(self.title),
            text=core.normalise(self.text),
            rationale=core.normalise(self.rationale),
            source=core.Source(
                document=core.normalise(self.source_document),
                article=core.normalise(self.source_article),
                url=core.normalise(self.source_url),
            ),
            tags=tuple(self.tags),
            weight=self.weight,
            strict=self.strict,
            enabled=self.enabled,
            stages=tuple(stage for stage in core.STAGES if stage in self.stages),
            critique_request=core.normalise(self.critique_request),
            revision_request=core.normalise(self.revision_request),
            comparison_question=core.normalise(self.comparison_question),
            positive_examples=tuple(map(core.normalise, self.positive_examples)),
            negative_examples=tuple(map(core.normalise, self.negative_examples)),
        )
