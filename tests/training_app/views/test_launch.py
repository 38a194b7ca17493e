from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client

from constitutions_app.models import PublishingRules, Version
from tests.training_app import factories, scripted
from training_app.core.config import PRESETS
from training_app.core.expected import Expectation
from training_app.forms import values_of_preset, version_name
from training_app.models import Run, RunGroup
from training_app.options_read import PPO_ONLY
from training_app.refusals import LaunchRefused

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}


@pytest.fixture
def version(ada: User) -> Version:
    """A published version, one base model and one prompt set of each kind."""
    model = Path(settings.MODELS_ROOT) / "tiny"
    model.mkdir(parents=True)
    (model / "config.json").write_text("{}")
    factories.prompt_set("red_team", factories.RED_TEAM, slug="red")
    factories.prompt_set("helpful", factories.HELPFUL, slug="help")
    return factories.published_version(ada)


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch, ada: User) -> list[dict[str, Any]]:
    """What the verb was called with; it makes a queued run and needs no model."""
    calls: list[dict[str, Any]] = []

    def launch(**said: Any) -> Run:
        calls.append(said)
        return factories.queued_run(ada, said["version"])

    monkeypatch.setattr("training_app.views.launch.launch_run", launch)
    return calls


def typed(**changes: Any) -> dict[str, Any]:
    """The form as a browser sends it."""
    values = {name: "" if value is None else value for name, value in values_of_preset("demo").items()}
    values |= {"version": "harmless-assistant@1", "base_model": "tiny", "red_team": ["red"], "helpful": ["help"]}
    values |= {"preset": "demo", "seed": "7", "name": "evening"} | changes
    return {name: value for name, value in values.items() if value is not False}


def test_only_engineers_launch(engineer: Client, auditor: Client, reader: Client, version: Version) -> None:
    assert engineer.get("/runs/new/").status_code == 200
    for client in (auditor, reader):
        assert client.get("/runs/new/").status_code == 403
        assert client.post("/runs/new/", typed()).status_code == 403
    assert not Run.objects.exists()


def test_it_says_what_is_missing_before_anything_is_published(engineer: Client) -> None:
    assert "no published version yet" in engineer.get("/runs/new/").content.decode()


def test_every_effective_value_is_shown_with_its_help(engineer: Client, version: Version) -> None:
    page = engineer.get("/runs/new/").content.decode()
    for path, value in values_of_preset("demo").items():
        assert f'name="{path}"' in page, path
        if isinstance(value, int | float) and not isinstance(value, bool):
            assert re.search(rf'name="{re.escape(path)}" value="{re.escape(str(value))}"', page), path
    assert "How strongly the policy is held near SL-CAI" in page


def test_it_starts_from_the_version_in_the_url(engineer: Client, ada: User, version: Version) -> None:
    factories.published_version(ada)
    page = engineer.get("/runs/new/?version=harmless-assistant@1").content.decode()
    assert '<option value="harmless-assistant@1" selected>' in page


def test_it_starts_from_an_earlier_run(engineer: Client, ada: User, version: Version) -> None:
    run = factories.queued_run(ada, version, preset="small", name="as before")
    run.config["rl"]["steps"] = 33
    run.save()
    page = engineer.get(f"/runs/new/?like={run.pk}").content.decode()
    assert 'name="rl.steps" value="33"' in page
    assert 'value="as before"' in page
    assert engineer.get("/runs/new/?like=nonsense").status_code == 200


def test_a_preset_fills_in_its_values_and_keeps_the_rest(
    engineer: Client, version: Version, launched: list[dict[str, Any]]
) -> None:
    response = engineer.post("/runs/new/", typed(preset="full", fill="1"), headers=HTMX)
    form = response.content.decode()
    assert response.status_code == 200
    assert "<html" not in form
    assert f'name="rl.steps" value="{PRESETS["full"].rl.steps}"' in form
    assert 'value="evening"' in form
    assert launched == []


