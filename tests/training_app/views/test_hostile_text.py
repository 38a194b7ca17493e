"""What a model writes is shown and never obeyed, on every page that shows it."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client

from constitutions_app.models import Constitution
from tests.training_app import factories
from tests.training_app.factories import FinishedRun
from tests.training_app.views.test_access import POST_ONLY, addresses
from training_app.models import Audit

pytestmark = pytest.mark.django_db

MARKUP = '<script>alert(1)</script><img src=x onerror=alert(2)>"><svg/onload=alert(3)>'
TERMINAL = "\x1b]0;owned\x07\x1b[2J\x9b31m"
TURNED = "user\u202enimda\u2066\u200bzero"
HOSTILE = f"{MARKUP}{TERMINAL}{TURNED}{{{{ 7|add:7 }}}}{{% now 'Y' %}}"


@pytest.fixture
def attacked(ada: User, jonas: User) -> FinishedRun:
    made = factories.finished_run(ada, red_team=[f"{HOSTILE} {number}" for number in range(3)], answer=HOSTILE)
    Audit.objects.create(auditor=jonas, label=made.labels[0], verdict="comment", comment=HOSTILE, blind=False)
    Audit.objects.create(auditor=jonas, step=made.steps[0], verdict="comment", comment=HOSTILE, blind=False)
    factories.update(made.run, name=TURNED, reason=HOSTILE, advice=HOSTILE, state="failed")
    Constitution.objects.filter(versions=made.run.version_id).update(name=TURNED)
    factories.update(
        made.run.stages.get(slug="sft"), state="failed", reason=HOSTILE, advice=HOSTILE, notes=[HOSTILE],
        summary={HOSTILE: HOSTILE},
    )  # fmt: skip
    log = made.run.stages.get(slug="sft").folder / "log.txt"
    log.write_text(HOSTILE)
    return made


NO_PAGES = {"run_events", "run_file", "stage_log", "export_feedback", "explore_export", "model_card", "evidence"}
"""Streams and downloads: what they hold is no markup."""


def test_markup_control_characters_and_turned_text_are_inert_everywhere(
    auditor: Client, engineer: Client, attacked: FinishedRun
) -> None:
    assert auditor.get(addresses(attacked)["export_feedback"])["Content-Disposition"].startswith("attachment")
    shown = set()
    for name, url in addresses(attacked).items():
        if name in POST_ONLY | NO_PAGES:
            continue
        page = (engineer if name in ("launch", "stop_run") else auditor).get(url).content.decode()
        for forbidden in ("<script>alert", "<img src=x", "<svg/onload", "\x1b", "\x9b", "\u202e", "\u2066", "\u200b"):
            assert forbidden not in page, (name, forbidden)
        if "&lt;script&gt;alert(1)" in page:
            shown.add(name)
    assert shown == {
        "run", "stage", "audit", "traces", "trace", "labels", "label", "build", "explore", "adjudicate_label",
        "adjudicate_step",
    }  # fmt: skip


def test_text_of_a_megabyte_is_cut_and_counted(auditor: Client, ada: User) -> None:
    made = factories.finished_run(ada, red_team=["Short?", "Also short?"], answer="word " * 200_000)
    for name in ("trace", "label", "traces", "labels", "run", "build"):
        response = auditor.get(addresses(made)[name])
        assert response.status_code == 200
        assert len(response.content) < 700_000, name
    assert "980,000 more characters" in auditor.get(addresses(made)["label"]).content.decode()
