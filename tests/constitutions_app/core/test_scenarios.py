from __future__ import annotations

from pathlib import Path

import pytest

from constitutions_app.core.interchange import read
from constitutions_app.core.scenarios import MalformedScenario, Scenario, from_dict, read_scenarios

STARTER = Path(__file__).parents[3] / "constitutions_app/starter"


def test_the_starter_scenarios_test_principles_of_the_starter_constitution() -> None:
    scenarios = read_scenarios(STARTER / "scenarios.yaml")
    assert len(scenarios) == 12
    assert all(scenario.is_complete for scenario in scenarios)
    known = {principle.id for principle in read(STARTER / "harmless_assistant.yaml").constitution.principles}
    assert {name for scenario in scenarios for name in scenario.principles} <= known
    assert {scenario.expected for scenario in scenarios} == {"a", "b"}


def test_a_probe_prompt_is_a_scenario_still_to_be_filled_in() -> None:
    probe = from_dict({"id": "p", "prompt": " Why?\r\n"})
    assert probe == Scenario(id="p", title="", principles=(), prompt="Why?")
    assert not probe.is_complete


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ([], "should be a mapping"),
        ({"id": "a", "prompt": "p", "score": 1}, "unknown field 'score'"),
        ({"id": "a"}, "prompt is missing"),
        ({"prompt": "p"}, "id is missing"),
        ({"id": "a", "prompt": 5}, "prompt should be text"),
        ({"id": "a", "prompt": "p", "expected": "c"}, "a, b or empty"),
        ({"id": "a", "prompt": "p", "principles": "x"}, "list of principle ids"),
    ],
)
def test_malformed_scenarios_are_refused_with_the_reason(data: object, reason: str) -> None:
    with pytest.raises(MalformedScenario, match=reason):
        from_dict(data)


def test_a_file_of_scenarios_is_checked_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text("scenarios: 5\n", encoding="utf-8")
    with pytest.raises(MalformedScenario, match="list named scenarios"):
        read_scenarios(path)
    path.write_text("scenarios:\n- {id: a, prompt: p}\n- {id: a, prompt: p}\n", encoding="utf-8")
    with pytest.raises(MalformedScenario, match="ids must be unique"):
        read_scenarios(path)