def test_what_is_shown_is_what_is_launched(engineer: Client, version: Version, launched: list[dict[str, Any]]) -> None:
    response = engineer.post("/runs/new/", typed(**{"rl.steps": "3", "reward.soft_targets": False}))
    assert response.status_code == 302
    [said] = launched
    assert said["version"] == version
    assert [one.slug for one in said["prompt_sets"]] == ["red", "help"]
    assert said["overrides"]["rl"]["steps"] == 3
    assert said["overrides"]["reward"]["soft_targets"] is False
    assert said["overrides"]["generate"]["sampling"]["temperature"] == PRESETS["demo"].generate.sampling.temperature
    assert said["overrides"]["max_prompts"] is None
    assert (said["base_model"], said["preset"], said["seed"], said["name"]) == ("tiny", "demo", 7, "evening")


def test_a_wrong_value_keeps_everything_typed_and_opens_what_must_be_seen(
    engineer: Client, version: Version, launched: list[dict[str, Any]]
) -> None:
    response = engineer.post("/runs/new/", typed(**{"generate.sampling.top_p": "7", "rl.steps": "44"}))
    page = response.content.decode()
    assert response.status_code == 422
    assert "Nothing was launched." in page
    assert 'name="generate.sampling.top_p" value="7"' in page
    assert 'name="rl.steps" value="44"' in page
    assert "less than or equal to 1" in page
    assert '<details class="fold" open>' in page
    assert launched == []


