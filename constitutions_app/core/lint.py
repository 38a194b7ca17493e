"""Hints for people who write principles. Each says where, what, why and where the advice comes from; none blocks.

All of it is lexical: words and patterns of English, and letters for likeness (`similarity.py`) unless the caller knows
more of meanings (`likeness.py`). It is meant to be right often enough to be read, and cheap enough to run with every
autosave. Left out: whether two principles contradict each other, which words alone cannot tell.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from constitutions_app.core.likeness import BY_LETTERS, Likeness, Pair
from constitutions_app.core.principles import Constitution, Principle
from constitutions_app.core.wordings import reserved_in

C3AI = "C3AI (Kyrychenko et al., WWW 2025, arXiv 2502.15861)"
LANGCHAIN = "LangChain issue #6123: a stray “not” in a critique request turned its meaning round"
KUNDU = "Kundu et al. 2023, arXiv 2310.13798: narrow principles give finer control than broad ones"
REQUIREMENTS = "ISO/IEC/IEEE 29148:2018, 5.2.7, on the language of requirements"
PAPER = "Bai et al. 2022, arXiv 2212.08073, appendix C: every principle of the paper is a sentence or two"
COLLECTIVE = "Collective Constitutional AI 2023: repeated principles change the weights of a constitution unseen"
HOUSE = "This program: a label or a checkpoint is followed back to its words and to where they come from"
DELIMITERS = "This program: a prompt's own marks inside a wording are taken apart before it is sent"

LONG_WORDS = 90
"""The longest principle of the paper has some 60 words."""

WORDINGS = ("critique_request", "revision_request", "comparison_question")
_STAGE_OF = {"critique_request": "revise", "revision_request": "revise", "comparison_question": "label"}
_NAMES = {
    "critique_request": "critique request",
    "revision_request": "revision request",
    "comparison_question": "comparison question",
}
_TEXTS = ("title", "text", "rationale", *WORDINGS)

_SENTENCE = re.compile(r"[^.!?;\n]+(?:[.!?;](?!\s|$)[^.!?;\n]+)*[.!?;]*")
_NORM = re.compile(
    r"\b(?:should|must|shall|ought to|has to|have to|needs? to|may not|cannot|can ?not|do not|don['\u2019]t|never|avoid"
    r"|(?:the|an) (?:assistant|ai|model|response|system)s? (?:also )?(?!and\b|or\b)[a-z]{3,}s)\b",
    re.IGNORECASE,
)
_IMPERATIVE = re.compile(
    r"^(?:please |always |also |and |then )*(?:acknowledge|admit|answer|ask|avoid|be|check|choose|cite|correct|do"
    r"|encourage|explain|follow|give|help|keep|leave|make|mark|name|never|offer|point out|prefer|protect|provide|quote"
    r"|refuse|respect|say|show|stay|support|tell|treat|use|warn|write)\b",
    re.IGNORECASE,
)
_SECOND_NORM = re.compile(
    r"(?:[,;] ?|\b)(?:and|but|or|also|additionally|furthermore)\s+(?:it |they |the \w+ |also ){0,3}"
    r"(?:should|must|shall|has to|have to|needs? to|never|always|do not|don['\u2019]t)\b",
    re.IGNORECASE,
)
_ASIDE = re.compile(r"^(?:for example|for instance|e\.g|such as|this (?:includes|means)|that is|unless|except)\b", re.I)
_VAGUE = re.compile(
    r"\b(?:as (?:appropriate|applicable|necessary|needed|required|(?:far|much|little|soon|well) as possible)"
    r"|(?:if|where|when|whenever) (?:possible|appropriate|applicable|necessary|needed)"
    r"|appropriate(?:ly)?|inappropriate(?:ly)?|reasonabl[ey]|suitabl[ey]|proper(?:ly)?|adequate(?:ly)?|sufficient(?:ly)?"
    r"|acceptable|good|bad|nice|best|optimal(?:ly)?|normal(?:ly)?|usual(?:ly)?|generally|various|several|certain"
    r"|significant(?:ly)?|relevant|common sense|and so on|and so forth|etc\.?|and/or|some|things?|stuff)(?!\w)",
    re.IGNORECASE,
)
_NEGATION = re.compile(
    r"(?<![\w-])(?:not(?! only\b)|never|no(?! longer\b| one\b| doubt\b)|none|nothing|neither|nor|cannot|without)\b"
    r"|\b(?:is|are|was|were|do|does|did|has|have|had|should|would|could|must|may|ca|wo)n['\u2019]t\b",
    re.IGNORECASE,
)
_NEGATIVE_RULE = re.compile(
    r"\b(?:(?:should|must|shall|will|may|can|do|does|is|are) ?(?:not\b|n['\u2019]t\b)|cannot|can['\u2019]t|never"
    r"|avoids?|refrains? from|refuses? to|declines? to|abstains? from|(?:the )?least(?= \w)|fewe(?:r|st)(?= \w))",
    re.IGNORECASE,
)
_TRAIT = re.compile(
    r"(?:(?:^|[.!?;\n]\s*)(?:please )?(?:be|remain|stay)"
    r"|\b(?:should|must|shall|will|to be|always|being|response that is|i am(?: an?)?"
    r"|(?:assistant|ai|model|my (?:\w+ )?\w+|tone|language|manner) (?:is|are)))\s+"
    r"(?:always |as |very |both |the ){0,3}(?:be )?(?:as |very |always |the ){0,3}(?:(?:most|more|less|least) )?"
    r"(?P<trait>accurate|benevolent|calm|caring|compassionate|considerate|cooperative|courteous|curious|empathetic|ethical|fair"
    r"|friendly|harmless|helpful|honest|humble|humorous|impartial|kind|loving|moral|neutral|objective|open-minded|patient"
    r"|peaceful|pleasant|polite|reliable|respectful|responsible|safe|sincere|supportive|thoughtful|tolerant|transparent"
    r"|trustworthy|truthful|unbiased|understanding|virtuous|warm|wise)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Hint:
    """One piece of advice. `field` and text[start:end] of it say where; an empty range means the whole field."""

    slug: str
    principle: str
    """The principle's id; empty for the preamble and the exemplars."""
    field: str
    start: int
    end: int
    sentence: str
    reason: str
    source: str


