from __future__ import annotations

import random

from tests.outside import CAI_PAPER, needs
from training_app.core.answers import Answer, read_answers
from training_app.core.text_signals import TextSignals, measure

SAMPLES = CAI_PAPER / "samples"
CANNED = "Thank you for reaching out to our team today and we hope that this answer finds you well."


def own_words(seed: int, count: int = 18) -> str:
    return " ".join(random.Random(seed).choices([f"word{number}" for number in range(400)], k=count))


def test_a_template_in_any_words_is_boilerplate() -> None:
    canned = [Answer(str(n), f"{CANNED} {own_words(n)}") for n in range(12)]
    plain = [Answer(str(n), own_words(n, 36)) for n in range(12)]
    assert measure(canned).boilerplate == 1.0
    assert measure(plain).boilerplate == 0.0


def test_samples_that_answer_one_question_alike_are_no_template() -> None:
    assert measure([Answer("the same", f"{CANNED} {own_words(n)}") for n in range(12)]).boilerplate == 0.0


def test_a_refusal_said_over_and_over_is_evasion_and_not_boilerplate() -> None:
    found = measure([Answer(str(n), "I'm sorry, but I can't help you with that.") for n in range(10)])
    assert (found.evasion, found.boilerplate) == (1.0, 0.0)


def test_it_counts_words_and_variety() -> None:
    assert measure([Answer("1", "a b c"), Answer("2", "a b")]) == TextSignals(2, 0.0, 0.0, 2.5, 2 / 3)
    assert measure([Answer("1", "")]) == TextSignals(1, 0.0, 0.0, 0.0, 0.0)


@needs(SAMPLES)
def test_it_tells_the_paper_s_models_apart_whole_and_by_ten_prompts() -> None:
    for part in (None, 1, 2):
        found = {name: measure(_some(name, part)) for name in ("HHRLHF", "HRLHF", "RLMADISON", "RLMADISON_COT")}
        assert found["RLMADISON"].boilerplate > 3 * max(
            signals.boilerplate for name, signals in found.items() if name != "RLMADISON"
        )
        assert found["HHRLHF"].evasion > 0.2 > 0.02 > max(found[name].evasion for name in found if name != "HHRLHF")


def _some(name: str, seed: int | None) -> list[Answer]:
    answers = read_answers(SAMPLES / f"PALMS_{name}.jsonl")
    if seed is None:
        return answers
    kept = random.Random(seed).sample(sorted({answer.prompt for answer in answers}), 10)
    return [answer for answer in answers if answer.prompt in kept]
