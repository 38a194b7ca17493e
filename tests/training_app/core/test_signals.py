from __future__ import annotations

import json

import pytest

from tests.outside import CAI_PAPER, needs
from training_app.core.signals import distinct_n, has_boilerplate, is_evasive, step_flags, without_label, word_count

SAMPLES = CAI_PAPER / "samples"
CRITIQUE = "The response tells the person to hit the dog, which is cruel and would frighten the animal for no reason."


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Revision: Try a walk: it helps.", "Try a walk: it helps."),
        ("  revision : Try.", "Try."),
        ("**Revision:** Try.", "Try."),
        ("Revision is hard: yes.", "Revision is hard: yes."),
        ("Note: Revision: no", "Note: Revision: no"),
        ("Critique: it is fine", "Critique: it is fine"),
        ("Revision:", ""),
    ],
)
def test_it_takes_off_its_own_label_and_nothing_else(text: str, expected: str) -> None:
    assert without_label(text, "Revision") == expected


def flags(revision: str, *, before: str = "Hit it.", critique: str = CRITIQUE, is_cut: bool = False) -> tuple[str, ...]:
    return step_flags(before, critique, revision, is_cut=is_cut)


def test_an_honest_revision_has_no_flag() -> None:
    assert flags("Take the dog for a walk first; a tired dog sleeps.") == ()


@pytest.mark.parametrize("revision", ["Hit it.", "hit it", " Hit   it! "])
def test_saying_the_same_again_is_a_no_op(revision: str) -> None:
    assert flags(revision) == ("no_op",)


@pytest.mark.parametrize(
    "revision",
    [
        CRITIQUE,
        CRITIQUE + " Indeed.",
        "The assistant's response is cruel to the dog.",
        "The response fails to consider the animal.",
        "In this response, the assistant encourages harm.",
        "My last answer was unkind.",
    ],
)
def test_a_critique_in_place_of_a_revision_is_seen(revision: str) -> None:
    assert "critique_as_revision" in flags(revision)


@pytest.mark.parametrize(
    "revision",
    [
        "Sure, here is the revised response: walk the dog.",
        "Here's a rewritten version of the answer. Walk.",
        "Certainly! Here is a more gentle response that helps: walk.",
        "Revised response: walk the dog.",
        "I've rewritten the answer to be kinder. Walk.",
        "Of course. Below is my revised answer: walk.",
    ],
)
def test_an_announcement_is_a_preamble(revision: str) -> None:
    assert "preamble" in flags(revision)


@pytest.mark.parametrize("revision", ["Here is how to walk a dog: slowly.", "Sure, walk the dog.", "This is a dog."])
def test_an_ordinary_beginning_is_no_preamble(revision: str) -> None:
    assert "preamble" not in flags(revision)


def test_empty_truncated_and_refusing_steps_are_seen() -> None:
    assert flags(" \n") == ("empty",)
    assert flags("Walk.", critique="") == ("empty",)
    assert flags("Walk the", is_cut=True) == ("truncated",)
    assert flags("I'm sorry, I can't help with that.") == ("refusal",)


@pytest.mark.parametrize(
    "text",
    [
        "I'm sorry, but I can't assist with that request.",
        "I\u2019m sorry. I won\u2019t respond to this.",
        "Sorry. I'm afraid that I cannot answer this",
        "As an AI language model, I do not have opinions.",
        "I am not able to discuss this topic. Please ask something else.",
        "I'd rather not talk about it.",
        "I don't feel comfortable with this.",
        "That's a hard one. I have to decline, I'm afraid.",
        "I'm very sorry.",
        "I have been trained not to respond to questions like this.",
        "I apologize as I am unable to reply on this",
        "Assistant cannot respond",
        "I prefer not to respond to questions like this.",
        "I do not believe that this question is appropriate.",
        "I'm sorry. I won't be able to interpret or respond to this.",
    ],
)
def test_declining_is_evasive(text: str) -> None:
    assert is_evasive(text)


@pytest.mark.parametrize(
    "text",
    [
        "I'm sorry that you are going through this. Is there someone you can call right now? A friend can help.",
        "Hitting a dog is cruel, and it does not work. Try a walk. If it goes on, I cannot say why without a vet.",
        "I wouldn't say your feet are too big.",
        "You can't help everyone, and that is fine.",
        "I'm sorry you feel angry.",
        "Sorry, did you want the quote from the internet?",
        "Please contact law enforcement right away.",
        "",
    ],
)
def test_explaining_and_sympathy_are_not_evasive(text: str) -> None:
    assert not is_evasive(text)


def test_stock_phrases_of_reassurance_are_boilerplate() -> None:
    for text in (
        "You are valid and worthy.",
        "You\u2019re not alone.",
        "Everyone deserves to feel safe.",
        "You matter.",
    ):
        assert has_boilerplate(text)
    for text in (
        "This ticket is valid.",
        "You are late.",
        "The matter is closed.",
        "Safe and sound, he was home alone.",
    ):
        assert not has_boilerplate(text)


def test_words_are_counted_without_punctuation() -> None:
    assert word_count("It's a dog's life \u2013 isn't it?") == 6
    assert word_count("...") == 0


def test_distinct_n_falls_with_repetition() -> None:
    assert distinct_n(["a b c d"], 2) == 1.0
    assert distinct_n(["a a a a"], 1) == 0.25
    assert distinct_n(["a b", "a b"], 2) == 0.5
    assert distinct_n(["a"], 2) == 0.0
    assert distinct_n([], 1) == 0.0


@needs(SAMPLES)
def test_the_detectors_tell_the_paper_s_models_apart() -> None:
    def rates(name: str) -> tuple[float, float]:
        rows = [json.loads(line) for line in (SAMPLES / f"PALMS_{name}.jsonl").read_text().splitlines()]
        texts = [answer["sampled_string"] for row in rows for answer in row["sampled_answers"]]
        return sum(map(is_evasive, texts)) / len(texts), sum(map(has_boilerplate, texts)) / len(texts)

    evasion, boilerplate = zip(*map(rates, ("HHRLHF", "HRLHF", "RLMADISON", "RLMADISON_COT")), strict=True)
    assert evasion[0] > 0.15 > 0.02 > max(evasion[1:])
    assert boilerplate[2] > 0.3 > 0.1 > max(boilerplate[0], boilerplate[1], boilerplate[3])
