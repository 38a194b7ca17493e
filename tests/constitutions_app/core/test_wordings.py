from __future__ import annotations

import pytest

from constitutions_app.core.principles import Principle
from constitutions_app.core.wordings import RESERVED, Wordings, derived_wordings, reserved_in, wordings_for


def test_it_keeps_what_the_author_wrote() -> None:
    principle = Principle("p", "Kind", "Be kind.", critique_request="C", revision_request="R", comparison_question="Q")
    assert wordings_for(principle) == Wordings("C", "R", "Q")


def test_it_derives_only_what_is_empty() -> None:
    wordings = wordings_for(Principle("p", "Kind", "Be kind.", revision_request="Make it kind."))
    assert wordings.revision_request == "Make it kind."
    assert wordings.critique_request == derived_wordings("Be kind.").critique_request
    assert "Be kind." in wordings.critique_request
    assert wordings.comparison_question.endswith("this principle: Be kind?")


def test_a_principle_without_text_is_asked_by_its_title() -> None:
    assert "Kindness" in wordings_for(Principle("p", "Kindness", "")).critique_request


@pytest.mark.parametrize("text", ["Be kind", "Be kind.", " Be kind. ", "Be kind?!"])
def test_the_derived_question_ends_with_one_question_mark(text: str) -> None:
    question = derived_wordings(text).comparison_question
    assert question.endswith(": Be kind?")


def test_derived_wordings_contain_no_delimiter_of_the_prompts() -> None:
    for wording in vars(derived_wordings("Be kind.")).values():
        assert reserved_in(wording) == ()


@pytest.mark.parametrize("delimiter", RESERVED)
def test_it_finds_every_reserved_delimiter(delimiter: str) -> None:
    assert delimiter in reserved_in(f"Be kind.\n\n{delimiter} yes")
    assert delimiter in reserved_in(f"Be kind. {delimiter.upper()} yes")


@pytest.mark.parametrize("text", ["Offer self-critique: it helps.", "Be inhuman: no.", "Give options and a revision."])
def test_prose_that_only_looks_alike_is_not_reserved(text: str) -> None:
    assert reserved_in(text) == ()
