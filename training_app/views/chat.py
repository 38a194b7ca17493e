"""Asking checkpoints: one, or two side by side on one question."""

from __future__ import annotations

from functools import partial
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from django.views.decorators.vary import vary_on_headers

from constitutions_app.access import SCENARIO_WRITERS, AuthenticatedHttpRequest, Role, require_role
from constitutions_app.actions import Refused as ScenarioRefused
from training_app.access import (
    can_make_queues,
    get_chat_turn_for,
    get_checkpoint_for,
    get_told_chat_turn_for,
    hides_judgement,
)
from training_app.actions import ask_checkpoints, make_scenario_of_chat, send_answers
from training_app.chat_form import ChatForm
from training_app.chats import CHATTING_STAGES
from training_app.models import ChatTurn, Checkpoint, Comparison, QueueItem
from training_app.queues.progress import preferred
from training_app.refusals import ChatRefused

OFFERED = 100
"""Checkpoints in a list, the newest."""
LATELY = 12


@require_http_methods(["GET", "HEAD", "POST"])
@require_role()
@vary_on_headers("HX-Request")
def chat(request: AuthenticatedHttpRequest) -> HttpResponse:
    """The form of a question; posting asks it."""
    said = request.POST if request.method == "POST" else request.GET
    chosen = {name: said[name] for name in ("left", "right") if name in said}
    answering = offered(*chosen.values())
    form = ChatForm(request.POST if request.method == "POST" else None, checkpoints=answering, initial=chosen)
    if form.is_valid() and (turn := _asked(request, form)):
        return redirect("training:chat_turn", turn.pk)
    mine = ChatTurn.objects.filter(created_by=request.user).select_related("left__run", "right__run")
    context = {"form": form, "turns": mine[:LATELY], "any": bool(answering)}
    return render(request, "training/chat.html", context, status=422 if form.errors else 200)


@require_safe
@require_role()
@vary_on_headers("HX-Request")
def chat_turn(request: AuthenticatedHttpRequest, pk: UUID) -> HttpResponse:
    """One question with its answers; while they are written the page asks for itself again."""
    turn = get_chat_turn_for(request.user, pk)
    pair = Comparison.objects.filter(chat=turn).first()
    sent = QueueItem.objects.filter(comparison=pair).select_related("queue").first() if pair else None
    if pair is not None and pair in hides_judgement(request.user, [pair]):
        return render(request, "training/chat_hidden.html", {"turn": turn, "item": sent})
    known = {"left": turn.left_id, "right": turn.right_id, "after": turn.pk if turn.replies else None}
    form = ChatForm(
        checkpoints=offered(turn.left_id, turn.right_id), initial=known | {"seed": turn.seed, **_sampling(turn)}
    )
    sides = [(name, one, turn.replies.get(name)) for name, one in (("left", turn.left), ("right", turn.right)) if one]
    context = {
        "turn": turn,
        "form": form,
        "sides": sides,
        "sent": sent,
        "preferred": preferred(pair) if pair is not None else {},
        "may_send": can_make_queues(request.user),
    }
    return render(request, f"training/chat_turn.html{'#answers' if request.htmx else ''}", context)


@require_POST
@require_role(*SCENARIO_WRITERS)
def scenario_from_chat(request: AuthenticatedHttpRequest, pk: UUID) -> HttpResponse:
    """The two answers of a question as a scenario of the left one's constitution."""
    turn = get_told_chat_turn_for(request.user, pk)
    try:
        made = make_scenario_of_chat(user=request.user, turn=turn, expected=request.POST.get("expected", ""))
    except (ChatRefused, ScenarioRefused) as refusal:
        messages.error(request, f"No scenario was made. {refusal}")
        return redirect("training:chat_turn", pk)
    messages.success(request, "A scenario with these words is kept. Say which principles it tests.")
    return redirect("constitutions:edit_scenario", made.constitution.slug, made.key)


@require_POST
@require_role(Role.ENGINEER, Role.AUDITOR)
def send(request: AuthenticatedHttpRequest, pk: UUID) -> HttpResponse:
    """The two answers of a question, to be judged blind by others."""
    turn = get_told_chat_turn_for(request.user, pk)
    try:
        item = send_answers(user=request.user, turn=turn)
    except ChatRefused as refusal:
        messages.error(request, f"Nothing was sent. {refusal}")
    else:
        messages.success(request, f"The pair is item {item.position} of the queue “{item.queue.name}”.")
    return redirect("training:chat_turn", pk)


def offered(*also: object) -> list[Checkpoint]:
    """The newest checkpoints that answer, and behind them those asked for by number, however old. One or two queries.

    What is no number of a checkpoint that answers is passed over: the form then says so.
    """
    answering = Checkpoint.objects.filter(stage__in=CHATTING_STAGES).select_related("run", "version__constitution")
    answering = answering.defer("manifest", "version__canonical").order_by("-pk")
    newest = list(answering[:OFFERED])
    wanted = {int(text) for text in map(str, also) if text.isascii() and text.isdigit() and len(text) < 18}
    older = wanted - {one.pk for one in newest}
    return [*newest, *answering.filter(pk__in=older)] if older else newest


def _asked(request: AuthenticatedHttpRequest, form: ChatForm) -> ChatTurn | None:
    said = form.cleaned_data
    after = get_told_chat_turn_for(request.user, said["after"]) if said["after"] else None
    try:
        return ask_checkpoints(
            user=request.user,
            turn_id=said["turn_id"],
            question=said["question"],
            left=get_checkpoint_for(request.user, said["left"]),
            right=get_checkpoint_for(request.user, said["right"]) if said["right"] else None,
            after=after,
            seed=said["seed"],
            temperature=said["temperature"],
            max_new_tokens=said["max_new_tokens"],
            say=partial(messages.warning, request),
        )
    except ChatRefused as refusal:
        form.add_error("question", str(refusal))
        return None


def _sampling(turn: ChatTurn) -> dict[str, object]:
    sampling = turn.params.get("sampling", {})
    return {name: sampling[name] for name in ("temperature", "max_new_tokens") if name in sampling}
