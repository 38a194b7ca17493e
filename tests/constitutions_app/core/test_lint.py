from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings

from constitutions_app.core.interchange import read
from constitutions_app.core.lint import Hint, lint, lint_principle
from constitutions_app.core.principles import Constitution, Exemplar, Principle, Source
from constitutions_app.core.wordings import RESERVED
from tests.constitutions_app.strategies import constitutions

CLEAN = Principle(
    id="p",
    title="Open reasons",
    text="The assistant gives the reason in plain words when it declines a request.",
    source=Source("Professional norms"),
    critique_request="Point out each place where the response hides its reason.",
    revision_request="Rewrite the response so that it gives its reason.",
    comparison_question="Which of these responses gives its reason more openly?",
)


def hints(slug: str, principle: Principle, *others: Principle) -> list[Hint]:
    return [hint for hint in lint_principle(principle, others) if hint.slug == slug]


def marked(slug: str, text: str) -> list[str]:
    """The words of `text` that hints of this kind point at."""
    return [text[hint.start : hint.end] for hint in hints(slug, replace(CLEAN, text=text))]


def test_a_clean_principle_gets_no_hint() -> None:
    assert lint_principle(CLEAN) == ()


@pytest.mark.parametrize(
    ("text", "second"),
    [
        ("The assistant should cite sources and should never insult anyone.", "and should never insult anyone."),
        ("Answer the question. Never insult anyone.", "Never insult anyone."),
        ("The assistant answers questions. The assistant also warns people.", "The assistant also warns people."),
        ("Be brief; do not ramble.", "do not ramble."),
        ("Cite sources; and name their authors.", "and name their authors."),
    ],
)
def test_it_points_at_a_second_rule(text: str, second: str) -> None:
    assert marked("more_than_one_rule", text) == [second]


@pytest.mark.parametrize(
    "text",
    [
        "The assistant should help and explain.",
        "The assistant should cite sources. For example, it should name the author.",
        "The assistant gives e.g. Article 3.1 as a reason. Citizens value that.",
        "",
    ],
)
def test_one_rule_with_its_examples_is_one_rule(text: str) -> None:
    assert marked("more_than_one_rule", text) == []


def test_it_points_at_each_vague_term_once() -> None:
    text = "Give appropriate help if possible, and Appropriate advice, etc."
    assert marked("vague_term", text) == ["appropriate", "if possible", "etc."]
    assert marked("vague_term", "Name somebody at a certainty of 3.") == []


@pytest.mark.parametrize(
    ("text", "negative"),
    [
        ("The AI should not lie.", "should not"),
        ("The AI shouldn\u2019t lie.", "shouldn\u2019t"),
        ("Choose the response that is least harmful.", "least"),
        ("The assistant avoids insults.", "avoids"),
    ],
)
def test_it_points_at_negative_framing(text: str, negative: str) -> None:
    assert marked("negative_framing", text) == [negative]


def test_it_points_at_traits_and_not_at_behaviour() -> None:
    assert marked("trait_not_behaviour", "The AI should be as helpful and kind as it can.") == ["helpful"]
    assert marked("trait_not_behaviour", "Choose the response that is the most harmless.") == ["harmless"]
    assert marked("trait_not_behaviour", "My tone is calm.") == ["calm"]
    assert marked("trait_not_behaviour", "Answer first. Please be kind.") == ["kind"]
    assert marked("trait_not_behaviour", "I am a humble assistant.") == ["humble"]
    assert marked("trait_not_behaviour", "Lead people from danger to safe places.") == []
    assert marked("trait_not_behaviour", "The assistant tells people what a safe dose is.") == []


def test_it_misses_wordings_of_the_stages_served_and_a_source() -> None:
    bare = Principle(id="b", title="", text="Give reasons.", stages=("revise",))
    found = [(hint.slug, hint.field) for hint in lint_principle(bare)]
    assert found == [
        ("missing_wording", "critique_request"),
        ("missing_wording", "revision_request"),
        ("missing_source", "source_document"),
    ]


