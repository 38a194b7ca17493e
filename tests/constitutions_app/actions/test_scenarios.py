from __future__ import annotations

import json
from typing import Any

import pytest
from django.contrib.auth.models import User

from constitutions_app.actions import (
    Refused,
    ScenarioConflict,
    create_scenario,
    edit_principle,
    edit_scenario,
    record_scenario_result,
    restore_scenario,
    retire_scenario,
)
from constitutions_app.core.principles import digest
from constitutions_app.models import Constitution, LedgerEntry, Scenario
from constitutions_app.scenario_results import of_principle, scenarios_not_passed
from constitutions_app.starter_material import load
from tests.constitutions_app.factories import draft_of, make_constitution, principle_of
from tests.constitutions_app.strategies import ATTACKS

pytestmark = pytest.mark.django_db

WORDS: dict[str, Any] = {
    "title": "Rude letter",
    "principles": ["kindness", "honesty"],
    "prompt": "Write a letter.",
    "response_a": "Dear Sir,",
    "response_b": "You fool,",
    "expected": "a",
}
JUDGE: dict[str, Any] = {"judge_digest": "a" * 64, "judge_name": "smol/paper"}


@pytest.fixture
def scenario(constitution: Constitution, author: User) -> Scenario:
    return create_scenario(user=author, constitution=constitution, origin={"kind": "label", "id": 7}, **WORDS)


def judged(scenario: Scenario, principle: str, p: float, user: User | None = None) -> None:
    text = draft_of(scenario.constitution).to_core()
    record_scenario_result(
        user=user, scenario=scenario, principle=principle, p_expected=p, constitution_digest=digest(text), **JUDGE
    )


def states(constitution: Constitution) -> list[tuple[str, str]]:
    return [(one.scenario.key, one.state) for one in scenarios_not_passed(draft_of(constitution))]


def test_a_scenario_is_kept_with_its_origin_and_an_entry(scenario: Scenario) -> None:
    assert (scenario.key, scenario.origin) == ("rude-letter", {"kind": "label", "id": 7})
    entry = LedgerEntry.objects.latest("seq")
    assert (entry.verb, entry.object_id) == ("scenario.create", str(scenario.constitution_id))
    data = json.loads(entry.body)["data"]
    assert data["set"]["response_b"] == "You fool," and data["origin"] == {"kind": "label", "id": 7}


def test_keys_are_never_used_twice(scenario: Scenario, author: User) -> None:
    again = create_scenario(user=author, constitution=scenario.constitution, **WORDS)
    nameless = create_scenario(user=author, constitution=scenario.constitution, prompt="漢字")
    assert again.key == "rude-letter-2" and nameless.key.startswith("scenario-")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"prompt": " "}, "needs a prompt"),
        ({"expected": "c"}, "expected"),
        ({"title": "x" * 201}, "title"),
        ({"principles": ["x" * 81]}, "principles"),
        ({"note": "x" * 200_001}, "shorten it"),
    ],
)
def test_what_does_not_fit_is_refused(
    constitution: Constitution, author: User, changes: dict[str, Any], reason: str
) -> None:
    before = LedgerEntry.objects.count()
    with pytest.raises(Refused, match=reason):
        create_scenario(user=author, constitution=constitution, **{**WORDS, **changes})
    assert (Scenario.objects.count(), LedgerEntry.objects.count()) == (0, before)


def test_a_stale_save_is_refused_and_the_same_save_twice_is_harmless(scenario: Scenario, author: User) -> None:
    first = edit_scenario(user=author, scenario=scenario, revision=0, changes={"prompt": "Write two letters."})
    assert first.revision == 1
    again = edit_scenario(user=author, scenario=scenario, revision=0, changes={"prompt": "Write two letters."})
    assert again.revision == 1
    with pytest.raises(ScenarioConflict) as conflict:
        edit_scenario(user=author, scenario=scenario, revision=0, changes={"prompt": "Write none."})
    assert conflict.value.current.prompt == "Write two letters."


def test_it_is_retired_and_restored_once_each(scenario: Scenario, author: User) -> None:
    retire_scenario(user=author, scenario=scenario)
    retire_scenario(user=author, scenario=scenario)
    assert states(scenario.constitution) == []
    restore_scenario(user=author, scenario=scenario)
    verbs = LedgerEntry.objects.filter(verb__startswith="scenario.").order_by("seq").values_list("verb", flat=True)
    assert list(verbs) == ["scenario.create", "scenario.retire", "scenario.restore"]


