"""From a question to the answers of two checkpoints: the verb, the real stage on tiny weights, and the scenario."""

from __future__ import annotations

import shutil
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import User

from constitutions_app.models import LedgerEntry
from tests.tiny_model import build_tiny_model
from tests.training_app import factories
from tests.training_app.factories import FinishedRun
from tests.training_app.in_this_process import InThisProcess
from training_app import asked as asked_for
from training_app import chats, tasks
from training_app.actions import ask_checkpoints, make_scenario_of_chat
from training_app.asked import Conduct
from training_app.core.manifest import read_manifest, write_manifest
from training_app.models import ChatTurn, Checkpoint
from training_app.refusals import ChatRefused
from training_app.sweeper import Sweeper

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def places(tmp_path: Path, settings: LazySettings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.ARTIFACT_ROOT = tmp_path / "artifacts"
    monkeypatch.setattr(tasks.answer_chat, "apply_async", lambda **options: None)
    monkeypatch.setattr(asked_for, "StageProcess", InThisProcess)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tiny_model(tmp_path_factory.mktemp("chat") / "tiny")


@pytest.fixture
def made() -> FinishedRun:
    return factories.finished_run(factories.person("ada"))


def with_weights(made: FinishedRun, stage: str, tiny: Path) -> Checkpoint:
    """A checkpoint of another run of the same version, whose weights can be loaded."""
    run = factories.queued_run(made.run.created_by, made.run.version)
    folder = factories.checkpoint(run, stage).folder
    said = read_manifest(folder) or {}
    other = folder.with_name("real")
    shutil.copytree(tiny, other)
    kept = {name: value for name, value in said.items() if name not in ("files", "schema", "content_digest")}
    digest = write_manifest(other, kept)
    elsewhere = factories.queued_run(made.run.created_by, made.run.version)
    return Checkpoint.objects.create(
        run=elsewhere, stage=stage, version=run.version, constitution_digest=run.version.digest, digest=digest,
        path=f"{Path(folder).parent.relative_to(_root(folder)).as_posix()}/real", manifest=kept, size_bytes=1,
    )  # fmt: skip


def _root(folder: Path) -> Path:
    return next(parent for parent in folder.parents if parent.name == "artifacts")


def asked(
    user: User,
    left: Checkpoint,
    right: Checkpoint | None = None,
    *,
    turn_id: UUID | None = None,
    question: str = "May I open her letter?",
    after: ChatTurn | None = None,
) -> ChatTurn:
    return ask_checkpoints(
        user=user, left=left, right=right, turn_id=turn_id or uuid4(), question=question, after=after, max_new_tokens=6
    )


def test_two_checkpoints_answer_one_question(made: FinishedRun, tiny: Path) -> None:
    ada = made.run.created_by
    turn = asked(ada, with_weights(made, "sft", tiny), with_weights(made, "rl", tiny))
    assert chats.waiting() == [turn.pk]
    assert chats.run_once(turn.pk, conduct=Conduct(look_every_s=0.1)) == "succeeded"
    turn.refresh_from_db()
    assert set(turn.replies) == {"left", "right"} and turn.replies["left"]["tokens"] > 0
    assert turn.replies["left"]["text"] == turn.replies["right"]["text"], "equal weights and one seed: equal answers"
    assert chats.run_once(turn.pk) is None, "it is answered once"
    verbs = list(LedgerEntry.objects.order_by("seq").values_list("verb", flat=True))
    assert verbs[-2:] == ["chat.ask", "chat.answered"]
    assert not LedgerEntry.objects.filter(body__contains="her letter").exists()


def test_a_question_sent_twice_is_one(made: FinishedRun) -> None:
    ada, key = made.run.created_by, uuid4()
    assert asked(ada, made.sft, turn_id=key) == asked(ada, made.sft, turn_id=key, question="Something else?")
    assert ChatTurn.objects.get().question == "May I open her letter?"
    with pytest.raises(ChatRefused, match="somebody else"):
        asked(factories.person("eve"), made.sft, turn_id=key)


def test_it_goes_on_from_an_answer(made: FinishedRun) -> None:
    first = factories.chat_turn(made)
    turn = asked(made.run.created_by, made.sft, after=first, question="And his?")
    assert [one["role"] for one in turn.messages] == ["user", "assistant", "user"]
    assert turn.messages[1]["content"] == "Put the key back."


@pytest.mark.parametrize("question", ["", " \x00 ", "x" * 8001])
def test_what_is_no_question_is_refused(made: FinishedRun, question: str) -> None:
    with pytest.raises(ChatRefused):
        asked(made.run.created_by, made.sft, question=question)
    assert not ChatTurn.objects.exists()


def test_a_reward_model_is_not_asked(made: FinishedRun) -> None:
    with pytest.raises(ChatRefused, match="scores"):
        asked(made.run.created_by, made.sft, made.reward)


def test_weights_that_are_gone_fail_with_a_sentence(made: FinishedRun) -> None:
    shutil.rmtree(made.sft.folder)
    turn = asked(made.run.created_by, made.sft)
    assert chats.run_once(turn.pk, conduct=Conduct(look_every_s=0.1)) == "failed"
    turn.refresh_from_db()
    assert turn.reason and "Traceback" not in turn.reason


def test_a_pair_of_answers_becomes_one_scenario(made: FinishedRun) -> None:
    ada, turn = made.run.created_by, factories.chat_turn(made)
    first = make_scenario_of_chat(user=ada, turn=turn, expected="b")
    assert make_scenario_of_chat(user=ada, turn=turn, expected="a") == first
    assert made.run.version.constitution.scenarios.get() == first
    alone = factories.chat_turn(made, replies={"left": turn.replies["left"]}, right=None)
    with pytest.raises(ChatRefused, match="two checkpoints"):
        make_scenario_of_chat(user=ada, turn=alone)


def test_the_sweeper_rings_for_a_question_nobody_heard(made: FinishedRun) -> None:
    turn = asked(made.run.created_by, made.sft)
    rung: list[UUID] = []

    def wake(pk: UUID) -> bool:
        rung.append(pk)
        return True

    Sweeper(lambda _: True, wake_for_chat=wake).sweep()
    assert rung == [turn.pk]
