"""An auditor with undecided items walks every address of the app and is told neither what the AI chose nor what a
peer said of them; and the same walk by somebody who does not judge finds it all, so that the walk can see."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client
from django.urls import URLResolver, get_resolver, reverse

from constitutions_app.access import Role
from constitutions_app.actions import Refused
from constitutions_app.models import LedgerEntry
from tests.constitutions_app.factories import make_constitution, newest
from tests.signing_in import signed_in
from tests.training_app.factories import FinishedRun, chat_turn, finished_run, judge_evaluation, person
from tests.training_app.queue_scenes import queue_of, taken
from tests.training_app.scenes import comparisons
from training_app import export_jobs
from training_app.access import hides_judgement
from training_app.actions import adjudicate, choose_blind, export_items, make_scenario, record_audit, refuse_item
from training_app.actions.record_audit import Verdict
from training_app.explorer.filters import KINDS, Filters
from training_app.models import (
    Adjudication,
    AuditQueue,
    Comparison,
    DatasetItem,
    Evaluation,
    EvaluationAnswer,
    Export,
    MetricPoint,
    Prompt,
    Reservation,
    RunEvent,
)
from training_app.streams import Message

pytestmark = pytest.mark.django_db

PEER_SAYS = "Peer4711 disagrees"
POSTED_ONLY = re.compile(r"constitutions:.*|api-.*|training:.*|person_.*|.*sign_out|.*token.*|read_.*|follow_.*")
"""Addresses that may answer "post this instead"."""


@pytest.fixture
def own_places(tmp_path: Any, settings: Any) -> None:
    settings.ARTIFACT_ROOT = tmp_path / "artifacts"


@pytest.fixture
def made(own_places: None, db: None) -> FinishedRun:
    """A run whose every label and step a peer has judged."""
    ada = person("ada", name="Ada Osei")
    ada.groups.add(Group.objects.get(name=Role.ENGINEER))
    made = finished_run(ada, newest(make_constitution(ada)))
    peer = person("pia", name="Pia Roth")
    for label in made.labels:
        choice = "b" if label.ai_choice == "a" else "a"
        said = Verdict("override", choice=choice, reason="misread", comment=PEER_SAYS)
        record_audit(user=peer, audit_id=uuid4(), item=label, said=said)
    for step in made.steps:
        said = Verdict("override", revision_better=False, reason="misread", comment=PEER_SAYS)
        record_audit(user=peer, audit_id=uuid4(), item=step, said=said)
    adjudicate(user=ada, adjudication_id=uuid4(), item=made.labels[0], outcome="a", note=PEER_SAYS)
    adjudicate(user=ada, adjudication_id=uuid4(), item=made.steps[0], outcome="override", note=PEER_SAYS)
    changed = made.labels[0].audits.get()
    DatasetItem.objects.create(build=made.builds[1], position=99, label=made.labels[0], audit=changed)
    return made


@pytest.fixture
def queues(made: FinishedRun) -> tuple[AuditQueue, AuditQueue]:
    known = comparisons(2)
    made.run.prompt_sets.add(known)
    queues = queue_of(calibration_set=known, calibration=2, size=6, per_item=2), queue_of("steps")
    peer, given = User.objects.get(username="pia"), Reservation.objects.none()
    assert not given
    mine = _calibrated(peer, queues[0])
    assert mine.item.known
    return queues


def _calibrated(peer: User, queue: AuditQueue) -> Reservation:
    """A peer's blind choice about a comparison whose answer is known."""
    given = taken(peer, queue)
    choose_blind(user=peer, reservation=given, key=uuid4(), choice="a")
    return given


@pytest.fixture
def jonas(queues: tuple[AuditQueue, AuditQueue]) -> User:
    """An auditor who is much besides, so that most pages are open to him; he holds one item of each queue."""
    user = person("jonas", name="Jonas Weber")
    user.groups.set(Group.objects.filter(name__in=[Role.AUDITOR, Role.ENGINEER, Role.AUTHOR, Role.REVIEWER]))
    for queue in queues:
        taken(user, queue)
    return user


def marks(made: FinishedRun) -> list[str]:
    """What tells something: as patterns in the text of an answer."""
    # Log-probs, which never stand there by coincidence; p(A) alone is looked for as pages write it.
    numbers = {value for one in made.labels for value in (one.ab_logp_a, one.ba_logp_b)}
    return [
        PEER_SAYS,
        r"p\(A\) 0\.\d\d",
        r"AI preferred|>[AB] preferred|people preferred",
        r'"human_choice": ?"[ab]"|"pref": ?"',
        r'data-state="override"',
        r'"verdict": ?"override"|&quot;verdict&quot;: &quot;override',
        r'"choice": ?"[ab]"|&quot;choice&quot;: &quot;[ab]',
        r"changed by a person",
        *(re.escape(repr(number)) for number in numbers),
    ]


