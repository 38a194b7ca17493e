"""One click from something the AI did to a scenario: the label or step's words, and what a person said of it."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import F

from constitutions_app.actions import Refused, create_scenario
from constitutions_app.models import Constitution, Scenario
from training_app.models import AILabel, Audit, QueueItem, TraceStep

LONGEST_TITLE = 80


def make_scenario(*, user: User, item: AILabel | TraceStep) -> Scenario:
    """The scenario made of a label or a step; the one that was made of it before, where there is one.

    A label gives its two responses; a step what stood before it as response A and its revision as response B. The one
    expected to win is what this person, or else the newest auditor, chose; without a verdict it is left open. What
    cites no principle tests the whole constitution. Raises Refused for words that do not fit a scenario, and for what a
    queue still gives to people who must not know what others chose.
    """
    _refuse_while_queued(item)
    cited = item.principle
    constitution = _constitution_of(item)
    kind = _kind_of(item)
    with transaction.atomic():
        if (before := made_before(constitution, kind, item.pk)) is not None:
            return before
        said = _said(user, item)
        words = _of_label(item, said) if isinstance(item, AILabel) else _of_step(item, said)
        origin: dict[str, Any] = {"kind": kind, "id": item.pk}
        if isinstance(item, TraceStep):
            origin["trace"] = item.trace_id
        if said:
            origin |= {"audit": str(said.pk), "auditor": said.auditor_id}
        return _created(user, constitution, [cited.key] if cited else [], words, origin)


def made_before(constitution: Constitution, kind: str, pk: int | str) -> Scenario | None:
    """The scenario that was made of this thing already, if any. Until the transaction ends nobody makes another one.

    Who presses a button twice sends two requests at once: the second waits here for the first.
    """
    Constitution.objects.select_for_update(no_key=True).get(pk=constitution.pk)
    return constitution.scenarios.filter(origin__kind=kind, origin__id=pk).first()


def _refuse_while_queued(item: AILabel | TraceStep) -> None:
    waiting = QueueItem.objects.filter(**{_kind_of(item): item}, queue__closed_at=None, decided__lt=F("wanted"))
    if waiting.exists():
        raise Refused("A queue still gives it to people who judge it blind, and a scenario would tell them.")


def _kind_of(item: AILabel | TraceStep) -> str:
    return "label" if isinstance(item, AILabel) else "step"


def _constitution_of(item: AILabel | TraceStep) -> Constitution:
    """The constitution it was judged under; a label that cites no principle was judged under its run's version."""
    if isinstance(item, AILabel):
        return (item.principle.version if item.principle else item.run.version).constitution
    return item.principle.version.constitution


def _created(
    user: User, constitution: Constitution, principles: list[str], words: dict[str, str], origin: dict[str, Any]
) -> Scenario:
    line = " ".join(words["prompt"][: 4 * LONGEST_TITLE].split())
    title = line if len(line) <= LONGEST_TITLE else f"{line[: LONGEST_TITLE - 1]}…"
    return create_scenario(
        user=user, constitution=constitution, title=title, principles=principles, origin=origin, **words
    )


def _said(user: User, item: AILabel | TraceStep) -> Audit | None:
    """This person's newest verdict on the item, or else anybody's."""
    verdicts = Audit.objects.filter(**{_kind_of(item): item}).deciding().order_by("-created_at", "-pk")
    return verdicts.filter(auditor=user).first() or verdicts.first()


def _of_label(label: AILabel, said: Audit | None) -> dict[str, str]:
    comparison = label.comparison
    chosen = (said.choice or label.ai_choice) if said else ""
    return {
        "prompt": _prompt(comparison.prompt_text, comparison.messages),
        "response_a": comparison.response_a,
        "response_b": comparison.response_b,
        "expected": chosen if chosen in ("a", "b") else "",
        "note": said.comment if said else "",
    }


def _of_step(step: TraceStep, said: Audit | None) -> dict[str, str]:
    earlier = TraceStep.objects.filter(trace=step.trace_id, round__lt=step.round).order_by("-round").first()
    prompt = step.trace.prompt
    better = said.revision_better if said else None
    return {
        "prompt": _prompt(prompt.text, prompt.messages),
        "response_a": earlier.revision if earlier else step.trace.initial_response,
        "response_b": step.revision,
        "expected": "" if better is None else "b" if better else "a",
        "note": said.comment if said else "",
    }


def _prompt(text: str, messages: list[dict[str, str]] | None) -> str:
    """A conversation with its roles, or the prompt alone."""
    if not messages:
        return text
    return "\n\n".join(f"{turn['role'].capitalize()}: {turn['content']}" for turn in messages)