def test_what_a_run_lays_on_the_disk_is_held_against_what_is_free_before_it_is_launched(
    engineer: Client, version: Version, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted.base_model(Path(settings.MODELS_ROOT) / "whole")
    monkeypatch.setattr("training_app.disk.is_elsewhere", lambda: False)
    looked = engineer.post("/runs/new/", typed(base_model="whole", look="1"), headers=HTMX).content.decode()
    assert "Disk: at most" in looked and "Free: " in looked and "This would be refused" not in looked
    monkeypatch.setattr("training_app.disk.free_bytes", lambda: 0)
    looked = engineer.post("/runs/new/", typed(base_model="whole", look="1", seeds="3"), headers=HTMX).content.decode()
    assert "<strong>This would be refused.</strong> The disk has too little room" in looked
    refused = engineer.post("/runs/new/", typed(base_model="whole"))
    assert refused.status_code == 422 and "The disk has too little room" in refused.content.decode()
    assert not Run.objects.exists()
    monkeypatch.setattr("training_app.disk.is_elsewhere", lambda: True)
    looked = engineer.post("/runs/new/", typed(base_model="whole", look="1"), headers=HTMX).content.decode()
    assert "What is free is not known" in looked and "This would be refused" not in looked


@pytest.mark.parametrize("field", ["base_model", "prompt_sets", ""])
def test_a_refusal_is_one_sentence_and_nothing_is_lost(
    engineer: Client, version: Version, monkeypatch: pytest.MonkeyPatch, field: str
) -> None:
    def refuse(**said: Any) -> Run:
        raise LaunchRefused("The model folder has no weights.", field=field)

    monkeypatch.setattr("training_app.views.launch.launch_run", refuse)
    response = engineer.post("/runs/new/", typed(name="kept <b>"))
    page = response.content.decode()
    assert response.status_code == 422
    assert "The model folder has no weights." in page
    assert 'value="kept &lt;b&gt;"' in page
    assert not Run.objects.exists()


def test_a_made_up_version_or_model_is_no_choice(
    engineer: Client, version: Version, launched: list[dict[str, Any]]
) -> None:
    for change in ({"version": "harmless-assistant@9"}, {"base_model": "../../etc"}, {"red_team": ["help"]}):
        assert engineer.post("/runs/new/", typed(**change)).status_code == 422
    assert launched == []


def test_a_real_refusal_of_the_verb_reaches_the_page(engineer: Client, version: Version) -> None:
    response = engineer.post("/runs/new/", typed())  # the model folder holds a config and no weights
    assert response.status_code == 422
    assert "safetensors" in response.content.decode()
    assert not Run.objects.exists()


def test_time_is_claimed_only_after_measurement(engineer: Client, ada: User, version: Version) -> None:
    assert "No measurement yet" in engineer.get("/runs/new/").content.decode()
    finished = factories.finished_run(ada, version)
    Run.objects.filter(pk=finished.run.pk).update(base_model={"name": "tiny"})
    page = engineer.get("/runs/new/").content.decode()
    assert "About 6 min" in page  # eight stages of 45 seconds, for as many prompts
    assert "1 earlier run" in page
    stage = finished.run.stages.get(slug="rl")
    factories.update(stage, finished_at=(stage.started_at or finished.run.created_at) + timedelta(minutes=20))
    assert "About 25 min" in engineer.get("/runs/new/").content.decode()


def test_the_plan_counts_every_side_with_every_seed(engineer: Client, ada: User, version: Version) -> None:
    look = {"look": "1", "seeds": "3"}
    assert "3 runs (1 side " in engineer.post("/runs/new/", typed(**look)).content.decode()
    finished = factories.finished_run(ada, version)
    Run.objects.filter(pk=finished.run.pk).update(base_model={"name": "tiny"})
    other = version_name(factories.published_version(ada))
    page = engineer.post("/runs/new/", typed(**look)).content.decode()
    alone = re.search(r"About (\d+) min", engineer.post("/runs/new/", typed(look="1")).content.decode())
    three = re.search(r"3 runs \(1 side . 3 seeds\): about (\d+) min one after another", page)
    assert alone and three and abs(int(three[1]) - 3 * int(alone[1])) <= 3
    assert "The table is of one run" in page
    assert "6 runs (2 sides " in engineer.post("/runs/new/", typed(**look, also=[other])).content.decode()
    asked = engineer.post("/runs/new/", typed(look="1", seeds="2", arms="algorithm")).content.decode()
    assert "6 runs (3 sides " in asked and "without RL-CAI" in asked, "only GRPO was measured"
    assert "1 side" not in engineer.post("/runs/new/", typed(look="1", seeds="x")).content.decode()


def test_the_plan_says_what_speaks_against_the_other_versions_and_against_too_many(
    engineer: Client, ada: User, version: Version
) -> None:
    others = [factories.published_version(ada) for _ in range(5)]
    PublishingRules.objects.create(constitution=others[0].constitution, required_approvals=1, updated_by=ada)
    chosen = {"also": [version_name(one) for one in others], "look": "1"}
    page = engineer.post("/runs/new/", typed(**chosen, seeds="10")).content.decode()
    assert "Have it reviewed and publish it anew" in page
    assert "60 runs" in page and "At most 64 runs" not in page
    assert "At most 64 runs" in engineer.post("/runs/new/", typed(**chosen, seeds="11")).content.decode()


def test_what_no_query_or_number_can_hold_is_an_error_of_the_form(engineer: Client, version: Version) -> None:
    wild = {
        "preset": "de\x00mo",
        "base_model": "ti\x00ny",
        "rl.steps": "9" * 400,
        "rl.beta": "1e400",
        "seed": "9" * 5000,
    }
    assert engineer.post("/runs/new/", typed(**wild)).status_code == 422
    assert engineer.post("/runs/new/", typed(**wild, fill="1")).status_code == 200
    for nothing in ({}, typed(look="1", **{"reward.human_weight": "", "sft.epochs": "", "rl.steps": "x"})):
        assert engineer.post("/runs/new/", nothing).status_code in (200, 422)
    lost = engineer.post("/runs/new/", typed(idempotency_key="nonsense")).content.decode()
    assert "This page has lost its key" in lost
    assert not Run.objects.exists()


def test_it_warns_when_harmlessness_would_dominate_the_loss(engineer: Client, version: Version) -> None:
    page = engineer.get("/runs/new/").content.decode()
    assert "Harmlessness labels carry 100% of" in page
    assert "Add a set of human comparisons" in page
    for method in ("dpo", "sft_only"):  # no reward model, no loss of one
        assert "labels carry" not in engineer.post("/runs/new/", typed(look="1", method=method)).content.decode()
    sides = engineer.post("/runs/new/", typed(look="1", method="dpo", arms="method")).content.decode()
    assert "labels carry" in sides


@pytest.fixture
def launched_groups(monkeypatch: pytest.MonkeyPatch, ada: User) -> dict[str, Any]:
    """What the newest launch of compared runs was told; nothing is queued."""
    said: dict[str, Any] = {}

    def launch(**given: Any) -> RunGroup:
        said.update(given)
        return RunGroup.objects.create(arms=["x"], created_by=ada)

    monkeypatch.setattr("training_app.views.launch.launch_group", launch)
    return said


def test_the_form_launches_every_side_with_every_seed(
    engineer: Client, version: Version, launched_groups: dict[str, Any]
) -> None:
    said = launched_groups
    answer = engineer.post("/runs/new/", typed(arms="critique", seeds="3"))
    assert answer.status_code == 302 and "/runs/compared/" in answer["Location"]
    assert [arm.name for arm in said["arms"]] == ["with critique", "without critique"]
    assert said["seeds"] == [7, 8, 9]
    engineer.post("/runs/new/", typed(seeds="2"))
    assert [arm.name for arm in said["arms"]] == ["as launched"]
    assert engineer.post("/runs/new/", typed(arms="nonsense")).status_code == 422


def test_the_form_launches_the_same_on_several_versions(
    engineer: Client, version: Version, launched_groups: dict[str, Any], ada: User
) -> None:
    other = factories.published_version(ada)
    name = version_name(other)
    answer = engineer.post("/runs/new/", typed(also=[name, "harmless-assistant@1"], seeds="3", helpful=[]))
    assert answer.status_code == 302 and "/runs/compared/" in answer["Location"]
    assert [(arm.name, arm.version) for arm in launched_groups["arms"]] == [
        (f"{version.constitution} v1", None), (f"{other.constitution} v{other.number}", other)
    ]  # fmt: skip
    assert launched_groups["version"] == version and launched_groups["seeds"] == [7, 8, 9]
    refused = engineer.post("/runs/new/", typed(also=[name], arms="critique"))
    assert refused.status_code == 422 and "not both at once" in refused.content.decode()
    file = engineer.post("/runs/new/", typed(also=[name], write_file="1")).content.decode()
    assert f"also:\n- {name}\n" in file
    filled = engineer.post("/runs/new/", typed(run_text=file.replace(name, "gone@1"), read_file="1"))
    assert filled.status_code == 422 and "There is no version &#x27;gone@1&#x27; here." in filled.content.decode()
    read = engineer.post("/runs/new/", typed(run_text=file, read_file="1")).content.decode()
    assert re.search(rf'name="also" value="{name}"[^>]*checked', read)


def test_what_is_expected_is_launched_with_the_sides(
    engineer: Client, version: Version, launched_groups: dict[str, Any], ada: User
) -> None:
    other = version_name(factories.published_version(ada))
    lines = f"{other}: more warmth\nHarmless assistant v1: less words"
    assert engineer.post("/runs/new/", typed(also=[other], seeds="3", expects=lines)).status_code == 302
    assert launched_groups["expects"] == [
        Expectation("Harmless assistant v2", "warmth", True), Expectation("Harmless assistant v1", "words", False)
    ]  # fmt: skip
    file = engineer.post("/runs/new/", typed(also=[other], expects=lines, write_file="1")).content.decode()
    assert f"expects:\n- '{other}: more warmth'\n- 'harmless-assistant@1: less words'\n" in file
    read = engineer.post("/runs/new/", typed(run_text=file, read_file="1")).content.decode()
    assert f"{other}: more warmth\nharmless-assistant@1: less words</textarea>" in read
    odd = file.replace("- 'harmless-assistant@1: less words'", "- 7")
    assert (
        "This should be a text in quotes"
        in engineer.post("/runs/new/", typed(run_text=odd, read_file="1")).content.decode()
    )
    for wrong, why in (
        ("x: more warmth", "There is no side “x”"), (f"{other}: more zeal", "“zeal” is not counted"),
        ("more warmth", "Line 1 is not of the form"), ("\x00: more <b>", "Null characters"),
    ):  # fmt: skip
        answer = engineer.post("/runs/new/", typed(also=[other], expects=wrong))
        assert answer.status_code == 422 and why in answer.content.decode(), wrong
    alone = engineer.post("/runs/new/", typed(expects=lines))
    assert alone.status_code == 422 and "There is one side alone" in alone.content.decode()


def test_a_look_shows_the_stages_what_differs_and_what_speaks_against_it(
    engineer: Client, version: Version, launched: list[dict[str, Any]]
) -> None:
    part = engineer.post("/runs/new/", typed(look="1", method="sft_only", **{"sft.epochs": "3"}), headers=HTMX)
    text = part.content.decode()
    assert part.status_code == 200
    assert "<html" not in text
    assert "SL-CAI" in text
    assert "Reward model" not in text
    assert "SL-CAI: Epochs 1 → 3" in text
    assert "This would be refused." in text  # the model folder holds no weights
    assert "safetensors" in text
    whole = engineer.post("/runs/new/", typed(look="1", name="kept"))
    assert whole.status_code == 200
    assert 'value="kept"' in whole.content.decode()
    assert "Nothing was launched" not in whole.content.decode()
    assert launched == []


def test_older_words_are_refused_until_they_are_meant(engineer: Client, ada: User, version: Version) -> None:
    factories.published_version(ada)
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        cursor.execute("UPDATE constitutions_app_principleversion SET since = version_id")
        cursor.execute("SET session_replication_role = origin")
    scripted.base_model(Path(settings.MODELS_ROOT) / "tiny")
    refused = engineer.post("/runs/new/", typed())
    assert refused.status_code == 422
    assert "is not the newest: in v2 4 principles came, went or mean something else." in refused.content.decode()
    assert not Run.objects.exists()
    look = engineer.post("/runs/new/", typed(look="1", accept_older="on"))
    assert "This would be refused." not in look.content.decode()


def test_memory_and_disk_come_from_what_was_measured(engineer: Client, ada: User, version: Version) -> None:
    finished = factories.finished_run(ada, version)
    Run.objects.filter(pk=finished.run.pk).update(base_model={"name": "tiny"})
    factories.curve(finished.run.stages.get(slug="rl"), "use_memory", 3, 2.0, 2.0)
    page = engineer.get("/runs/new/").content.decode()
    assert "2.0\xa0GB" in page
    assert "of checkpoints" in page


def effective(page: str) -> str:
    """The configuration that the plan prints, without the form's own fields."""
    return page.partition("Every effective value")[2]


def test_options_of_one_algorithm_stand_under_its_name_and_the_plan_prints_only_what_is_read(
    engineer: Client, version: Version
) -> None:
    page = engineer.get("/runs/new/").content.decode()
    own = page.partition('data-of="ppo"')[2].partition("</fieldset>")[0]
    assert "<legend>PPO only</legend>" in own
    assert sorted(re.findall(r'name="rl\.(\w+)"', own)) == sorted(path.removeprefix("rl.") for path in PPO_ONLY)
    for algorithm, is_printed in (("grpo", False), ("rloo", False), ("ppo", True)):
        look = typed(look="1", **{"rl.algorithm": algorithm, "rl.clip": "0.3"})
        plan = engineer.post("/runs/new/", look, headers=HTMX).content.decode()
        assert ("<dt>PPO clip</dt><dd>0.3 " in effective(plan)) == is_printed
        assert ("RL-CAI: PPO clip 0.2 → 0.3" in plan) == is_printed
        assert ("read by nothing that will run: RL-CAI: PPO clip." in plan) != is_printed
        assert "DPO beta" not in effective(plan)
    sides = engineer.post("/runs/new/", typed(look="1", arms="algorithm"), headers=HTMX).content.decode()
    assert "<dt>PPO clip</dt><dd>0.2</dd>" in effective(sides)
    assert "<dt>Algorithm</dt><dd>PPO / GRPO / RLOO " in effective(sides)


def test_the_file_keeps_the_options_that_the_algorithm_does_not_read(
    engineer: Client, version: Version, launched: list[dict[str, Any]]
) -> None:
    chosen = typed(write_file="1", **{"rl.algorithm": "grpo", "rl.clip": "0.3", "dpo.beta": "0.7"})
    file = engineer.post("/runs/new/", chosen).content.decode()
    page = engineer.post("/runs/new/", typed(run_text=file, read_file="1")).content.decode()
    for line in ('name="rl.clip" value="0.3"', 'name="dpo.beta" value="0.7"'):
        assert line in page
    assert "The file is filled in." in page
    engineer.post("/runs/new/", typed(**{"rl.clip": "0.3"}))
    assert launched[0]["overrides"]["rl"]["clip"] == 0.3, "what is typed is launched, hidden or not"
