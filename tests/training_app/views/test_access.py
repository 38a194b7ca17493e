"""Every page of training, as somebody without a session, without a role, and with the lowest role."""

from __future__ import annotations

import re
import uuid

import pytest
from django.test import Client
from django.urls import reverse

from tests.training_app.factories import FinishedRun, chat_turn, export, hub_copy, judge_evaluation, signature
from tests.training_app.queue_scenes import queue_of
from training_app import urls
from training_app.models import (
    AuditQueue,
    ChatTurn,
    CheckpointSignature,
    Export,
    HubCopy,
    JudgeEvaluation,
    RunGroup,
    SavedView,
)

pytestmark = pytest.mark.django_db


def addresses(finished: FinishedRun) -> dict[str, str]:
    """Every page by name, with an item that exists."""
    run, version = finished.run.pk, finished.run.version
    turn = ChatTurn.objects.first() or chat_turn(finished)
    measured = (JudgeEvaluation.objects.first() or judge_evaluation(finished.run.created_by)).pk
    file = (Export.objects.filter(created_by=finished.run.created_by).first() or export(finished.run.created_by)).pk
    arguments: dict[str, list[object]] = {
        "export_file": [file], "cancel_export": [file], "ask_run_export": [run],
        "run": [run], "run_events": [run], "stop_run": [run], "resume_run": [run], "order_run": [run],
        "run_file": [run], "aggregate": [run], "export_feedback": [run, "labels", "icai"],
        "stage": [run, "sft"], "stage_log": [run, "sft"],
        "trace": [finished.traces[0].pk], "audit_step": [finished.steps[0].pk],
        "look_at_step": [finished.steps[0].pk], "look_at_label": [finished.labels[0].pk],
        "scenario_from_step": [finished.steps[0].pk], "scenario_from_label": [finished.labels[0].pk],
        "build_changes": [finished.builds[0].pk],
        "adjudicate_label": [finished.labels[0].pk],
        "adjudicate_step": [finished.steps[0].pk],
        "numbers_principle": [finished.labels[0].principle_id],
        "label": [finished.labels[0].pk], "prompt_set": [finished.run.prompt_sets.all()[0].slug],
        "checkpoint": [finished.rl.pk], "checkpoint_file": [finished.rl.pk, "manifest.json"],
        "release": [finished.rl.pk], "move_checkpoint_alias": [finished.rl.pk],
        "sign": [finished.rl.pk], "push": [finished.rl.pk], "hub": [finished.rl.pk], "signature": [finished.rl.pk],
        "model_card": [finished.rl.pk], "evidence": [finished.rl.pk], "release_rules": [version.constitution.slug],
        "build": [finished.builds[0].pk], "compare": [run], "run_group": [_group(finished)],
        "judge_evaluation": [measured], "cancel_judge": [measured],
        "cancel_push": [(HubCopy.objects.first() or hub_copy(finished)).pk],
        "cancel_signing": [(CheckpointSignature.objects.first() or signature(finished)).pk],
        "version_checkpoints": [version.constitution.slug, version.number],
        "stale_under": [version.constitution.slug, f"v{version.number}"],
        "chat_turn": [turn.pk], "scenario_from_chat": [turn.pk], "send_chat": [turn.pk], "look_at_chat": [turn.pk],
        "principle_checkpoints": [version.constitution.slug, version.number, version.principles.all()[0].key],
        "exemplars": [version.constitution.slug, version.number],
        "remove_view": [_view(finished)],
        **_of_queue(),
    }  # fmt: skip
    names = [str(pattern.name) for pattern in urls.urlpatterns]
    return {name: reverse(f"training:{name}", args=arguments.get(name, [])) for name in names}


def _group(finished: FinishedRun) -> object:
    return RunGroup.objects.get_or_create(arms=["one"], created_by=finished.run.created_by)[0].pk


def _view(finished: FinishedRun) -> int:
    """A view of the explorer that the run's launcher keeps."""
    return SavedView.objects.get_or_create(name="mine", owner=finished.run.created_by)[0].pk


def _of_queue() -> dict[str, list[object]]:
    """The addresses of a queue and of its first item."""
    queue = AuditQueue.objects.first() or queue_of()
    whole = ("queue", "close_queue", "assign_queue", "queue_next", "queue_take", "queue_undo")
    one = ("queue_item", "queue_choose", "queue_keep", "queue_refuse", "queue_show")
    return {**{name: [queue.pk] for name in whole}, **{name: [queue.pk, 1] for name in one}}