def addresses(made: FinishedRun, queues: tuple[AuditQueue, AuditQueue], user: User) -> Iterator[tuple[str, str]]:
    """Every name of the URL conf with an address of something that exists. KeyError: a new name needs its key here."""
    for name, parameters in _names(get_resolver().url_patterns):
        if name.startswith("admin:") or name == "None":
            continue  # only staff come in, and the other is a picture
        values = {parameter: _value(name, parameter, made, queues, user) for parameter in parameters}
        yield name, reverse(name, kwargs=values)


def _names(patterns: Any, space: str = "", above: tuple[str, ...] = ()) -> Iterator[tuple[str, tuple[str, ...]]]:
    for pattern in patterns:
        parameters = (*above, *pattern.pattern.regex.groupindex)
        if isinstance(pattern, URLResolver):
            inner = f"{space}{pattern.namespace}:" if pattern.namespace else space
            yield from _names(pattern.url_patterns, inner, parameters)
        else:
            yield f"{space}{pattern.name}", parameters


def _value(name: str, parameter: str, made: FinishedRun, queues: tuple[AuditQueue, AuditQueue], user: User) -> object:
    run, version, label, step = made.run, made.run.version, made.labels[0], made.steps[0]
    held = Reservation.objects.get(auditor=user, queue=queues[0]) if "queue" in name else None
    chat = chat_turn(made) if "chat" in name else None
    measured = judge_evaluation(run.created_by) if "judge" in name and parameter == "pk" else None
    written = _export(user) if name in EXPORTS else None
    if parameter == "pk":
        keys: dict[str, Any] = {
            "training:label": label.pk, "training:look_at_label": label.pk, "training:scenario_from_label": label.pk,
            "training:trace": step.trace_id, "training:audit_step": step.pk, "training:look_at_step": step.pk,
            "training:scenario_from_step": step.pk, "training:build": made.builds[1].pk,
            "training:checkpoint": made.rl.pk, "training:release": made.rl.pk, "training:evidence": made.rl.pk,
            "training:model_card": made.rl.pk, "training:checkpoint_file": made.rl.pk,
            "training:move_checkpoint_alias": made.rl.pk,
            "training:sign": made.rl.pk, "training:signature": made.rl.pk,
            "training:push": made.rl.pk, "training:hub": made.rl.pk,
            **dict.fromkeys((f"api-{verb}" for verb in ("sign", "push", "verify")), made.rl.pk),
            # Work on files: it knows of no item.
            **dict.fromkeys(("training:cancel_signing", "api-signatures-cancel", "api-signatures-detail"), uuid4()),
            **dict.fromkeys(("training:cancel_push", "api-hub-copies-cancel", "api-hub-copies-detail"), uuid4()),
            **dict.fromkeys(
                ("training:judge_evaluation", "training:cancel_judge", "api-judge-evaluations-cancel",
                 "api-judge-evaluations-detail"),
                measured.pk if measured else None,
            ),
            "api-answers-detail": EvaluationAnswer.objects.all()[0].pk,
            "api-audits-detail": label.audits.get().pk, "api-checkpoints-detail": made.rl.pk,
            "api-comparisons-detail": Comparison.objects.filter(source="human")[0].pk,
            "api-dataset-builds-detail": made.builds[1].pk,
            "api-dataset-items-detail": DatasetItem.objects.filter(label=label)[0].pk,
            "api-evaluations-detail": Evaluation.objects.all()[0].pk, "api-events-detail": RunEvent.objects.all()[0].pk,
            "api-judges-detail": label.judge_id, "api-labels-detail": label.pk,
            "api-ledger-detail": LedgerEntry.objects.filter(verb="audit.record")[0].seq,
            "api-metrics-detail": MetricPoint.objects.all()[0].pk,
            "api-prompt-sets-detail": run.prompt_sets.all()[0].pk, "api-prompts-detail": Prompt.objects.all()[0].pk,
            **dict.fromkeys((f"api-runs-{verb}" for verb in ("cancel", "detail", "resume", "place")), run.pk),
            "api-stages-detail": run.stages.all()[0].pk, "api-steps-detail": step.pk,
            "api-traces-detail": step.trace_id,
            # What there is none of here: people talk about words, not about items.
            **dict.fromkeys(("api-apply", "api-decline-suggestion", "api-reopen", "api-resolve", "api-thread"), 1),
            **dict.fromkeys(("constitutions:apply_suggestion", "constitutions:decline_suggestion"), 1),
            **dict.fromkeys(("constitutions:past_review", "constitutions:thread", "constitutions:reply"), 1),
            **dict.fromkeys(("constitutions:reopen_thread", "constitutions:resolve_thread"), 1),
            **dict.fromkeys(("person_deactivate", "person_link", "person_reactivate", "person_role"), 1),
            "follow_notification": 1, "training:remove_view": 1,
            **dict.fromkeys(
                ("training:chat_turn", "training:scenario_from_chat", "training:send_chat", "training:look_at_chat",
                 "api-chats-detail", "api-chats-send", "api-chats-scenario"),
                chat.pk if chat else None,
            ),
            **dict.fromkeys(EXPORTS, written.pk if written else None),
            "api-label-final": label.pk, "api-step-final": step.pk, "api-release": made.rl.pk,
            "api-checkpoint-alias": made.rl.pk, "api-adjudications-detail": Adjudication.objects.get(label=label).pk,
            **dict.fromkeys((f"api-queues-{verb}" for verb in ("detail", "close", "assign")), queues[0].pk),
            "api-saved-views-detail": 1, "api-run-groups-detail": uuid4(), "api-sign-offs-detail": 1,
            "api-checkpoint-aliases-detail": 1, "api-release-rules-detail": 1,
            "training:adjudicate_label": label.pk, "training:adjudicate_step": step.pk,
            "training:build_changes": made.builds[1].pk, "training:numbers_principle": label.principle_id,
        }  # fmt: skip
        return queues[0].pk if held else keys[name]
    if parameter == "slug":
        of_sets = {"training:prompt_set": "human", "training:stage": "label", "training:stage_log": "label"}
        return of_sets.get(name, version.constitution.slug)
    return {
        "run_id": run.pk, "file": "model.safetensors",
        "position": held.item.position if held else 1, "number": version.number, "key": "privacy",
        "new": f"v{version.number}", "old": f"v{version.number}", "merged": f"v{version.number}", "state": "v1",
        "form": "yaml" if "export-" in name else "jsonl", "format": "yaml", "what": "labels", "alias": "latest",
        "rest": "principles/privacy/", "upload_id": uuid4(), "group_id": uuid4(),
        "seq": LedgerEntry.objects.filter(verb="audit.record")[0].seq,
    }[parameter]  # fmt: skip


