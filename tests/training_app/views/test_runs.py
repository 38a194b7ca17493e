from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from tests.training_app import factories
from tests.training_app.factories import FinishedRun
from tests.training_app.views.conftest import Queries
from training_app.actions import continue_run
from training_app.models import MetricPoint, Run
from training_app.views.paging import page_of

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}


def run_url(run: Run) -> str:
    return reverse("training:run", args=[run.pk])


def test_the_list_explains_itself_when_it_is_empty(engineer: Client, reader: Client) -> None:
    assert "Launch a run" in engineer.get("/runs/").content.decode()
    page = reader.get("/runs/").content.decode()
    assert "No runs yet" in page
    assert "Engineers launch them" in page
    assert "/runs/new/" not in page


def test_the_list_shows_state_and_stage_in_words(engineer: Client, ada: User) -> None:
    factories.running_run(ada)
    page = engineer.get("/runs/").content.decode()
    assert 'data-state="running"' in page
    assert "SL-CAI, 64%, 2 min left" in page


def test_the_list_filters_by_state_and_says_when_nothing_fits(engineer: Client, ada: User) -> None:
    factories.queued_run(ada)
    assert "0 of 8" in engineer.get("/runs/?state=queued").content.decode()
    assert "No run fits these filters" in engineer.get("/runs/?state=failed").content.decode()
    page = engineer.get("/runs/?state=nonsense").content.decode()
    assert "0 of 8" in page and "It filters nothing." in page


def test_the_list_filters_by_what_a_run_was_launched_with(
    engineer: Client, auditor: Client, reader: Client, stranger: Client, ada: User, jonas: User
) -> None:
    first = factories.queued_run(ada, factories.published_version(ada), name="Evening <b>")
    second = factories.queued_run(jonas, factories.published_version(jonas), preset="small", name="morning")
    Run.objects.filter(pk=second.pk).update(
        base_model={"name": "other", "path": "other"},
        config=second.config | {"rl": second.config["rl"] | {"algorithm": "ppo"}},
    )
    alone = factories.queued_run(ada, first.version)
    alone.stages.filter(slug__in=("rl", "reward")).delete()

    def found(query: str, client: Client = engineer) -> set[Run]:
        page = client.get(f"/runs/?{query}").content.decode()
        assert "<b>" not in page
        return {run for run in (first, second, alone) if f'value="{run.pk}" form="compare-runs"' in page}

    assert found("") == {first, second, alone}
    assert found("name=EVEN") == found("name=%3Cb") == {first}
    assert found(f"name=%23{second.number}") == found(f"name={second.number}") == {second}
    assert found("name=%25") == found("name=a_b") == set()
    assert found("version=harmless-assistant") == {first, second, alone}
    assert found(f"version=harmless-assistant%40{second.version.number}") == found("preset=small") == {second}
    assert found("algorithm=ppo") == found("model=other") == found(f"by={jonas.pk}") == {second}
    assert found("algorithm=grpo") == {first} and found("algorithm=sft_only") == {alone}
    assert found(f"algorithm=grpo&by={ada.pk}&state=queued") == {first}
    assert found("algorithm=dpo") == set()
    first.prompt_sets.set([factories.prompt_set("helpful", ["Hello?"], slug="hello")])
    assert found("prompts=hello") == {first}
    for rubbish in ("version=harmless-assistant@9", "by=0", "by=x", "model=none", "algorithm=rl"):
        assert found(rubbish) == {first, second, alone}, "it filters nothing, and says so"
    for client in (auditor, reader):
        assert found("preset=small", client) == {second}
    assert stranger.get("/runs/?preset=small").status_code == 403


def test_the_filters_are_kept_from_page_to_page(
    engineer: Client, ada: User, monkeypatch: pytest.MonkeyPatch, queries: Queries
) -> None:
    version = factories.published_version(ada)
    for number in range(5):
        factories.queued_run(ada, version, name=f"evening {number}" if number % 2 == 0 else "morning")
    monkeypatch.setattr(page_of, "__kwdefaults__", {**(page_of.__kwdefaults__ or {}), "size": 2})
    page = engineer.get("/runs/?name=evening&preset=demo", headers=HTMX).content.decode()
    assert "evening 4" in page and "evening 2" in page and "morning" not in page
    assert 'href="?name=evening&amp;preset=demo&amp;after=3"' in page
    assert "evening 0" in engineer.get("/runs/?name=evening&preset=demo&after=3").content.decode()
    few = queries(engineer, "/runs/?name=evening&algorithm=grpo")
    factories.queued_run(ada, factories.published_version(ada), name="evening 5")
    assert queries(engineer, "/runs/?name=evening&algorithm=grpo") == few


