"""A question to one checkpoint, or to two side by side, and what they answered."""

from __future__ import annotations

from pathlib import Path

from django.conf import settings
from django.db import models

from training_app.models.asked import AskedFor
from training_app.models.checkpoint import Checkpoint


class ChatTurn(AskedFor):
    """One turn: the conversation so far with its last question, who answers, and the answers once they are there."""

    messages = models.JSONField()
    """[{"role": "user" | "assistant", "content"}], the last one the person's."""
    left = models.ForeignKey(Checkpoint, on_delete=models.PROTECT, related_name="+")
    right = models.ForeignKey(Checkpoint, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    """Another checkpoint beside it; None: one answers alone."""
    seed = models.PositiveIntegerField()
    params = models.JSONField()
    """`core.chat.ChatParams` as plain data."""
    replies = models.JSONField(default=dict, blank=True)
    """{"left": {"text", "tokens", "finish"}, "right": …} once it succeeded."""

    class Meta:
        ordering = ("-created_at",)
        indexes = (models.Index(fields=("created_by", "-created_at"), name="turns_of_a_person"),)
        constraints = (
            models.CheckConstraint(
                condition=models.Q(state__in=("queued", "running", "succeeded", "failed", "cancelled")),
                name="chat_turn_state_is_known",
            ),
        )

    def __str__(self) -> str:
        return f"Chat {self.pk}"

    @property
    def question(self) -> str:
        """What was asked last."""
        return str(self.messages[-1]["content"])

    @property
    def folder(self) -> Path:
        """Where its job and events lie."""
        return Path(settings.ARTIFACT_ROOT) / "chats" / str(self.id)
