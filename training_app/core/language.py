"""Which language a text is written in, by its script and its smallest words: enough to see that a model switched.

    script = the one most letters belong to;   Latin script: the language whose function words are most of the text

Small models fall into another language between an answer and its revision; such a revision must not be trained on in
silence. What is undecided (short texts, mixed ones, other Latin languages) counts as no language and is never a switch.
Left out: languages that share a script other than Latin are one; telling close relatives apart needs a model.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter

FUNCTION_WORDS = {
    "en": "the and of to in is that it for you with are this be not have as or we they your was can will from what do",
    "de": "der die das und ist nicht ich sie es zu ein eine mit den von auf dem für sich auch wie wenn aber sind wir",
    "fr": "le les des et est que qui dans une pour pas vous ne ce il elle sur avec je nous sont votre mais ou cette",
    "es": "el los las que es por una para con no se su lo como más pero del al está son usted yo muy puede sus hay",
    "it": "il che di è per non una sono con gli della si come più ma anche nel questo ha mi lo può delle essere alla",
    "pt": "os que não uma para com é por mais como mas foi ao ele das tem seu sua ou você muito são isso pode em",
    "nl": "het een van en is dat niet op te zijn met voor die je ik aan er maar om ook wat als bij kan deze u",
}
"""Short, frequent words of seven languages that are written in Latin letters."""

LEAST_WORDS = 6
"""A text with fewer words is of no language: a name or a number looks the same everywhere."""

LEAST_SHARE = 0.15
"""Function words are a third to a half of running text; below this share a text is of none of these languages."""

MARGIN = 2.0
"""How many times more function words than the runner-up the language must have."""

_WORD = re.compile(r"[^\W\d_]+")
_SETS = {language: frozenset(words.split()) for language, words in FUNCTION_WORDS.items()}


def language_of(text: str) -> str:
    """ "en", "de", … for Latin script, else the script's name in lower case ("cyrillic", "han"); "" when undecided."""
    script = script_of(text)
    if script != "latin":
        return script
    words = _WORD.findall(text.lower())
    if len(words) < LEAST_WORDS:
        return ""
    counts = sorted(((sum(word in known for word in words), name) for name, known in _SETS.items()), reverse=True)
    (most, language), (second, _) = counts[:2]
    return language if most >= LEAST_SHARE * len(words) and most >= MARGIN * second else ""


def script_of(text: str) -> str:
    """The script of most letters: "latin", "cyrillic", "han" …; "" without letters or without a majority."""
    scripts: Counter[str] = Counter()
    letters = [letter for letter in text if letter.isalpha()]
    for letter in letters:
        name = unicodedata.name(letter, "").partition(" ")[0].lower()
        scripts["han" if name in ("cjk", "hiragana", "katakana") else name] += 1
    if not scripts:
        return ""
    script, count = scripts.most_common(1)[0]
    return script if count > len(letters) / 2 else ""


def switches_language(before: str, after: str) -> bool:
    """Whether two texts are each of a language, and not of the same."""
    one, other = language_of(before), language_of(after)
    return bool(one and other and one != other)
