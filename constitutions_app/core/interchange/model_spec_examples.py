"""One example of the Model Spec, a dialogue in tags, as scenarios.

    <user> .. </user>
    <comparison>
    <assistant> <!-- BAD: why --> .. </assistant>
    <assistant> <!-- GOOD --> .. </assistant>
    </comparison>

Every two answers of a comparison that are judged differently (GOOD before OK before BAD) make one scenario; the answers
keep the order of the file, so the better one is not always the first. A later turn goes on from the best answer. An
example without a comparison is a probe prompt: a scenario whose responses are still to be written.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations

from constitutions_app.core.interchange.documents import Document
from constitutions_app.core.interchange.naming import MAX_TITLE, Ids, short, title_from
from constitutions_app.core.principles import normalise
from constitutions_app.core.scenarios import Scenario

MAX_ANSWERS = 12
"""Answers of one comparison that are paired with each other; the Model Spec has at most four."""

RANKS = {"GOOD": 2, "OK": 1, "BAD": 0}

_ROLE = re.compile(r"<(system|developer|user|assistant|tool)((?:\s[^>]*)?)>(.*)", re.DOTALL)
_VERDICT = re.compile(r"\s*<!--\s*(GOOD|OK|BAD)\b(.*?)-->\s*", re.IGNORECASE | re.DOTALL)
_RECIPIENT = re.compile(r"\b(recipient|name)=\"([^\"]*)\"")
_ALSO_BROKEN = re.compile(r"\[#([^\]\s]+)\]")


@dataclass(frozen=True)
class Example:
    """The lines of one dialogue with their numbers, and the title that stands above it."""

    line: int
    title: str
    body: tuple[tuple[int, str], ...]


@dataclass(frozen=True)
class Message:
    """One turn. `verdict` is GOOD, OK or BAD within a comparison and empty elsewhere; `remark` says why."""

    line: int
    role: str
    text: str
    verdict: str = ""
    remark: str = ""


def scenarios_of(
    document: Document,
    example: Example,
    name: str,
    principle_ids: tuple[str, ...],
    by_anchor: Mapping[str, str],
    ids: Ids,
) -> Iterator[Scenario]:
    """The scenarios that one example makes, with ids that begin with `name`. Problems go into the remarks."""
    before: list[Message] = []
    compared = False
    for group in _groups(document, example):
        if len(group) == 1 and not group[0].verdict:
            before += group
            continue
        compared = True
        prompt = transcript(before)
        if not prompt:
            document.remarks.add(
                group[0].line, example.title, "Nothing comes before these answers, so there is no prompt."
            )
        else:
            if len(group) > MAX_ANSWERS:
                reason = f"Of {len(group)} answers, the first {MAX_ANSWERS} were compared."
                document.remarks.add(group[MAX_ANSWERS].line, example.title, reason)
            for pair in _pairs(group[:MAX_ANSWERS]):
                yield _scenario(example, name, principle_ids, by_anchor, ids, prompt, pair)
        before.append(max(group, key=lambda message: RANKS.get(message.verdict, 1)))
    if compared:
        return
    while before and before[-1].role == "assistant":
        before.pop()
    if prompt := transcript(before):
        yield _scenario(example, name, principle_ids, by_anchor, ids, prompt, ())
    else:
        document.remarks.add(example.line, example.title, "This example holds no prompt to answer.")


def transcript(messages: list[Message]) -> str:
    """A single user message as it is; several messages, or other roles, each with its role before it."""
    if [message.role for message in messages] == ["user"]:
        return messages[0].text
    return "\n\n".join(f"{message.role.capitalize()}: {message.text}" for message in messages)


def _pairs(group: list[Message]) -> list[tuple[Message, ...]]:
    """Every two answers judged differently; a lone answer when there is nothing to compare it with."""
    judged = [message for message in group if message.verdict]
    pairs: list[tuple[Message, ...]] = [pair for pair in combinations(judged, 2) if pair[0].verdict != pair[1].verdict]
    return pairs or [(group[0],)]


def _scenario(
    example: Example,
    name: str,
    principle_ids: tuple[str, ...],
    by_anchor: Mapping[str, str],
    ids: Ids,
    prompt: str,
    answers: tuple[Message, ...],
) -> Scenario:
    broken = (by_anchor.get(anchor, "") for answer in answers for anchor in _ALSO_BROKEN.findall(answer.remark))
    expected = ""
    if len(answers) == 2:
        expected = "a" if RANKS[answers[0].verdict] > RANKS[answers[1].verdict] else "b"
    return Scenario(
        id=ids.keep(f"{name[:60]}-{example.line}", "example"),
        title=short(normalise(example.title), MAX_TITLE) or title_from(prompt),
        principles=tuple(dict.fromkeys([*principle_ids, *filter(None, broken)])),
        prompt=prompt,
        response_a=answers[0].text if answers else "",
        response_b=answers[1].text if len(answers) == 2 else "",
        expected=expected,
        note="\n".join(_noted(letter, answer) for letter, answer in zip("ab", answers, strict=False) if answer.verdict),
    )


def _noted(letter: str, answer: Message) -> str:
    return f"{letter.upper()} is {answer.verdict}{': ' if answer.remark else ''}{answer.remark}"


def _groups(document: Document, example: Example) -> Iterator[list[Message]]:
    """Single messages, and the answers of each comparison together."""
    comparison: list[Message] | None = None
    lines = iter(example.body)
    for number, line in lines:
        tag = line.strip()
        if tag == "<comparison>":
            comparison = []
        elif tag == "</comparison>":
            if comparison:
                yield comparison
            comparison = None
        elif _ROLE.match(tag):
            message = _message(document, number, tag, lines)
            if comparison is None:
                yield [message]
            else:
                comparison.append(message)
        elif tag:
            document.remarks.add(number, line, "This line of an example belongs to no message.")
    if comparison:
        document.remarks.add(comparison[0].line, example.title, "This comparison is never closed.")
        yield comparison


def _message(document: Document, number: int, opening: str, lines: Iterator[tuple[int, str]]) -> Message:
    """Read a message from its opening line to the line that closes it."""
    match = _ROLE.match(opening)
    role, attributes, rest = (match[1], match[2], match[3]) if match else ("user", "", "")
    closing = f"</{role}>"
    texts = [rest]
    while not texts[-1].rstrip().endswith(closing):
        following = next(lines, None)
        if following is None:
            document.remarks.add(number, opening, f"This message is never closed by {closing}.")
            texts.append(closing)
        else:
            texts.append(following[1])
    text = "\n".join(texts).rstrip().removesuffix(closing)
    verdict = _VERDICT.match(text)
    recipient = _RECIPIENT.search(attributes)
    return Message(
        line=number,
        role=f"{role} ({recipient[2]})" if recipient else role,
        text=normalise(html.unescape(text[verdict.end() :] if verdict else text)),
        verdict=verdict[1].upper() if verdict else "",
        remark=verdict[2].strip().removeprefix(":").strip() if verdict else "",
    )
