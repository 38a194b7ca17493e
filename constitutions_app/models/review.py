"""Review: the rules of publishing, requests and verdicts, and talk that is anchored to the words themselves."""

from __future__ import annotations

from django.conf import settings
from django.contrib.postgres.indexes import GinIndex
from django.db import models

from constitutions_app.models.constitution import Constitution, Draft
from constitutions_app.models.frozen import FrozenModel
from constitutions_app.models.searching import comment_words
from constitutions_app.models.version import Version


class PublishingRules(models.Model):
    """What must hold before a draft of this constitution is published. No row: nothing is required."""

    constitution = models.OneToOneField(Constitution, on_delete=models.PROTECT, related_name="rules")
    required_approvals = models.PositiveSmallIntegerField(default=0)
    threads_resolved = models.BooleanField(default=True)
    scenarios_passed = models.BooleanField(default=False)
    updated_at = models.DateTimeField(auto_now=True)
    updated_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")

    class Meta:
        verbose_name_plural = "publishing rules"

    def __str__(self) -> str:
        return f"Publishing rules of constitution {self.constitution_id}"


class Review(models.Model):
    """One request to look at a draft. At most one is open per draft; publishing ends it as published."""

    class State(models.TextChoices):
        OPEN = "open", "Open"
        WITHDRAWN = "withdrawn", "Withdrawn"
        PUBLISHED = "published", "Published"

    draft = models.ForeignKey(Draft, on_delete=models.PROTECT, related_name="reviews")
    state = models.CharField(max_length=10, choices=State.choices, default=State.OPEN)
    note = models.TextField(blank=True)
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    requested_at = models.DateTimeField(auto_now_add=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    version = models.ForeignKey(Version, on_delete=models.PROTECT, null=True, blank=True, related_name="reviews")
    reviewers = models.ManyToManyField(settings.AUTH_USER_MODEL, blank=True, related_name="asked_reviews")

    class Meta:
        ordering = ("-requested_at",)
        constraints = (
            models.UniqueConstraint(
                fields=("draft",), condition=models.Q(state="open"), name="one_open_review_per_draft"
            ),
        )

    def __str__(self) -> str:
        return f"Review {self.pk}"


class Verdict(FrozenModel):
    """One person's word on a draft as it stood. `body` is its canonical JSON then, `digest` that text's sha256.

    Never changed: whether it still counts is computed by comparing what it was said of with the draft as it is now.
    """

    class Word(models.TextChoices):
        APPROVE = "approve", "Approve"
        REQUEST_CHANGES = "changes", "Request changes"
        COMMENT = "comment", "Comment"

    review = models.ForeignKey(Review, on_delete=models.PROTECT, related_name="verdicts")
    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    word = models.CharField(max_length=10, choices=Word.choices)
    note = models.TextField(blank=True)
    body = models.TextField()
    digest = models.CharField(max_length=64)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("created_at", "pk")

    def __str__(self) -> str:
        return f"{self.word} by {self.person_id}"


class Thread(models.Model):
    """Talk about a range of words of one field of a principle (or of the preamble, with an empty key).

    `start`, `end` and `quote` are the anchor in `text`, the field's text when the thread was opened or one of its
    suggestions was applied. Where that is in today's text is computed (places.py). No field: the principle as a whole.
    """

    draft = models.ForeignKey(Draft, on_delete=models.PROTECT, related_name="threads")
    key = models.SlugField(max_length=80, blank=True)
    field = models.CharField(max_length=40, blank=True)
    text = models.TextField(blank=True)
    start = models.PositiveIntegerField(default=0)
    end = models.PositiveIntegerField(default=0)
    quote = models.TextField(blank=True)
    opened_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    opened_at = models.DateTimeField(auto_now_add=True)
    resolved_at = models.DateTimeField(null=True, blank=True)
    resolved_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )

    class Meta:
        ordering = ("opened_at", "pk")
        indexes = (models.Index(fields=("draft", "key"), name="threads_by_principle"),)

    def __str__(self) -> str:
        return f"Thread {self.pk}"


class Comment(FrozenModel):
    """One contribution to a thread."""

    thread = models.ForeignKey(Thread, on_delete=models.PROTECT, related_name="comments")
    author = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    body = models.TextField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("created_at", "pk")
        indexes = (GinIndex(comment_words(), name="words_of_comments"),)

    def __str__(self) -> str:
        return f"Comment {self.pk}"


class Suggestion(models.Model):
    """Other words for the thread's range, proposed in one of its comments and applied in one click with credit."""

    class State(models.TextChoices):
        OPEN = "open", "Open"
        APPLIED = "applied", "Applied"
        DECLINED = "declined", "Declined"

    comment = models.OneToOneField(Comment, on_delete=models.PROTECT, related_name="suggestion")
    original = models.TextField()
    replacement = models.TextField(blank=True)
    state = models.CharField(max_length=10, choices=State.choices, default=State.OPEN)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    decided_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"Suggestion {self.pk}"


class Notification(models.Model):
    """Something that happened and concerns a person. `url` leads to it; nothing harmful stands in `text`.

    `mail_due`: it is to be sent by e-mail too, and has been once `mailed_at` is set.
    """

    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="notifications")
    verb = models.CharField(max_length=80)
    text = models.CharField(max_length=300)
    url = models.CharField(max_length=500)
    created_at = models.DateTimeField(auto_now_add=True)
    read_at = models.DateTimeField(null=True, blank=True)
    mail_due = models.BooleanField(default=False)
    mailed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-created_at", "-pk")
        indexes = (
            models.Index(
                fields=("person", "-created_at"), condition=models.Q(read_at__isnull=True), name="unread_notifications"
            ),
            models.Index(
                fields=("created_at",),
                condition=models.Q(mail_due=True, mailed_at__isnull=True),
                name="notifications_to_mail",
            ),
        )

    def __str__(self) -> str:
        return self.text


class MailChoice(models.Model):
    """Whether a person wants notifications by e-mail too. No row: yes, if they have an address."""

    person = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="mail_choice")
    by_mail = models.BooleanField(default=True)

    def __str__(self) -> str:
        return f"{self.person_id}: {'by mail' if self.by_mail else 'not by mail'}"


class Presence(models.Model):
    """That somebody has a page of a draft open: a beat every few seconds, forgotten when it stops."""

    draft = models.ForeignKey(Draft, on_delete=models.CASCADE, related_name="presences")
    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    place = models.CharField(max_length=80)
    seen_at = models.DateTimeField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=("draft", "person"), name="one_presence_per_person_and_draft"),)

    def __str__(self) -> str:
        return f"{self.person_id} at {self.place}"
