"""What others published is imported, read and audited here: the paper's traces, and human comparisons, with figures.

Needs ../shared/data beside the project; without it the test says so and is skipped.
"""

from __future__ import annotations

import gzip
from io import StringIO
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from constitutions_app.access import Role
from constitutions_app.actions import publish_version
from constitutions_app.models import Constitution
from tests.constitutions_app.factories import make_person
from tests.outside import CAI_PAPER, HH_HARMLESS, needs
from tests.training_app import factories
from training_app.actions import load_prompt_set, record_audit
from training_app.actions.record_audit import Verdict
from training_app.models import AILabel, Comparison, Run, TraceStep
from training_app.numbers import report
from training_app.numbers.scope import Scope

COMPARED = 60

pytestmark = [
    pytest.mark.django_db,
    needs(HH_HARMLESS),
]


@pytest.fixture
def zoe() -> User:
    return make_person("zoe", Role.ADMIN)


def test_the_papers_traces_are_imported_read_and_audited(zoe: User) -> None:
    pairs, traces = (
        CAI_PAPER / "prompts" / "CritiqueRevisionInstructions.json",
        CAI_PAPER / "samples" / "PALMS_SLMADISON.jsonl",
    )
    call_command("import_constitution", pairs, user=zoe.username, stdout=StringIO())
    version = publish_version(user=zoe, draft=Constitution.objects.latest("pk").draft, note="As the paper has it.")
    name = f"{version.constitution.slug}@{version.number}"
    call_command("import_traces", traces, constitution=name, stdout=StringIO())
    steps = list(TraceStep.objects.order_by("pk")[:40])
    ben, cleo = (make_person(one, Role.AUDITOR) for one in ("ben", "cleo"))
    for place, step in enumerate(steps):
        for user, overrides in ((ben, place % 4 == 0), (cleo, place % 5 == 0)):
            said = Verdict("override" if overrides else "agree")
            record_audit(user=user, audit_id=uuid4(), item=step, said=said)
    cache.clear()
    client = Client()
    client.force_login(ben)
    trace = client.get(reverse("training:trace", args=[steps[0].trace_id])).content.decode()
    assert steps[0].principle.title in trace and "critique" in trace.casefold()
    whole = report.compute(Scope(version=version.pk))[0]["whole"]
    assert whole["judged"] == 40
    low, high = whole["overridden"]["interval"]
    assert low < whole["overridden"]["value"] < high
    alpha = whole["people_on_steps"]["alpha"]
    assert alpha["interval"][0] < alpha["value"] < alpha["interval"][1] and alpha["n"] == 40
    assert "Krippendorff alpha" in client.get(f"{reverse('training:numbers')}?version={version.pk}").content.decode()


def test_a_judge_is_held_against_auditors_and_against_the_people_of_published_comparisons(zoe: User) -> None:
    lines = b"\n".join(gzip.decompress(HH_HARMLESS.read_bytes()).splitlines()[:COMPARED])
    human = load_prompt_set(user=zoe, content=lines, kind="comparisons", slug="hh-harmless", name="HH harmless")
    comparisons = list(Comparison.objects.filter(prompt_set=human).order_by("pk"))
    labels = [_label(one, zoe, place) for place, one in enumerate(comparisons)]
    ben = make_person("ben", Role.AUDITOR)
    for label in labels:
        choice = label.comparison.human_choice
        verdict = "agree" if choice == label.ai_choice else "override"
        record_audit(user=ben, audit_id=uuid4(), item=label, said=Verdict(verdict, choice=choice, blind=True))
    cache.clear()
    client = Client()
    client.force_login(ben)
    assert "Human" in client.get(reverse("training:prompt_set", args=[human.slug])).content.decode()
    assert client.get(reverse("training:label", args=[labels[0].pk])).status_code == 200
    [judge] = report.compute(Scope())[0]["judges"]
    right = sum(label.ai_choice == label.comparison.human_choice for label in labels) / len(labels)
    for figure in (judge["judge"]["raw"], judge["human"]["raw"]):
        assert figure["value"] == pytest.approx(right) and figure["n"] == len(labels)
        assert 0 < figure["interval"][0] < right < figure["interval"][1] < 1
    page = client.get(reverse("training:numbers_people")).content.decode()
    assert f"of {len(labels)} labels" in page


def _label(comparison: Comparison, user: User, place: int) -> AILabel:
    """What a judge that chooses A in two of three cases says of a human comparison."""
    p_a = 0.8 if place % 3 else 0.3
    run = Run.objects.first() or factories.queued_run(user)
    return AILabel.objects.create(
        run=run, comparison=comparison, principle=run.version.principles.all()[place % 4], judge=factories.judge(),
        question="Which?", sent_ab="", sent_ba="", ab_logp_a=-0.3, ab_logp_b=-1.4, ba_logp_a=-0.3, ba_logp_b=-1.4,
        p_ab=p_a, p_ba=p_a, p_a=p_a, p_a_clamped=p_a, same_position=False,
    )  # fmt: skip