EXPORTS = ("training:export_file", "training:cancel_export", "api-exports-detail", "api-exports-file",
           "api-exports-cancel")  # fmt: skip


def _export(user: User, kind: str = "audit", form: str = "jsonl", texts: str = "") -> Export:
    """A file that a worker wrote for the person, of everything of a kind; if nothing is said, of what people said."""
    row = export_items(user=user, asked=Filters(kind=kind), form=form, texts=texts)
    assert export_jobs.run_once(row.pk) == "succeeded"
    row.refresh_from_db()
    return row


VARIANTS = {
    "training:run": ("?part=newest",),
    "training:labels": ("?p_a=a", "?p_a=b", "?orders=same", "?audit=override"),
    "training:traces": ("?audit=override", "?audit=comment"),
    "training:label": ("?p_a=a",),
    "training:build": ("?after=0.0",),
    "api-labels-list": ("?same_position=true",),
    "api-audits-list": ("?verdict=override",),
    "api-explore": (
        "?kind=label&sort=p_low&page_size=1",
        "?kind=label&state=overridden&page_size=1",
        "?kind=step",
        "?kind=step&state=overridden",
        "?kind=audit",
        "?kind=comparison",
    ),
    "api-explore-counts": ("?count=state", "?count=final", "?kind=audit&count=verdict"),
    "api-disagreements": ("?kind=step", "?state=decided", "?kind=step&state=decided"),
    "training:disagreements": ("?kind=steps", "?state=decided", "?kind=steps&state=decided"),
    "api-numbers": ("?key=privacy",),
    "api-ledger-list": ("?verb=audit.record", "?verb=audit.choose", "?verb=audit.adjudicate"),
    "api-comparisons-list": ("?source=human",),
    "ledger": ("?verb=audit.record", "?verb=audit.adjudicate"),
    "training:explore": (
        "?kind=label&p_from=0.5",
        "?kind=label&state=override",
        "?kind=label&sort=unsure",
        "?kind=label&final=adjudicated",
        "?kind=step&final=adjudicated",
        "?kind=step",
        "?kind=step&state=override",
        "?kind=audit",
        "?kind=comparison",
        f"?kind=audit&text={PEER_SAYS.split()[0]}",
    ),
    "training:explore_counts": ("?kind=label", "?kind=step", "?kind=audit", "?kind=comparison"),
    "training:explore_export": ("?kind=label", "?kind=step", "?kind=audit", "?kind=comparison"),
    "search": (f"?q={PEER_SAYS.split()[0]}",),
    "api-search": (f"?q={PEER_SAYS.split()[0]}",),
}
"""Other ways of asking the same address."""