def test_a_negation_in_one_wording_only_is_pointed_at() -> None:
    turned = replace(CLEAN, critique_request="Point out each place where the response is not open.")
    (hint,) = hints("negation_in_one_wording", turned)
    assert (hint.field, turned.critique_request[hint.start : hint.end]) == ("critique_request", "not")
    assert "#6123" in hint.source
    both = replace(turned, revision_request="Rewrite the response so that it never hides its reason.")
    assert hints("negation_in_one_wording", both) == []
    alone = replace(turned, revision_request="", comparison_question="")
    assert hints("negation_in_one_wording", alone) == []


def test_near_duplicates_are_told_on_both_sides() -> None:
    twin = replace(
        CLEAN, id="q", title="Twin", text="The assistant gives its reason in plain words when it declines a request."
    )
    other = replace(CLEAN, id="r", title="Other", text="People under pressure hear where human help is found.")
    found = [hint for hint in lint(Constitution("C", principles=(CLEAN, twin, other))) if hint.slug == "near_duplicate"]
    assert [(hint.principle, hint.sentence[:36]) for hint in found] == [
        ("p", "This says nearly the same as “Twin” "),
        ("q", "This says nearly the same as “Open r"),
    ]
    assert len(hints("near_duplicate", CLEAN, CLEAN, twin, other)) == 1


@pytest.mark.parametrize("delimiter", RESERVED)
def test_every_delimiter_of_a_prompt_is_pointed_at(delimiter: str) -> None:
    leaking = replace(CLEAN, comparison_question=f"Which is kinder?\n{delimiter} x")
    found = hints("leaks_delimiter", leaking)
    assert leaking.comparison_question[found[0].start : found[0].end] == delimiter


def test_delimiters_are_found_in_preamble_and_exemplars_too() -> None:
    exemplar = Exemplar("q", "r", "c", "ok\nHuman: hi", "rr", "r")
    found = lint(Constitution("C", preamble="<|system|>", exemplars=(exemplar,)))
    assert {hint.field for hint in found} == {"preamble", "exemplar 1, critique"}


def test_long_and_empty_texts_are_pointed_at() -> None:
    assert hints("too_long", replace(CLEAN, text="word " * 91))[0].sentence.startswith("This has 91 words")
    assert hints("too_long", replace(CLEAN, text="word " * 90)) == []
    assert [hint.slug for hint in lint_principle(replace(CLEAN, text=""))] == ["empty_text"]


def test_every_hint_says_where_why_and_after_whom() -> None:
    rich = replace(
        CLEAN,
        text="The AI should be nice. It should not be rude, etc.\nHuman: hi",
        source=Source(),
        revision_request="",
    )
    found = lint_principle(rich)
    assert len({hint.slug for hint in found}) >= 6
    for hint in found:
        assert hint.principle == "p"
        assert hint.sentence.endswith((".", "?")) and hint.reason.endswith(".") and hint.source


@given(constitutions)
@settings(max_examples=50)
def test_every_range_lies_in_its_field(constitution: Constitution) -> None:
    by_id = {principle.id: principle for principle in constitution.principles}
    for hint in lint(constitution):
        assert 0 <= hint.start <= hint.end
        text = getattr(by_id.get(hint.principle), hint.field, None)
        if isinstance(text, str):
            assert hint.end <= len(text)


def test_the_starter_constitution_is_nearly_free_of_hints() -> None:
    starter = Path(__file__).parents[3] / "constitutions_app/starter/harmless_assistant.yaml"
    constitution = read(starter).constitution
    assert len(constitution.principles) >= 20
    assert len(lint(constitution)) <= len(constitution.principles) // 4


def test_a_hostile_text_costs_little() -> None:
    patterns = ("a", "not ", "should and ", ". ", "and the ", "always ", "to as ", "the assistant and ", "is  ", "e.g")
    for text in (pattern * (50_000 // len(pattern)) for pattern in patterns):
        lint_principle(replace(CLEAN, text=text))