def test_the_list_answers_htmx_with_the_rows_alone(engineer: Client, ada: User) -> None:
    factories.queued_run(ada)
    fragment = engineer.get("/runs/", headers=HTMX).content.decode()
    assert "<table" in fragment
    assert "<html" not in fragment


def test_the_list_takes_as_many_queries_for_many_runs(engineer: Client, ada: User, queries: Queries) -> None:
    version = factories.published_version(ada)
    factories.queued_run(ada, version)
    few = queries(engineer, "/runs/")
    for _ in range(6):
        factories.queued_run(ada, version)
    assert queries(engineer, "/runs/") == few


def test_a_finished_run_shows_results_curves_and_configuration(engineer: Client, finished: FinishedRun) -> None:
    page = engineer.get(run_url(finished.run)).content.decode()
    assert "succeeded" in page
    assert "CPU (2 threads)" in page
    assert 'id="rl-reward"' in page
    assert "0.58 [0.38, 0.66]" in page  # a win rate with its interval
    assert reverse("training:checkpoint", args=[finished.rl.pk]) in page
    assert "Answers per prompt" in page
    assert "data-sse=" not in page  # nothing more will come


def test_a_run_prints_only_the_options_that_it_reads(engineer: Client, ada: User) -> None:
    run = factories.queued_run(ada)
    page = engineer.get(run_url(run)).content.decode()
    assert "<dt>KL weight</dt>" in page
    for unread in ("PPO clip", "Principles per judged answer", "DPO beta"):
        assert f"<dt>{unread}</dt>" not in page
    assert "What this run does not read is left out" in page
    run.config["rl"] |= {"algorithm": "ppo"}
    run.save()
    assert "<dt>PPO clip</dt><dd>0.2</dd>" in engineer.get(run_url(run)).content.decode()
    assert "<dt>PPO clip</dt><dd>0.2</dd>" in engineer.get(f"{run_url(run)}stages/rl/").content.decode()
    assert "clip: 0.2" in engineer.get(f"{run_url(run)}run.yaml").content.decode()


def test_a_run_that_goes_on_from_another_says_whose_the_values_before_its_own_stages_are(
    engineer: Client, ada: User, finished: FinishedRun
) -> None:
    page = engineer.get(run_url(continue_run(user=ada, source=finished.run, seed=1))).content.decode()
    assert "<dt>Rounds</dt>" in page
    assert "stages it does not have" not in page
    link = f'<a href="{run_url(finished.run)}">the run it goes on from</a>'
    assert f"own stages was done by {link}, with the values shown for those stages." in page


def test_a_run_on_ai_labels_alone_still_says_how_the_run_it_goes_on_from_counted_verdicts(
    engineer: Client, ada: User, finished: FinishedRun
) -> None:
    run = continue_run(user=ada, source=finished.run, seed=1, overrides={"audits": False})
    page = engineer.get(run_url(run)).content.decode()
    assert "<dt>Overridden revisions</dt>" in page and "<dt>Overridden labels</dt>" not in page
    assert "for those stages; there people" in page and "s verdicts counted." in page
    both = engineer.get(f"/runs/compare/?run={finished.run.pk}&run={run.pk}").content.decode()
    assert "Train on verdicts" in both and "Overridden revisions" not in both, "in that they do not differ"
    cloned = engineer.get(f"/runs/new/?like={run.pk}").content.decode()
    assert f'went on from the labels of <a href="{run_url(finished.run)}">run {finished.run.number}</a>' in cloned
    assert f"in run {finished.run.number} people" in cloned and "s verdicts counted" in cloned
    assert 'id="went-on"' not in engineer.get(f"/runs/new/?like={finished.run.pk}").content.decode()


