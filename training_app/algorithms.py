"""Runs by how they train after SL-CAI, as lists of runs are asked for them: on pages and by API."""

from __future__ import annotations

from collections.abc import Mapping

from django.db.models import Exists, OuterRef, Q

from training_app.models import RunStage
from training_app.options import CHOICE_WORDS

OF_RL = ("ppo", "grpo", "rloo")
ALGORITHMS: Mapping[str, str] = {
    **{name: CHOICE_WORDS[name] for name in OF_RL}, "dpo": "DPO", "sft_only": "SL-CAI alone", "write": "writes prompts",
}  # fmt: skip


def by(algorithm: str) -> Q:
    """The condition on a run that one of `ALGORITHMS` means. Raises KeyError for another.

    Whether it does RL or DPO is asked of its stages: a configuration holds the options of both, whatever is done.
    """
    conditions = {name: _does("rl") & Q(config__rl__algorithm=name) for name in OF_RL}
    conditions |= {"dpo": _does("dpo"), "write": _does("write")}
    return (conditions | {"sft_only": _does("sft") & ~_does("rl") & ~_does("dpo")})[algorithm]


def _does(slug: str) -> Q:
    return Q(Exists(RunStage.objects.filter(run=OuterRef("pk"), slug=slug)))