def walk(
    client: Client, made: FinishedRun, queues: tuple[AuditQueue, AuditQueue], user: User
) -> Iterator[tuple[str, str, Any]]:
    """Every address with its answers, as a page and as a fragment; of exports every form."""
    for name, url in addresses(made, queues, user):
        asked = [url, *(url + query for query in VARIANTS.get(name, ()))]
        if name == "training:export_feedback":
            forms = (("labels", "parquet"), ("labels", "icai"), ("traces", "jsonl"), ("traces", "parquet"))
            asked += [reverse(name, args=[made.run.pk, *form]) for form in forms]
        if name == "training:export_file":
            files = [_export(user, kind, *form) for kind in KINDS for form in (("icai", "all"), ("jsonl", "all"))]
            asked += [reverse(name, args=[one.pk]) for one in files]
        if name == "training:build":
            asked.append(reverse(name, args=[made.builds[0].pk]))
        if name == "training:checkpoint":
            asked.append(reverse(name, args=[made.sft.pk]))
        for address in asked:
            for headers in ({}, {"HX-Request": "true"}):
                yield name, address, client.get(address, headers=headers)


def text_of(response: Any) -> str:
    content = b"".join(response.streaming_content) if response.streaming else response.content
    return str(content.decode("utf-8", "replace")) + str(dict(response.headers))


def test_no_address_tells_an_auditor_what_they_have_yet_to_judge(
    made: FinishedRun, queues: tuple[AuditQueue, AuditQueue], jonas: User
) -> None:
    leaks = []
    for name, address, response in walk(signed_in(jonas), made, queues, jonas):
        assert response.status_code < 500, address
        assert response.status_code != 405 or POSTED_ONLY.fullmatch(name), name
        text = text_of(response)
        leaks += [f"{address}: {mark}" for mark in marks(made) if re.search(mark, text)]
    assert not leaks, "\n".join(leaks)


def test_the_same_walk_tells_somebody_who_does_not_judge_everything(
    made: FinishedRun, queues: tuple[AuditQueue, AuditQueue], jonas: User
) -> None:
    found = set()
    for _, _, response in walk(signed_in(made.run.created_by), made, queues, jonas):
        text = text_of(response)
        found |= {mark for mark in marks(made) if re.search(mark, text)}
    assert found == set(marks(made)), "a mark that nobody ever sees proves nothing"


def test_no_answer_to_a_post_tells_it_either(
    made: FinishedRun, queues: tuple[AuditQueue, AuditQueue], jonas: User
) -> None:
    client, label, step = signed_in(jonas), made.labels[0], made.steps[0]
    for choice in ("a", "b"):
        said = {"choice": choice, "idempotency_key": str(uuid4())}
        assert client.post(reverse("training:label", args=[label.pk]), said).status_code == 403
        verdict = {"id": str(uuid4()), "label": label.pk, "verdict": "override", "choice": choice}
        assert client.post(reverse("api-audits-list"), verdict, "application/json").status_code == 409
    said = {"verdict": "agree", "idempotency_key": str(uuid4())}
    assert client.post(reverse("training:audit_step", args=[step.pk]), said).status_code == 403
    for item in (label, step):
        with pytest.raises(Refused, match="judge it blind"):
            make_scenario(user=jonas, item=item)


def test_streams_name_what_happened_and_nothing_else() -> None:
    assert [part.name for part in fields(Message)] == ["kind", "stage", "id"]


def test_it_is_told_after_the_choice_a_refusal_or_a_look(
    made: FinishedRun, queues: tuple[AuditQueue, AuditQueue], jonas: User
) -> None:
    labels, client = list(made.labels), signed_in(jonas)
    assert hides_judgement(jonas, labels).labels == {label.pk for label in labels}
    given = Reservation.objects.get(auditor=jonas, queue=queues[0])
    while given.item.label is None:
        refuse_item(user=jonas, reservation=given)
        given = taken(jonas, queues[0])
    choose_blind(user=jonas, reservation=given, key=uuid4(), choice="a")
    other = taken(jonas, queues[0])
    while other == given or other.item.label is None:
        choose_blind(user=jonas, reservation=other, key=uuid4(), choice="a")
        refuse_item(user=jonas, reservation=other)
        other = taken(jonas, queues[0]) if other != given else other
        if other == given:
            break
    left = [label for label in labels if label in hides_judgement(jonas, labels)]
    assert given.item.label not in left and left
    client.post(reverse("training:look_at_label", args=[left[0].pk]))
    assert left[0] not in hides_judgement(jonas, labels)
    assert "AI preferred" in client.get(reverse("training:label", args=[left[0].pk])).content.decode()
    client.post(reverse("training:look_at_step", args=[made.steps[0].pk]))
    page = client.get(reverse("training:trace", args=[made.steps[0].trace_id])).content.decode()
    assert PEER_SAYS in page