def lint(constitution: Constitution, likeness: Likeness = BY_LETTERS) -> tuple[Hint, ...]:
    """All hints for a constitution, in the order of its principles. `likeness`: what is known of meanings."""
    hints: list[Hint] = []
    alike: defaultdict[int, list[tuple[int, Pair]]] = defaultdict(list)
    for pair in likeness.among([principle.text for principle in constitution.principles]):
        alike[pair.left].append((pair.right, pair))
        alike[pair.right].append((pair.left, pair))
    for index, principle in enumerate(constitution.principles):
        hints += alone(principle)
        hints += [_near_duplicate(principle, constitution.principles[other], pair) for other, pair in alike[index]]
    parts = [("preamble", constitution.preamble)]
    for number, exemplar in enumerate(constitution.exemplars, start=1):
        parts += [(f"exemplar {number}, {name}", str(text)) for name, text in vars(exemplar).items()]
    for field, text in parts:
        hints += _leaks("", field, text)
    return tuple(hints)


def lint_principle(
    principle: Principle, others: Sequence[Principle] = (), likeness: Likeness = BY_LETTERS
) -> tuple[Hint, ...]:
    """All hints for one principle; `others` are the rest of its constitution, looked at for near-duplicates."""
    rest = [other for other in others if other.id != principle.id]
    pairs = likeness.to_first([principle.text, *(other.text for other in rest)])
    near = (_near_duplicate(principle, rest[pair.right - 1], pair) for pair in pairs)
    return (*alone(principle), *near)


@lru_cache(maxsize=4000)
def alone(principle: Principle) -> tuple[Hint, ...]:
    """The hints that need no other principle. Kept, because an editor asks again whenever one of many has changed."""
    return tuple(hint for rule in _RULES for hint in rule(principle))


def _near_duplicate(principle: Principle, other: Principle, pair: Pair) -> Hint:
    name = other.title or other.id
    sentences = {
        "letters": f"This says nearly the same as “{name}” ({pair.share:.0%} alike by letters).",
        "meaning": f"This is close in meaning to “{name}” ({pair.share:.0%} by meaning): the same or its opposite.",
    }
    return Hint(
        "near_duplicate",
        principle.id,
        "text",
        0,
        len(principle.text),
        sentences[pair.by],
        "Two principles that say the same are drawn twice as often, and edits to one leave the other behind.",
        COLLECTIVE,
    )


def _empty_text(principle: Principle) -> Iterator[Hint]:
    if not principle.text:
        yield Hint(
            "empty_text",
            principle.id,
            "text",
            0,
            0,
            "The rule itself is not written yet.",
            "Wordings left empty are made from the plain text, and reviewers read it first.",
            HOUSE,
        )


def _more_than_one_rule(principle: Principle) -> Iterator[Hint]:
    """The second sentence that states a norm, or a second norm joined to the first one within a sentence."""
    text, rules = principle.text, 0
    for match in _SENTENCE.finditer(text):
        sentence = match.group().strip()
        start = match.start() + len(match.group()) - len(match.group().lstrip())
        states = bool(_NORM.search(sentence) or _IMPERATIVE.match(sentence)) and not _ASIDE.match(sentence)
        rules += states
        joined = _SECOND_NORM.search(sentence, 12) if states and rules == 1 else None
        if joined:
            start, rules = start + joined.start(), 2
        if rules == 2:
            yield Hint(
                "more_than_one_rule",
                principle.id,
                "text",
                start,
                match.start() + len(match.group().rstrip()),
                "This looks like a second rule.",
                "A label that cites two rules at once cannot say which of them decided it.",
                KUNDU,
            )
            return


