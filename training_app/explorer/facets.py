"""How many items would fit with one more filter: exact up to a thousand, then "1,000+".

Nothing is counted beyond that, so a count costs the same among a thousand and among a hundred million.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from constitutions_app.models import PrincipleVersion, Version
from training_app.access import Person, hides_anything
from training_app.explorer.conditions import conditions_for_each
from training_app.explorer.filters import JUDGEMENT, ORDERS, Filters, applies
from training_app.explorer.finding import count_by_words
from training_app.explorer.tokens import FINALS, STATES
from training_app.explorer.walk import counts
from training_app.models import Audit, Judge, PromptSet, Run
from training_app.templatetags.plainly import FLAGS

MOST = 1000
OFFERED = 10
"""Values of one group that are offered and counted."""

SOURCE_WORDS = {
    "sampled": "sampled in a run", "human": "human comparison", "imported": "annotated elsewhere",
    "chat": "answers to a question",
}  # fmt: skip

FINAL_WORDS = {
    "unanimous": "nobody disagrees", "adjudicated": "somebody had the last word", "unresolved": "not yet decided",
}  # fmt: skip

Values = list[tuple[Any, str]]


@dataclass(frozen=True)
class Counted:
    """One value of a group: the question with it, and how many items fit that, "1,000+" above a thousand."""

    words: str
    count: str
    query: str
    is_chosen: bool


@dataclass(frozen=True)
class Group:
    """Something to narrow a question by, and which filter that is."""

    name: str
    words: str
    values: Callable[[], Values]


def counted(asked: Filters, name: str) -> list[Counted]:
    """The values of one group, those that fit anything, in the group's order. Raises KeyError for another group.

    Four queries at most; in a search of labels some for each of at most OFFERED values.
    """
    group = GROUPS[name]
    values = group.values()[:OFFERED]
    found = []
    for (value, words), (n, is_more) in zip(values, _fitting(asked, name, [one for one, _ in values]), strict=True):
        if n or is_more:
            link = replace(asked, **{name: value}).to_query().urlencode()
            number = f"{MOST:,}+" if n > MOST else f"{n:,}{'+' if is_more else ''}"
            found.append(Counted(words, number, link, getattr(asked, name) == value))
    return found


def counted_for(asked: Filters, name: str, user: Person) -> list[Counted] | None:
    """The same for one person: None where counts could give away what is kept from them. KeyError for another group."""
    tells = name in (*JUDGEMENT, "verdict", "reason") or asked.reveals_judgement
    return None if tells and hides_anything(user) else counted(asked, name)


def groups_for(asked: Filters) -> Sequence[Group]:
    """The groups that say something about the kind of item that is asked for."""
    return [group for group in GROUPS.values() if applies(group.name, asked.kind)]


def _fitting(asked: Filters, name: str, values: Sequence[Any]) -> list[tuple[int, bool]]:
    """How many items fit with each value, at most MOST + 1, and whether there may be more: a search looks only so far
    back."""
    questions = conditions_for_each(asked, name, values)
    if asked.kind == "label" and asked.text:
        return [count_by_words(asked, one, most=MOST + 1) for one in questions]
    return [(n, False) for n in counts(asked.kind, questions, most=MOST + 1, words=asked.text)]


def _versions() -> Values:
    rows = Version.objects.filter(pk__in=Run.objects.values("version")).order_by("-created_at")
    named = rows.values_list("pk", "constitution__name", "number")[:OFFERED]
    return [(pk, f"{name} v{number}") for pk, name, number in named]


def _principles() -> Values:
    judged = PrincipleVersion.objects.filter(version__in=Run.objects.order_by("-number").values("version")[:1])
    return [(key, title or key) for key, title in judged.order_by("position").values_list("key", "title")[:OFFERED]]


def _judges() -> Values:
    return [(pk, name) for pk, name in Judge.objects.order_by("-pk").values_list("pk", "name")[:OFFERED]]


def _runs() -> Values:
    return [(number, f"Run {number}") for number in
            Run.objects.order_by("-number").values_list("number", flat=True)[:OFFERED]]  # fmt: skip


def _prompt_sets() -> Values:
    return list(PromptSet.objects.order_by("-pk").values_list("pk", "name")[:OFFERED])


GROUPS = {
    group.name: group
    for group in (
        Group("state", "State", lambda: [(one, one) for one in STATES]),
        Group("final", "Final by", lambda: [(one, FINAL_WORDS[one]) for one in FINALS]),
        Group(
            "orders", "Orders", lambda: list(zip(ORDERS, ("same position twice", "same response twice"), strict=True))
        ),
        Group("key", "Principle", _principles),
        Group("version", "Version", _versions),
        Group("judge", "Judge", _judges),
        Group("run", "Run", _runs),
        Group("prompt_set", "Prompt set", _prompt_sets),
        Group("flag", "Flag", lambda: [(slug, words) for slug, (words, _) in FLAGS.items()]),
        Group("verdict", "Verdict", lambda: [(one, words) for one, words in Audit.Verdict.choices]),
        Group("reason", "Reason", lambda: [(one, words) for one, words in Audit.Reason.choices]),
        Group("source", "Source", lambda: list(SOURCE_WORDS.items())),
    )
}
