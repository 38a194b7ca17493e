"""RL-CAI judgements: comparisons, the judges that read them, and the labels they gave."""

from __future__ import annotations

from typing import Any

from django.db import models

from constitutions_app.models import PrincipleVersion
from constitutions_app.models.frozen import FrozenModel
from training_app.models.prompt import Prompt, PromptSet
from training_app.models.run import Run


class Judge(FrozenModel):
    """Model + revision + template + aggregation + order policy + how it computes (core/judge_spec.py), one digest."""

    name = models.CharField(max_length=200)
    model_name = models.CharField(max_length=200)
    model_digest = models.CharField(max_length=64)
    template = models.CharField(max_length=40)
    aggregation = models.CharField(max_length=40)
    order_policy = models.CharField(max_length=40)
    dtype = models.CharField(max_length=20)
    backend = models.CharField(max_length=20, default="local")
    layout = models.CharField(max_length=40, default="", blank=True)
    sampling = models.CharField(max_length=60, default="", blank=True)
    """Empty: log-probabilities. Else how votes were drawn."""
    manner = models.CharField(max_length=200, default="", blank=True)
    """How it is asked beside the template: worked comparisons, thoughts, "neither"; empty for the plain question."""
    digest = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name


class Comparison(FrozenModel):
    """A prompt and two responses: sampled from a checkpoint, chosen between by a human, or answered to a question."""

    class Source(models.TextChoices):
        SAMPLED = "sampled", "sampled from a checkpoint"
        HUMAN = "human", "human comparison"
        IMPORTED = "imported", "annotated elsewhere, not chosen between by people"
        CHAT = "chat", "what two checkpoints answered somebody"

    source = models.CharField(max_length=10, choices=Source.choices)
    run = models.ForeignKey(
        Run, on_delete=models.PROTECT, null=True, blank=True, related_name="comparisons", db_index=False
    )
    prompt = models.ForeignKey(Prompt, on_delete=models.PROTECT, null=True, blank=True, related_name="comparisons")
    prompt_set = models.ForeignKey(
        PromptSet, on_delete=models.PROTECT, null=True, blank=True, related_name="human_comparisons"
    )
    chat = models.OneToOneField("ChatTurn", on_delete=models.PROTECT, null=True, blank=True, related_name="comparison")
    """The question whose answers these are, a that of the left checkpoint."""
    key = models.CharField(max_length=220)
    """Unique in its run or set. A sampled one carries its prompt's id, "<slug of the set>:<key in the set>"."""
    prompt_text = models.TextField()
    messages = models.JSONField(default=list, blank=True)
    response_a = models.TextField(blank=True)
    response_b = models.TextField(blank=True)
    identical = models.BooleanField(default=False)
    human_choice = models.CharField(max_length=1, blank=True, choices=(("a", "A"), ("b", "B")))
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("pk",)
        constraints = (
            models.UniqueConstraint(fields=("run", "key"), name="one_comparison_per_key_in_a_run"),
            models.UniqueConstraint(
                fields=("prompt_set", "key"),
                condition=models.Q(prompt_set__isnull=False),
                name="one_comparison_per_key_in_a_set",
            ),
            models.CheckConstraint(
                condition=models.Q(source="sampled", run__isnull=False)
                | models.Q(source="human", prompt_set__isnull=False, human_choice__in=("a", "b"))
                | models.Q(source="imported", prompt_set__isnull=False, human_choice="")
                | models.Q(source="chat", chat__isnull=False, run=None, prompt_set=None, human_choice=""),
                name="a_comparison_has_an_origin",
            ),
        )
        indexes = (
            models.Index(fields=("run", "id"), name="comparisons_of_a_run"),
            models.Index(fields=("created_at", "id"), name="comparisons_by_time"),
        )

    def __str__(self) -> str:
        return f"Comparison {self.pk}"


class AILabel(FrozenModel):
    """One comparison judged under one principle@version by one judge, in both orders; or under all at once.

    Log-probs are always those of response a and of response b being chosen; `ab` showed a first, `ba` showed b first.
    All p are in [0, 1] and mean "a is preferred".
    """

    run = models.ForeignKey(Run, on_delete=models.PROTECT, related_name="labels", db_index=False)
    comparison = models.ForeignKey(Comparison, on_delete=models.PROTECT, related_name="labels")
    principle = models.ForeignKey(
        PrincipleVersion, on_delete=models.PROTECT, null=True, blank=True, related_name="labels", db_index=False
    )
    """None: asked under all principles of the run's version that serve the stage, in one prompt."""
    judge = models.ForeignKey(Judge, on_delete=models.PROTECT, related_name="labels", db_index=False)
    question = models.TextField()
    sent_ab = models.TextField()
    sent_ba = models.TextField()
    ab_logp_a = models.FloatField()
    ab_logp_b = models.FloatField()
    ba_logp_a = models.FloatField()
    ba_logp_b = models.FloatField()
    p_ab = models.FloatField()
    p_ba = models.FloatField()
    p_a = models.FloatField()
    p_neither = models.FloatField(null=True, blank=True)
    """Probability of "neither, or it does not apply"; None when that was not offered."""
    votes = models.JSONField(default=list, blank=True)
    """Every raw asking where there is more than one an order or a third answer: {"order", "logp_a", …, "thoughts"}."""
    clamp_low = models.FloatField(null=True, blank=True)
    clamp_high = models.FloatField(null=True, blank=True)
    p_a_clamped = models.FloatField()
    same_position = models.BooleanField()
    """Whether the judge picked the same position, not the same response, in both orders."""
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("pk",)
        verbose_name = "AI label"
        constraints = (
            models.UniqueConstraint(
                fields=("run", "comparison", "principle", "judge"), name="one_label_per_principle_and_judge"
            ),
            models.UniqueConstraint(
                fields=("run", "comparison", "judge"),
                condition=models.Q(principle__isnull=True),
                name="one_label_for_all_principles_and_judge",
            ),
            models.CheckConstraint(condition=models.Q(p_a__gte=0) & models.Q(p_a__lte=1), name="p_a_is_a_probability"),
        )
        indexes = (  # with the id: where the labels of one begin and end is told at once
            models.Index(fields=("run", "id"), name="labels_of_a_run"),
            models.Index(fields=("principle", "id"), name="labels_of_a_principle"),
            models.Index(fields=("judge", "id"), name="labels_of_a_judge"),
            models.Index(fields=("created_at", "id"), name="labels_by_time"),
        )

    def __str__(self) -> str:
        return f"AI label {self.pk}"

    def raw_votes(self) -> list[dict[str, Any]]:
        """What p(A) was made of, as `core.aggregate` reads it; any aggregation can be made of it again. No query."""
        orders = (("ab", self.ab_logp_a, self.ab_logp_b), ("ba", self.ba_logp_a, self.ba_logp_b))
        return self.votes or [{"order": name, "logp_a": a, "logp_b": b} for name, a, b in orders]

    @property
    def ai_choice(self) -> str:
        """ "a", "b", or "" when both are equally likely."""
        return "a" if self.p_a > 0.5 else "b" if self.p_a < 0.5 else ""
