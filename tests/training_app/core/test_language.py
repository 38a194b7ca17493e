from __future__ import annotations

import gzip
import json
from itertools import islice

import pytest

from tests.outside import HH_HARMLESS, needs
from training_app.core.language import language_of, script_of, switches_language

TEXTS = {
    "en": "I would rather not help with that, because it is something that could hurt the people you live with.",
    "de": "Das kann ich nicht für dich tun, aber wir finden zusammen eine Lösung, die auch für die anderen gut ist.",
    "fr": "Je ne peux pas vous aider avec cela, mais nous trouvons une autre solution dans les jours qui viennent.",
    "es": "No puedo ayudar con eso, pero hay una manera mejor y más segura para hacer las cosas que usted necesita.",
    "it": "Non posso farlo per te, ma nel frattempo ho una idea che può essere molto utile anche per gli altri.",
    "pt": "Não posso fazer isso para você, mas há uma outra forma de conseguir o que precisa, e é muito mais segura.",
    "nl": "Dat kan ik niet voor je doen, maar er is een andere manier om het probleem op te lossen die ook veilig is.",
    "cyrillic": "Я не могу помочь вам с этим, но есть другой путь.",  # noqa: RUF001
    "han": "我不能帮助你做这件事，但是还有别的办法。",  # noqa: RUF001
}


@pytest.mark.parametrize(("language", "text"), TEXTS.items())
def test_it_knows_a_sentence_of_each_language(language: str, text: str) -> None:
    assert language_of(text) == language


@pytest.mark.parametrize("text", ["", "42, 17!", "Bread. Butter. Milk.", "¡Hola!", "def f(x): return x"])
def test_what_is_too_little_is_of_no_language_and_never_a_switch(text: str) -> None:
    assert language_of(text) == ""
    assert not switches_language(text, TEXTS["en"])
    assert not switches_language(TEXTS["en"], text)


def test_a_switch_needs_two_sure_languages() -> None:
    assert switches_language(TEXTS["en"], TEXTS["fr"])
    assert switches_language(TEXTS["en"], TEXTS["cyrillic"])
    assert not switches_language(TEXTS["en"], TEXTS["en"][::-1])
    assert script_of("abc" + TEXTS["cyrillic"][2:6]) == ""


@needs(HH_HARMLESS)
def test_english_answers_of_people_are_not_called_foreign() -> None:
    with gzip.open(HH_HARMLESS, "rt", encoding="utf-8") as file:
        lines = list(islice(file, 1000))
    answers = [json.loads(line)["chosen"].rpartition("\n\nAssistant:")[2] for line in lines]
    found = [language_of(answer) for answer in answers]
    assert sum(language not in ("en", "") for language in found) <= 3