def test_a_running_run_listens_from_behind_its_newest_event(engineer: Client, ada: User) -> None:
    run = factories.running_run(ada)
    newest = run.stages.get(slug="revise").events.latest("pk").pk
    page = engineer.get(run_url(run)).content.decode()
    assert f'data-sse="{run_url(run)}events/" data-sse-after="{newest}"' in page
    assert "64%, 2 min left" in page


def test_the_time_left_of_the_whole_run_comes_with_its_stages(engineer: Client, ada: User, queries: Queries) -> None:
    run = factories.running_run(ada)
    fragment = engineer.get(f"{run_url(run)}?part=stages", headers=HTMX).content.decode()
    assert "progress" in fragment.partition('data-sse-refresh="')[2].partition('"')[0]
    assert "At least 2 min left</strong>, 5 stages to come." in fragment
    assert "No run with this preset and model has finished yet" in fragment
    assert "at least 2 min left" in engineer.get("/runs/").content.decode()
    factories.finished_run(ada)
    page = engineer.get("/runs/").content.decode()
    assert page.count("min left</span>") == 1, "an ended run has nothing left"
    page = engineer.get(run_url(run)).content.decode()
    assert "By its own pace and by 1 earlier run" in page
    assert "None yet. SL-CAI, Reward model and RL-CAI each leave one." in page
    few = queries(engineer, "/runs/")
    for _ in range(3):
        factories.running_run(ada)
    assert queries(engineer, "/runs/") == few


def test_what_a_stage_uses_is_drawn_while_it_runs_whether_it_trains_or_not(engineer: Client, ada: User) -> None:
    run = factories.running_run(ada)
    run.stages.filter(slug="sft").update(state="waiting", started_at=None)
    generate = factories.update(run.stages.get(slug="generate"), state="running")
    factories.curve(generate, "use_memory", 5, 1.0, 2.0)
    fragment = engineer.get(f"{run_url(run)}?part=curves", headers=HTMX).content.decode()
    assert "Memory, GiB" in fragment
    factories.update(generate, state="succeeded")
    assert "No training stage has begun." in engineer.get(f"{run_url(run)}?part=curves", headers=HTMX).content.decode()


@pytest.mark.parametrize("part", ["head", "stages", "curves", "newest", "log", "results"])
def test_each_part_of_a_live_page_comes_alone(engineer: Client, ada: User, part: str) -> None:
    run = factories.running_run(ada)
    fragment = engineer.get(f"{run_url(run)}?part={part}", headers=HTMX).content.decode()
    assert "<html" not in fragment
    assert f"?part={part}" in fragment  # it will ask for itself again


def test_an_ended_run_stops_the_polling_of_pages_left_open(engineer: Client, finished: FinishedRun) -> None:
    fragment = engineer.get(f"{run_url(finished.run)}?part=head", headers=HTMX).content.decode()
    assert "data-sse-end" in fragment


def test_an_unknown_part_is_not_found(engineer: Client, finished: FinishedRun) -> None:
    assert engineer.get(f"{run_url(finished.run)}?part=everything", headers=HTMX).status_code == 404


def test_a_failed_run_says_what_happened_what_was_kept_and_what_to_do(engineer: Client, ada: User) -> None:
    run = factories.failed_run(ada)
    page = engineer.get(run_url(run)).content.decode()
    assert "The run failed at Revise." in page
    assert "ran out of memory" in page
    assert "Clone the run with a smaller batch." in page
    assert "Exit code 1" in page
    assert "is kept" in page
    assert reverse("training:resume_run", args=[run.pk]) in page
    assert "No training stage began." in page and "None: no training stage came to its end." in page
    assert "yet" not in page.partition('id="curves"')[2].partition("Configuration")[0], "nothing more will come"


def test_a_reader_sees_no_way_to_steer(reader: Client, ada: User) -> None:
    for run in (factories.running_run(ada), factories.failed_run(ada)):
        page = reader.get(run_url(run)).content.decode()
        assert "Stop and keep" not in page
        assert "Resume" not in page


def test_the_page_takes_as_many_queries_for_long_runs(
    engineer: Client, finished: FinishedRun, queries: Queries
) -> None:
    few = queries(engineer, run_url(finished.run))
    stage = finished.run.stages.get(slug="sft")
    MetricPoint.objects.bulk_create(
        MetricPoint(stage=stage, name="entropy", step=step, value=step) for step in range(500)
    )
    assert queries(engineer, run_url(finished.run)) == few <= 25