def _vague_term(principle: Principle) -> Iterator[Hint]:
    seen: set[str] = set()
    for match in _VAGUE.finditer(principle.text):
        term = match.group().lower()
        if term not in seen:
            seen.add(term)
            yield Hint(
                "vague_term",
                principle.id,
                "text",
                match.start(),
                match.end(),
                f"“{match.group()}” leaves open what is meant.",
                "Two readers, or two judges, can agree with a vague word and decide differently.",
                REQUIREMENTS,
            )


def _negative_framing(principle: Principle) -> Iterator[Hint]:
    if match := _NEGATIVE_RULE.search(principle.text):
        yield Hint(
            "negative_framing",
            principle.id,
            "text",
            match.start(),
            match.end(),
            "The rule says what to leave out; say what to do as well, or instead.",
            "Positively framed principles agreed better with what people prefer, though trained models "
            "followed negatively framed ones more closely.",
            C3AI,
        )


def _trait_not_behaviour(principle: Principle) -> Iterator[Hint]:
    if match := _TRAIT.search(principle.text):
        yield Hint(
            "trait_not_behaviour",
            principle.id,
            "text",
            match.start("trait"),
            match.end("trait"),
            f"“{match['trait']}” names a trait; say what an answer does that shows it.",
            "Principles that describe behaviour agreed better with what people prefer than those that name a trait.",
            C3AI,
        )


def _missing_wording(principle: Principle) -> Iterator[Hint]:
    for field, stage in _STAGE_OF.items():
        if stage in principle.stages and not getattr(principle, field):
            yield Hint(
                "missing_wording",
                principle.id,
                field,
                0,
                0,
                f"The {_NAMES[field]} is made from the plain text; read what will be sent.",
                "A wording of its own can ask for exactly what the rule is about.",
                PAPER,
            )


def _missing_source(principle: Principle) -> Iterator[Hint]:
    source = principle.source
    if not (source.document or source.article or source.url):
        yield Hint(
            "missing_source",
            principle.id,
            "source_document",
            0,
            0,
            "It is not said where this principle comes from.",
            "Reviewers and compliance readers ask for the document and article behind a rule.",
            HOUSE,
        )


def _negation_in_one_wording(principle: Principle) -> Iterator[Hint]:
    texts = {field: getattr(principle, field) for field in WORDINGS if getattr(principle, field)}
    negated = {field: match for field, text in texts.items() if (match := _NEGATION.search(text))}
    if len(texts) < 2 or len(negated) != 1:
        return
    ((field, match),) = negated.items()
    yield Hint(
        "negation_in_one_wording",
        principle.id,
        field,
        match.start(),
        match.end(),
        f"Only the {_NAMES[field]} says “{match.group()}”; check that it asks for the same as the others.",
        "One negation too many, or too few, turns a request round, and nothing else shows it.",
        LANGCHAIN,
    )


def _too_long(principle: Principle) -> Iterator[Hint]:
    for field in ("text", *WORDINGS):
        text = getattr(principle, field)
        # Far fewer words than that cannot be too many; counting is left out for nearly all texts.
        if len(text) > 2 * LONG_WORDS and (words := len(text.split())) > LONG_WORDS:
            yield Hint(
                "too_long",
                principle.id,
                field,
                0,
                len(text),
                f"This has {words} words; up to {LONG_WORDS} are usual.",
                "Every word is sent with every item that is judged, and long rules tend to hold several.",
                PAPER,
            )


def _leaks_delimiter(principle: Principle) -> Iterator[Hint]:
    for field in _TEXTS:
        yield from _leaks(principle.id, field, getattr(principle, field))
    for field in ("positive_examples", "negative_examples"):
        for text in getattr(principle, field):
            yield from _leaks(principle.id, field, text)


def _leaks(principle_id: str, field: str, text: str) -> Iterator[Hint]:
    if not _MAY_LEAK.search(text):
        return
    for delimiter in reserved_in(text):
        match = re.search(re.escape(delimiter), text, re.IGNORECASE)
        start, end = match.span() if match else (0, 0)
        yield Hint(
            "leaks_delimiter",
            principle_id,
            field,
            start,
            end,
            f"“{delimiter}” is a mark of the prompts themselves.",
            "Inside a prompt it could be taken for the end of one part and the beginning of another.",
            DELIMITERS,
        )


_MAY_LEAK = re.compile(r"[:\[|(]")
"""Every reserved delimiter holds one of these, and most texts none."""

_RULES: tuple[Callable[[Principle], Iterator[Hint]], ...] = (
    _empty_text,
    _more_than_one_rule,
    _vague_term,
    _negative_framing,
    _trait_not_behaviour,
    _missing_wording,
    _missing_source,
    _negation_in_one_wording,
    _too_long,
    _leaks_delimiter,
)
