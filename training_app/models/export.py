"""A file of what was judged, written by a worker for one person: how far it is, and once it is whole what it is."""

from __future__ import annotations

from pathlib import Path

from django.conf import settings
from django.db import models
from django.utils import timezone

from training_app.models.asked import AskedFor
from training_app.models.run import Run


class Export(AskedFor):
    """One wish to have items written into a file. Only whoever asked for it sees it and its file.

    `done` counts the rows that are written; with a `run` they are its labels or traces, else what fits `question`.
    """

    class What(models.TextChoices):
        ITEMS = "items", "items of the explorer"
        LABELS = "labels", "labels of a run"
        TRACES = "traces", "traces of a run"

    class Form(models.TextChoices):
        JSONL = "jsonl", "JSON lines"
        PARQUET = "parquet", "Parquet"
        ICAI = "icai", "annotated pairs"

    class Texts(models.TextChoices):
        NONE = "", "ids and figures"
        VEILED = "veiled", "with texts, but for those that the person has veiled"
        ALL = "all", "with all texts"

    what = models.CharField(max_length=10, choices=What.choices)
    form = models.CharField(max_length=10, choices=Form.choices)
    question = models.TextField(blank=True)
    """The explorer's address of the items, as `Filters.to_query` spells it."""
    texts = models.CharField(max_length=10, choices=Texts.choices, blank=True)
    """Whether the items of a question have their texts beside them. The files of a run always have all."""
    run = models.ForeignKey(Run, on_delete=models.PROTECT, null=True, blank=True, related_name="exports")
    total = models.PositiveBigIntegerField(default=0)
    """About how many rows it will be, as far as can be told from how far it is."""

    first = models.BigIntegerField(default=0)
    last = models.BigIntegerField(default=-1)
    """The keys between which items are looked for, both included; fixed when a worker first begins."""
    place = models.BigIntegerField(default=0)
    """The key up to which `written` bytes of the unfinished file hold all that fits."""
    written = models.PositiveBigIntegerField(default=0)
    left_out = models.JSONField(default=dict)
    """Kind of item → primary keys of those that were hidden from the person when the writing began."""
    noted = models.JSONField(default=list)
    """Who annotated the pairs that are written, as export_annotators.py notes it."""
    began_at = models.DateTimeField(null=True, blank=True)

    bytes = models.PositiveBigIntegerField(default=0)
    digest = models.CharField(max_length=64, blank=True)
    """sha256 of the file."""
    expires_at = models.DateTimeField(null=True, blank=True)
    is_kept = models.BooleanField(default=False)
    """Whether a file, or a part of one, may lie in the storage."""

    class Meta:
        ordering = ("-created_at",)
        constraints = (
            models.CheckConstraint(
                condition=models.Q(state__in=("queued", "running", "succeeded", "failed", "cancelled")),
                name="export_state_is_known",
            ),
            models.CheckConstraint(
                condition=models.Q(what="items", run=None) | (~models.Q(what="items") & models.Q(run__isnull=False)),
                name="an_export_is_of_a_run_or_of_a_question",
            ),
            models.CheckConstraint(
                condition=~models.Q(state="succeeded") | (~models.Q(digest="") & models.Q(expires_at__isnull=False)),
                name="a_written_export_has_its_digest",
            ),
        )
        indexes = (
            models.Index(fields=("created_by", "-created_at"), name="exports_of_a_person"),
            models.Index(fields=("expires_at",), condition=models.Q(is_kept=True), name="exports_that_are_kept"),
        )

    def __str__(self) -> str:
        return f"Export of {self.get_what_display()} as {self.get_form_display()}"

    @property
    def folder(self) -> Path:
        """Where its file lies, and before that what there is of it."""
        return Path(settings.ARTIFACT_ROOT) / "exports" / str(self.id)

    @property
    def path(self) -> Path:
        """The whole file."""
        return self.folder / "file"

    @property
    def partial(self) -> Path:
        """The file while it is written."""
        return self.folder / "file.partial"

    @property
    def is_there(self) -> bool:
        """Whether there is a file to download."""
        return (
            self.state == self.State.SUCCEEDED
            and self.is_kept
            and self.expires_at is not None
            and self.expires_at > timezone.now()
        )