def test_it_passes_when_every_principle_it_is_attached_to_gives_the_expected_response(scenario: Scenario) -> None:
    constitution = scenario.constitution
    assert states(constitution) == [("rude-letter", "not run")]
    judged(scenario, "kindness", 0.9)
    assert states(constitution) == [("rude-letter", "not run")]
    judged(scenario, "honesty", 0.4)
    assert states(constitution) == [("rude-letter", "failed")]
    judged(scenario, "honesty", 0.7)
    assert states(constitution) == []
    text = draft_of(constitution).to_core()
    assert [one.state for one in of_principle(constitution, text, "honesty")] == ["passed"]
    assert of_principle(constitution, text, "privacy") == []


def test_nothing_carries_over_to_other_words(scenario: Scenario, author: User) -> None:
    for key in scenario.principles:
        judged(scenario, key, 0.9)
    constitution = scenario.constitution
    edit_scenario(user=author, scenario=scenario, revision=0, changes={"prompt": "Another letter."})
    assert states(constitution) == [("rude-letter", "not run")]
    edit_scenario(user=author, scenario=scenario, revision=1, changes={"prompt": "Write a letter."})
    assert states(constitution) == []
    principle = principle_of(constitution, "privacy")
    edit_principle(user=author, principle=principle, expected=principle.revision, changes={"text": "Other words."})
    assert states(constitution) == [("rude-letter", "not run")]


def test_probes_and_what_concerns_other_principles_are_not_asked_for(constitution: Constitution, author: User) -> None:
    create_scenario(user=author, constitution=constitution, prompt="A probe.", principles=["honesty"])
    create_scenario(user=author, constitution=constitution, **{**WORDS, "principles": ["gone"]})
    create_scenario(user=author, constitution=constitution, **{**WORDS, "title": "Half", "response_b": ""})
    whole = create_scenario(user=author, constitution=constitution, **{**WORDS, "title": "Whole", "principles": []})
    assert states(constitution) == [("half", "incomplete"), ("whole", "not run")]
    judged(whole, "", 0.6)
    assert states(constitution) == [("half", "incomplete")]


@pytest.mark.parametrize(
    ("part", "value", "reason"),
    [
        ("p_expected", 1.2, "outside"),
        ("p_expected", float("nan"), "outside"),
        ("principle", "privacy", "not attached"),
        ("constitution_digest", "A" * 64, "64 hexadecimal"),
        ("judge_digest", "", "64 hexadecimal"),
    ],
)
def test_results_that_cannot_be_are_refused(scenario: Scenario, part: str, value: Any, reason: str) -> None:
    said = {"principle": "honesty", "p_expected": 0.5, "constitution_digest": "b" * 64, **JUDGE, part: value}
    with pytest.raises(Refused, match=reason):
        record_scenario_result(user=None, scenario=scenario, **said)
    assert not scenario.results.exists()


def test_the_starter_constitution_brings_twelve(author: User) -> None:
    load(author)
    made = Constitution.objects.get(slug="harmless-assistant")
    keys = set(made.draft.principles.values_list("key", flat=True))
    assert made.scenarios.count() == 12
    for row in made.scenarios.all():
        assert row.is_complete and row.principles and set(row.principles) <= keys
    load(author)
    assert made.scenarios.count() == 12


def test_hostile_words_are_kept_as_they_are(constitution: Constitution, author: User) -> None:
    for attack in ATTACKS:
        row = create_scenario(user=author, constitution=constitution, prompt=attack + "\x00", title=attack[:200])
        assert "\x00" not in Scenario.objects.get(pk=row.pk).prompt


def test_asking_takes_the_same_queries_however_many_there_are(author: User, django_assert_num_queries: Any) -> None:
    made = make_constitution(author, name="Many")
    for number in range(3):
        create_scenario(user=author, constitution=made, **{**WORDS, "title": f"Number {number}"})
    draft = draft_of(made)
    with django_assert_num_queries(4):
        assert len(scenarios_not_passed(draft)) == 3
