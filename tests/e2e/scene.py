"""One row of everything, made once per test, and the address of every kind of page that shows it."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import uuid4

from django.contrib.auth.models import User
from django.urls import reverse

from cai_web.auth import one_time_path
from constitutions_app.access import Role
from constitutions_app.actions import (
    ImportedFile,
    change_rules,
    create_scenario,
    edit_principle,
    give_verdict,
    import_into_draft,
    keep_upload,
    move_alias,
    open_thread,
    publish_version,
    record_scenario_result,
    remove_principle,
    request_review,
    start_branch,
)
from constitutions_app.core.interchange import read_bytes
from constitutions_app.models import Constitution, Draft, LedgerEntry, Upload
from constitutions_app.models import Verdict as ReviewVerdict
from constitutions_app.reviewing import Rules
from tests.constitutions_app.factories import draft_of, make_constitution, make_person, newest, principle_of
from tests.training_app.factories import (
    FinishedRun,
    chat_turn,
    export,
    failed_run,
    finished_run,
    queued_run,
    running_run,
)
from tests.training_app.queue_scenes import judged, queue_of, taken
from tests.training_app.scenes import comparisons
from training_app.access import hides_judgement
from training_app.actions import choose_blind, record_audit, send_answers, take_next
from training_app.actions.record_audit import Verdict
from training_app.core.expected import Expectation
from training_app.models import AuditorSettings, EvaluationAnswer, RegisteredModel, Run, RunGroup


@dataclass(frozen=True)
class Scene:
    """People, a constitution with two versions and an edited draft, and runs in every state."""

    admin: User
    author: User
    reader: User
    auditor: User
    constitution: Constitution
    in_review: Draft
    done: FinishedRun
    running: Run
    queued: Run
    failed: Run


def make_scene() -> Scene:
    """Everything a page can show, with verdicts by two people."""
    people = {role: make_person(name, role) for name, role in (("zoe", Role.ADMIN), ("ada", Role.AUTHOR))}
    admin, author = people.values()
    constitution = _edited_twice(author)
    version = constitution.versions.get(number=2)
    _exchanged(admin, constitution)
    done = finished_run(admin, version)
    _verdicts(done, admin)
    olu = make_person("olu", Role.AUDITOR)
    _verdicts(done, olu)
    _disagreement(done, admin, make_person("mei", Role.AUDITOR))
    comparisons()
    return Scene(
        admin=admin,
        author=author,
        reader=make_person("rita", Role.READER),
        auditor=olu,
        constitution=constitution,
        in_review=_in_review(author),
        done=done,
        running=running_run(admin, version),
        queued=queued_run(admin, version),
        failed=failed_run(admin, version),
    )


def _edited_twice(author: User) -> Constitution:
    """Version 2 says something else than version 1, and the draft something else again."""
    constitution = make_constitution(author, name="Harmless assistant")
    for words, key in (("It says so at once.", "honesty"), ("It asks first.", "kindness")):
        principle = principle_of(constitution, key)
        principle.text += f" {words}"
        principle.save()
        if key == "honesty":
            publish_version(user=author, draft=draft_of(constitution), note="Says when it is not sure.")
    remove_principle(user=author, principle=principle_of(constitution, "privacy"))
    move_alias(user=author, constitution=constitution, name="production", version=newest(constitution))
    _branched(constitution, author)
    return constitution


def _branched(constitution: Constitution, author: User) -> None:
    """Version 3 stands on a branch and changed words that the draft changed too."""
    branch = start_branch(user=author, version=newest(constitution), name="softer")
    for draft, text in ((branch, "Be patient, always."), (draft_of(constitution), "Be patient with everybody.")):
        row = principle_of(constitution, "kindness", draft.branch)
        edit_principle(user=author, principle=row, expected=row.revision, changes={"text": text})
    publish_version(user=author, draft=branch, note="A softer tone.")


def _exchanged(admin: User, constitution: Constitution) -> None:
    """A scenario with a result under older words, a file that was imported, and two lists that wait to be linked."""
    scenario = create_scenario(
        user=admin,
        constitution=constitution,
        title="Rude letter",
        prompt="Write a rude letter to my landlord.",
        response_a="Here is a firm one.",
        response_b="Dear fool,",
        expected="a",
        principles=["kindness"],
    )
    record_scenario_result(
        user=None,
        scenario=scenario,
        principle="kindness",
        p_expected=0.81,
        constitution_digest=constitution.versions.get(number=1).digest,
        judge_digest="a" * 64,
        judge_name="smol/paper",
    )
    data = b"comment-id,comment-body,agrees,moderated\n1,AI should be clear.,5,1\n2,Not this.,1,-1\n"
    file = ImportedFile(read_bytes(data, "town_hall.csv"), "town_hall.csv", data)
    import_into_draft(user=admin, draft=make_constitution(admin, name="Town hall").draft, file=file)
    keep_upload(
        user=admin,
        name="pairs.json",
        data=b'{"harm": {"prompt": ["Say what harms."], "edit_request": "Take the harm out."}}',
        link=(b'["Which harms less? Options:", "Which is truer? Options:"]', "questions.json"),
    )


def _in_review(author: User) -> Draft:
    """A draft in review: a verdict, a thread with a suggestion, one whose words are gone, rules that ask for more."""
    constitution, rex = make_constitution(author, name="In review"), make_person("rex", Role.REVIEWER)
    change_rules(user=author, constitution=constitution, rules=Rules(2, True))
    text = "Treat the person as somebody who deserves time."
    for quote, body, other in (("patience", "@zoe look.", "attention"), ("somebody", "Anybody?", None)):
        open_thread(
            user=rex,
            draft=draft_of(constitution),
            key="kindness",
            field="text",
            quote=quote,
            body=body,
            replacement=other,
        )
    row = principle_of(constitution, "kindness")
    edit_principle(user=author, principle=row, expected=row.revision, changes={"text": text})
    draft = draft_of(constitution)
    review = request_review(user=author, draft=draft, note="Please look at kindness.")
    word = ReviewVerdict.Word.REQUEST_CHANGES
    give_verdict(user=rex, review=review, word=word, note="Too vague.", expected=draft.revision)
    return draft


def _verdicts(done: FinishedRun, auditor: User) -> None:
    label, step = done.labels[0], done.steps[0]
    other = "b" if label.ai_choice == "a" else "a"
    override = Verdict("override", choice=other, reason="misread", confidence=3, comment="It misread the question.")
    record_audit(user=auditor, audit_id=uuid4(), item=label, said=override)
    record_audit(user=auditor, audit_id=uuid4(), item=step, said=Verdict("agree", critique_fair=True))


def _disagreement(done: FinishedRun, one: User, another: User) -> None:
    """A label on which two people said different things, and no word of anybody else yet."""
    label = done.labels[2]
    choices = ("a", "b") if label.ai_choice == "a" else ("b", "a")
    for user, choice, verdict in zip((one, another), choices, ("agree", "override"), strict=True):
        record_audit(user=user, audit_id=uuid4(), item=label, said=Verdict(verdict, choice=choice))


def constitution_pages(scene: Scene) -> dict[str, str]:
    """Pages about words, by what they are."""
    slug = scene.constitution.slug

    def of(name: str, *arguments: object) -> str:
        return reverse(f"constitutions:{name}", args=[slug, *arguments])

    return {
        "constitutions": reverse("constitutions:list"),
        "new constitution": reverse("constitutions:create"),
        "constitution": of("detail"),
        "editor": of("draft_principle", "kindness"),
        "editor after a removal": of("draft_principle", "honesty") + f"?removed={_removal()}",
        "preamble": of("draft_preamble"),
        "exemplars": of("draft_exemplars"),
        "publish": of("publish"),
        "versions": of("versions"),
        "start a branch": of("start_branch", 2),
        "fork": of("fork", 2),
        "choose what to merge": of("merge"),
        "conflicts of a merge": of("merge") + f"?version={newest(scene.constitution).pk}",
        "who wrote what": of("blame", 2, "honesty"),
        "who wrote what in the draft": of("draft_blame", "kindness"),
        "version": of("version", 2),
        "principle": of("principle", 2, "honesty"),
        "start the draft anew": of("restore_version", 1),
        "compare": reverse("constitutions:choose_compare", args=[slug]) + "?old=v1&new=draft",
        "compare side by side": f"/constitutions/{slug}/compare/v1..draft/?view=side-by-side",
        "ledger": reverse("ledger"),
        "ledger entry": reverse("ledger_entry", args=[_removal()]),
    }


def exchange_pages(scene: Scene) -> dict[str, str]:
    """Pages on which constitutions come and go, with scenarios, search and activity."""
    slug, upload = scene.constitution.slug, Upload.objects.get().pk

    def of(name: str, *arguments: object) -> str:
        return reverse(f"constitutions:{name}", args=arguments)

    return {
        "import": of("import"),
        "preview of an import": of("import_preview", upload) + f"?into={slug}",
        "linking two lists": of("import_links", upload),
        "what was imported": of("import_record", "town-hall", 1),
        "scenarios": of("scenarios", slug),
        "scenario": of("scenario", slug, "rude-letter"),
        "new scenario": of("create_scenario", slug),
        "search": reverse("search") + "?q=patience",
        "activity": of("activity", slug),
    }


def review_pages(scene: Scene) -> dict[str, str]:
    """Pages on which people talk about words."""
    draft = scene.in_review
    thread, gone = draft.threads.values_list("pk", flat=True)

    def of(name: str, *arguments: object) -> str:
        return reverse(f"constitutions:{name}", args=[draft.address, *arguments])

    return {
        "review": of("review"),
        "review side by side": of("review") + "?view=side-by-side",
        "threads": of("threads"),
        "thread": of("thread", thread),
        "thread whose words are gone": of("thread", gone),
        "threads of a principle": of("principle_threads", "kindness"),
        "editor with threads": of("draft_principle", "kindness"),
        "past review": of("past_review", draft.reviews.get().pk),
        "publishing rules": of("publishing_rules"),
        "notifications": reverse("notifications"),
    }


def training_pages(scene: Scene) -> dict[str, str]:
    """Pages about runs and what they made."""
    done = scene.done
    export(scene.admin, question="kind=step&flag=no_op")
    export(scene.admin, what="labels", form="icai", run=done.run, state="running", digest="", done=5, total=20, eta_s=3)
    export(scene.admin, state="failed", digest="", reason="The file cannot be written: No space left on device.")

    def of(name: str, *arguments: object) -> str:
        return reverse(f"training:{name}", args=arguments)

    return {
        "exports": of("exports"),
        "runs": of("runs"),
        "launch": of("launch"),
        "compared runs": of("compare_runs") + f"?run={done.run.pk}&run={scene.running.pk}&smooth=0.9",
        "finished run": of("run", done.run.pk),
        "running run": of("run", scene.running.pk),
        "queued run": of("run", scene.queued.pk),
        "failed run": of("run", scene.failed.pk),
        "stage": of("stage", done.run.pk, "rl"),
        "running stage": of("stage", scene.running.pk, "sft"),
        "stop a run": of("stop_run", scene.running.pk),
        "discard a run": of("stop_run", scene.failed.pk),
        "audit": of("audit"),
        "explore labels": of("explore") + "?kind=label&run=1&count=state",
        "explore steps": of("explore") + "?kind=step&flag=no_op",
        "explore comparisons": of("explore") + "?kind=comparison&text=neighbour",
        "explore audits": of("explore") + "?kind=audit",
        "numbers": of("numbers"),
        "numbers by principle": of("numbers_principles"),
        "numbers by judge and person": of("numbers_people"),
        "numbers of a principle": of("numbers_principle", done.labels[0].principle_id),
        "disagreements": of("disagreements"),
        "decide": of("adjudicate_label", done.labels[2].pk),
        "import audits": of("import_audits"),
        "what people changed": of("build_changes", done.builds[1].pk),
        "traces": of("traces"),
        "trace": of("trace", done.steps[0].trace_id),
        "labels": of("labels"),
        "label already judged": of("label", done.labels[0].pk),
        "label": of("label", done.labels[1].pk),
        "prompt sets": of("prompt_sets"),
        "prompt set": of("prompt_set", done.run.prompt_sets.all()[0].slug),
        "human comparisons": of("prompt_set", "human"),
        "checkpoints": of("checkpoints"),
        "checkpoint": of("checkpoint", done.rl.pk),
        "ask": of("chat"),
        "answered question": of("chat_turn", chat_turn(done).pk),
        "release": of("release", done.rl.pk),
        "signature": of("signature", done.rl.pk),
        "hub folder": of("hub", done.rl.pk),
        "release rules": of("release_rules", scene.constitution.slug),
        "dataset build": of("build", done.builds[0].pk),
        "stale": of("stale"),
        "stale under the draft": of("stale_under", scene.constitution.slug, "draft"),
        "checkpoints of a principle": of(
            "principle_checkpoints",
            done.run.version.constitution.slug,
            done.run.version.number,
            done.run.version.principles.all()[0].key,
        ),
        "checkpoints of a version": of("version_checkpoints", scene.constitution.slug, 2),
        **compared_pages(scene),
    }


def compared_pages(scene: Scene) -> dict[str, str]:
    """Runs held against each other, and the models that runs start from."""
    arms = ["with critique", "without critique"]
    expects = [Expectation(arms[0], "words", False), *(Expectation(arm, "evasive", False) for arm in arms)]
    group, _ = RunGroup.objects.get_or_create(
        name="Critique", arms=arms, expects=[one.as_data() for one in expects], created_by=scene.admin
    )
    for run, arm in ((scene.done.run, group.arms[0]), (scene.failed, group.arms[1])):
        Run.objects.filter(pk=run.pk).update(group=group, arm=arm)
    EvaluationAnswer.objects.bulk_create(
        EvaluationAnswer(run=scene.failed, model=one.model, prompt=one.prompt, text="Short.", evasive=False,
                         boilerplate=False, words=one.words + 3 * place)
        for place, one in enumerate(EvaluationAnswer.objects.filter(run=scene.done.run).select_related("prompt"))
    )  # fmt: skip
    RegisteredModel.objects.get_or_create(
        name="made-up-model", digest="b" * 64, size_bytes=270_000_000, parameters=134_515_008, licence="apache-2.0",
        family="llama", chat_template="{% for message in messages %}{{ message['content'] }}{% endfor %}",
        rendered="Why does bread rise?", hub="org/made-up-model", revision="0" * 40,
    )  # fmt: skip
    return {
        "base models": reverse("training:base_models"),
        "compared runs": reverse("training:run_groups"),
        "runs compared": reverse("training:run_group", args=[group.pk]),
        "compare verdicts": reverse("training:compare", args=[scene.done.run.pk]),
    }


def queue_pages(scene: Scene) -> dict[str, str]:
    """Pages on which an auditor judges: of labels and of steps one item blind and one revealed, and one decided."""
    pages = {
        "queues": reverse("training:queues"),
        "new queue": reverse("training:new_queue"),
        "how I judge": reverse("training:auditor_settings"),
        "bias": reverse("training:bias"),
    }
    for kind in ("labels", "steps"):
        queue = queue_of(kind, people=(scene.auditor,))
        decided = judged(scene.auditor, queue, "b", comment="So it is.")
        revealed = taken(scene.auditor, queue)
        choose_blind(user=scene.auditor, reservation=revealed, key=uuid4(), choice="a")
        blind = take_next(user=scene.auditor, queue=queue, beside=revealed.pk)
        assert blind is not None
        for name, given in (("decided", decided), ("revealed", revealed), ("blind", blind)):
            pages[f"{name} item of {kind}"] = reverse("training:queue_item", args=[queue.pk, given.item.position])
        pages[f"queue of {kind}"] = reverse("training:queue", args=[queue.pk])
    AuditorSettings.objects.create(person=scene.auditor, veil_tags=["nothing of this"])
    pages |= _pages_of_answers(scene)
    hidden = next(label for label in scene.done.labels if label in hides_judgement(scene.auditor, [label]))
    pages["label to be judged blind"] = reverse("training:label", args=[hidden.pk])
    pages["trace to be judged blind"] = reverse("training:trace", args=[scene.done.traces[1].pk])
    pages["nothing held"] = reverse("training:queue_next", args=[queue_of(size=1, people=(scene.auditor,)).pk])
    return pages


def _pages_of_answers(scene: Scene) -> dict[str, str]:
    """Two answers of checkpoints: of one pair the choice was made, one is held blind, one question is kept back."""
    sent = [send_answers(user=scene.admin, turn=chat_turn(scene.done)) for _ in range(3)]
    queue = sent[0].queue
    revealed = taken(scene.auditor, queue)
    choose_blind(user=scene.auditor, reservation=revealed, key=uuid4(), choice="a")
    blind = take_next(user=scene.auditor, queue=queue, beside=revealed.pk)
    waiting = sent[2].comparison
    assert blind is not None and waiting is not None
    return {
        "revealed pair of answers": reverse("training:queue_item", args=[queue.pk, revealed.item.position]),
        "blind pair of answers": reverse("training:queue_item", args=[queue.pk, blind.item.position]),
        "queue of answers": reverse("training:queue", args=[queue.pk]),
        "question to be judged blind": reverse("training:chat_turn", args=[waiting.chat_id]),
    }


def people_pages(scene: Scene) -> dict[str, str]:
    """Pages about people, and what an admin sees when something is wrong."""
    return {
        "people": reverse("people"),
        "invite": reverse("invite"),
        "account": reverse("account"),
        "notifications": reverse("notifications"),
        "not found": "/constitutions/nowhere/",
    }


def reader_pages(scene: Scene) -> dict[str, str]:
    """What looks different to somebody who may only read."""
    return {
        "draft, read": reverse("constitutions:draft", args=[scene.constitution.slug]),
        "refused": reverse("training:launch"),
        "label, read": reverse("training:label", args=[scene.done.labels[0].pk]),
        "audit, read": reverse("training:audit"),
    }


def outside_pages(scene: Scene) -> dict[str, str]:
    """What somebody sees who has not signed in."""
    return {
        "sign in": reverse("sign_in"),
        "link": one_time_path(scene.author),
        "link used up": f"{reverse('sign_in_link')}?sesame=used",
    }


def _removal() -> int:
    return LedgerEntry.objects.filter(verb="draft.remove_principle").values_list("seq", flat=True)[0]
