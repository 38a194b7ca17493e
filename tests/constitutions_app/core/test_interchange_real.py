"""Real files of every format, where they lie beside the checkout. None of their words stands in this repository."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from constitutions_app.core.interchange import WRITTEN, read, read_bytes, write
from constitutions_app.core.principles import digest
from tests.outside import DATA, needs

PAIRS = DATA / "cai-paper/prompts/CritiqueRevisionInstructions.json"
QUESTIONS = DATA / "cai-paper/prompts/RLMadisonInstructions.json"
SWARM = DATA / "llm-swarm/constitution_grok.json"
TRAITS = DATA / "open-character/loving.json"
SPEC = DATA / "model-spec-excerpt/model_spec.md"
POLIS = DATA / "ccai/comments-excerpt.csv"

pytestmark = needs(DATA)


@pytest.mark.parametrize("path", [PAIRS, QUESTIONS, SWARM, TRAITS, SPEC, POLIS], ids=lambda path: path.stem)
def test_what_was_understood_survives_every_export(path: Path) -> None:
    found = read(path)
    assert found.constitution.principles
    for format in WRITTEN:
        back = read_bytes(write(found.constitution, format).encode(), "x")
        assert (back.not_understood, digest(back.constitution)) == ((), digest(found.constitution))


def test_the_papers_files_are_linked() -> None:
    found = read(PAIRS, link=QUESTIONS)
    assert len(found.constitution.principles) == len(found.unconfirmed_links) == 16
    assert found.not_understood == ()
    for principle in found.constitution.principles:
        for wording in (principle.critique_request, principle.revision_request, principle.comparison_question):
            assert wording and not wording.endswith(":")
    traces = DATA / "cai-paper/samples/PALMS_SLMADISON.jsonl"
    keys = {
        step["cst_key"] for line in traces.read_text(encoding="utf-8").splitlines() for step in json.loads(line)["cst"]
    }
    assert keys <= {principle.id for principle in found.constitution.principles}


def test_llm_swarm_gives_pairs_and_exemplars() -> None:
    found = read(SWARM)
    data = json.loads(SWARM.read_text(encoding="utf-8"))
    assert len(found.constitution.principles) == len(data["constitutions"])
    assert len(found.constitution.exemplars) + len(found.not_understood) == len(data["system_chat"])
    assert found.constitution.exemplars


def test_every_trait_and_question_is_there() -> None:
    found = read(TRAITS)
    data = json.loads(TRAITS.read_text(encoding="utf-8"))
    assert [principle.text for principle in found.constitution.principles] == [item["trait"] for item in data]
    assert len(found.scenarios) == sum(len(item["questions"]) for item in data)
    assert found.not_understood == ()


def test_the_model_spec_gives_clauses_with_levels_and_all_their_examples() -> None:
    found = read(SPEC)
    clauses = {principle.id: principle for principle in found.constitution.principles}
    assert "authority:root" in clauses["follow_all_applicable_instructions"].tags
    assert clauses["letter_and_spirit"].strict
    assert "[^" not in "".join(principle.text for principle in clauses.values())
    probes = [scenario for scenario in found.scenarios if not scenario.response_a]
    files = list((SPEC.parent / "examples").glob("*.md"))
    assert len(probes) == sum(file.read_text(encoding="utf-8").count("**Example**") for file in files)
    judged = [scenario for scenario in found.scenarios if scenario.is_complete]
    assert {scenario.expected for scenario in judged} == {"a", "b"}
    assert all(set(scenario.principles) <= set(clauses) for scenario in found.scenarios)


def test_polis_rows_keep_their_votes() -> None:
    found = read(POLIS)
    with POLIS.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(found.constitution.principles) == len(rows)
    for principle, row in zip(found.constitution.principles, rows, strict=True):
        facts = found.provenance[principle.id]
        assert principle.text == row["comment-body"].strip()
        assert (str(facts["agrees"]), str(facts["group_1_consensus"])) == (row["agrees"], row["group_1_consensus"])


@pytest.mark.parametrize("path", ["hh-rlhf/LICENSE", "cai-paper/evals/HarmfulVsEthical.jsonl"])
def test_files_of_other_kinds_are_refused_with_a_reason(path: str) -> None:
    found = read(DATA / path)
    assert found.is_empty
    assert found.not_understood