def test_stopping_asks_first_and_then_stops(engineer: Client, ada: User) -> None:
    run = factories.running_run(ada)
    url = reverse("training:stop_run", args=[run.pk])
    assert "is kept" in engineer.get(url).content.decode()
    run.refresh_from_db()
    assert run.state == "running"
    response = engineer.post(url, follow=True)
    run.refresh_from_db()
    assert run.state == "stopping"
    assert "It stops at the next safe place." in response.content.decode()


def test_stopping_an_ended_run_says_that_nothing_was_changed(engineer: Client, finished: FinishedRun) -> None:
    response = engineer.post(reverse("training:stop_run", args=[finished.run.pk]), follow=True)
    assert "nothing was changed" in response.content.decode()


def test_a_failed_run_is_resumed_and_a_succeeded_one_is_not(
    engineer: Client, ada: User, finished: FinishedRun, without_queue: None
) -> None:
    run = factories.failed_run(ada)
    response = engineer.post(reverse("training:resume_run", args=[run.pk]), follow=True)
    run.refresh_from_db()
    assert run.state == "queued"
    assert "Finished stages are not done twice" in response.content.decode()
    response = engineer.post(reverse("training:resume_run", args=[finished.run.pk]), follow=True)
    assert "only an ended, unfinished run is resumed" in response.content.decode()


def test_a_stage_page_shows_what_it_was_told_and_what_it_said(engineer: Client, finished: FinishedRun) -> None:
    page = engineer.get(reverse("training:stage", args=[finished.run.pk, "rl"])).content.decode()
    assert "KL weight" in page
    assert 'id="rl-kl"' in page
    assert "finished" in page
    assert engineer.get(reverse("training:stage", args=[finished.run.pk, "nonsense"])).status_code == 404
    read = {"prompt_tokens": {"computed": 8123, "reused": 30511}}
    finished.run.stages.filter(slug="revise").update(summary=read)
    page = engineer.get(reverse("training:stage", args=[finished.run.pk, "revise"])).content.decode()
    assert "<dt>Prompt tokens</dt><dd>reused 30,511, computed 8,123</dd>" in page
    finished.run.stages.filter(slug="label").update(summary={"p_a_mean": 0.5134, "same_position": 0.875})
    page = engineer.get(reverse("training:stage", args=[finished.run.pk, "label"])).content.decode()
    assert "<dt>Mean p(A)</dt><dd>0.513</dd><dt>Same place in both orders</dt><dd>88%</dd>" in page


def test_a_log_is_shown_at_its_end_and_downloaded_whole(engineer: Client, ada: User) -> None:
    run = factories.running_run(ada)
    log = run.stages.get(slug="sft").folder / "log.txt"
    log.parent.mkdir(parents=True)
    lines = [f"2026-11-24 15:00:{second:02d},001 INFO step {second}" for second in range(60)] * 3
    log.write_text("\n".join([*lines, "2026-11-24 15:01:00,001 WARNING \x1b[31mred <script>alert(1)</script>"]))
    page = engineer.get(run_url(run)).content.decode()
    assert 'data-level="warning">15:01:00' in page
    assert "<script>alert" not in page
    assert "\x1b" not in page
    response: Any = engineer.get(reverse("training:stage_log", args=[run.pk, "sft"]))
    assert response["Content-Disposition"].startswith("attachment")
    assert response["Content-Type"].startswith("text/plain")
    assert b"".join(response.streaming_content).count(b"\n") == 180


def test_a_stage_without_a_log_has_nothing_to_download(engineer: Client, finished: FinishedRun) -> None:
    assert engineer.get(reverse("training:stage_log", args=[finished.run.pk, "sft"])).status_code == 404


def test_the_top_bar_says_what_is_under_way(engineer: Client, ada: User, queries: Queries) -> None:
    assert engineer.get("/status/").content.decode().strip() == ""
    factories.queued_run(ada)
    assert "run 1 queued" in engineer.get("/status/").content.decode()
    factories.running_run(ada)
    status = engineer.get("/status/").content.decode()
    assert "training SL-CAI 64%, 2 min left" in status
    assert "1 queued" in status
    assert queries(engineer, "/status/") <= 5  # session, person, roles, runs, stage