ENGINEERS_ONLY = {
    "checkpoint_file",
    "move_checkpoint_alias",
    "push",
    "cancel_push",
    "sign",
    "cancel_signing",
    "launch",
    "measure_judge",
    "stop_run",
    "resume_run",
    "order_run",
    "steer_queue",
    "load_prompts",
    "write_prompts",
    "import_traces",
    "register_model",
    "cancel_judge",
    "compare",
    "import_audits",
}
SCENARIO_WRITERS_ONLY = {"scenario_from_chat", "scenario_from_step", "scenario_from_label", "explore_scenarios"}
EXPORTS = {"explore_export"}
ANSWERS = {"run_events": 204, "explore_counts": 302, "numbers_refresh": 302, "keep_view": 302, "remove_view": 404}
ANSWERS |= {"ask_export": 302, "ask_run_export": 302, "export_file": 404, "cancel_export": 404}
"""What a reader is answered where it is not the page: no stream here, back to the list, somebody else's."""
QUEUE_POSTS = {"close_queue", "assign_queue", "queue_take", "queue_undo", "queue_choose", "queue_keep"}
QUEUE_POSTS |= {"queue_refuse", "queue_show", "look_at_label", "look_at_step", "look_at_chat", "send_chat"}
POST_ONLY = (
    {
        "numbers_refresh",
        "move_checkpoint_alias",
        "push",
        "cancel_push",
        "sign",
        "cancel_signing",
        "resume_run",
        "order_run",
        "steer_queue",
        "audit_step",
        "prompt_preview",
        "register_model",
        "cancel_judge",
        "keep_view",
        "remove_view",
        "ask_export",
        "ask_run_export",
        "cancel_export",
    }
    | SCENARIO_WRITERS_ONLY
    | QUEUE_POSTS
)
AUDITORS_ONLY = {"audit_step", "auditor_settings", "new_queue", "queue_next", "queue_item"} | QUEUE_POSTS


def test_it_sends_somebody_without_a_session_to_sign_in(nobody: Client, finished: FinishedRun) -> None:
    for name, url in addresses(finished).items():
        response = nobody.post(url) if name in POST_ONLY else nobody.get(url)
        assert response.status_code in (302, 405), name
        assert response.status_code == 405 or response["Location"].startswith("/sign-in/"), name


def test_it_refuses_somebody_without_a_role(stranger: Client, finished: FinishedRun) -> None:
    for name, url in addresses(finished).items():
        response = stranger.post(url) if name in POST_ONLY else stranger.get(url)
        assert response.status_code == 403, name


def test_readers_read_everything_and_change_nothing(reader: Client, finished: FinishedRun) -> None:
    log = finished.run.stages.get(slug="sft").folder / "log.txt"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text("a line\n")
    for name, url in addresses(finished).items():
        response = reader.post(url, {"text": "Be kind."}) if name in POST_ONLY else reader.get(url)
        expected = 403 if name in ENGINEERS_ONLY | AUDITORS_ONLY | SCENARIO_WRITERS_ONLY else ANSWERS.get(name, 200)
        assert response.status_code == expected, name
        if response.streaming:
            response.getvalue()  # closes the file


def test_nothing_changes_on_get(engineer: Client, finished: FinishedRun) -> None:
    for name in POST_ONLY:
        assert engineer.get(addresses(finished)[name]).status_code == 405, name


def test_unknown_items_are_not_found(engineer: Client, finished: FinishedRun) -> None:
    for url in addresses(finished).values():
        wrong = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", str(uuid.uuid4()), url)
        wrong = re.sub(r"(?<=/)\d+(?=/$)", "999999", wrong)
        if wrong != url and not re.search(
            "resume|cancel|scenario|place|views|steps|items|next|take|undo|close|people|send|look|/export/$", url
        ):
            assert engineer.get(wrong).status_code == 404, wrong


def test_every_page_says_that_it_answers_two_ways(engineer: Client, finished: FinishedRun) -> None:
    for name, url in addresses(finished).items():
        if name not in POST_ONLY | AUDITORS_ONLY | {"run_events", "stage_log", "stop_run", "export_feedback"} | EXPORTS:
            assert "HX-Request" in engineer.get(url)["Vary"], name
