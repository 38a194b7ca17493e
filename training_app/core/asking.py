"""What a judge is sent: the question of one or many principles, worked comparisons before it, thoughts behind it.

* Several principles at once ("together"): their questions as one list; the label then cites all of them.
* Worked comparisons (few-shot, section 4.1): the worked examples of the constitution, answer against revision, the
  better one now first and now second, each under a principle drawn for it. They are the same for every item of a job,
  so that their computation is shared; an example whose revision changes nothing compares nothing and is left out.
* Chain of thought (section 4.1): the judge first thinks step by step, then the two answers are scored behind its
  thoughts. Thoughts are model output and are defused like any foreign text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from constitutions_app.core.principles import Exemplar, Principle
from constitutions_app.core.wordings import wordings_for
from training_app.core.config import LabelParams, Sampling
from training_app.core.generation import seed_for
from training_app.core.principle_choice import choose_principle
from training_app.core.prompts import (
    ANSWER,
    ANSWER_WITH,
    NEITHER,
    OPTIONS,
    PromptFormat,
    chat_of,
    comparison_body,
)
from training_app.core.rows import Comparison, Message

THINK = "Let's think step by step:"
CONCLUSION = "So the answer is:"
THOUGHT_STOPS = ("So the answer is", ANSWER, "\n\nHuman:", "\n\nAssistant:", "\n\nConsider the following conversation")
"""Where thoughts end: the conclusion is asked for, not read out of them."""

ALL = "*"
"""Stands where a label would name its principle, when it was asked under all of them at once."""


@dataclass(frozen=True)
class Asking:
    """One comparison to be judged, under one principle or under several in one prompt."""

    item: Comparison
    principles: tuple[Principle, ...]

    @property
    def principle_id(self) -> str | None:
        """The principle cited; None when there are several."""
        return self.principles[0].id if len(self.principles) == 1 else None

    @property
    def key(self) -> str:
        """The label's key: "<comparison>/<principle>"."""
        return f"{self.item.id}/{self.principle_id or ALL}"

    @property
    def question(self) -> str:
        """The comparison question, or the list of them."""
        questions = [wordings_for(principle).comparison_question for principle in self.principles]
        if len(questions) == 1:
            return questions[0]
        return "Weigh all of these questions:\n" + "\n".join(f"- {one}" for one in questions) + "\nWhich is better?"


@dataclass(frozen=True)
class Worked:
    """A comparison with its answer, shown before the question."""

    messages: tuple[Message, ...]
    question: str
    first: str
    second: str
    answer: str
    thoughts: str


@dataclass(frozen=True)
class Manner:
    """How a judge is asked: part of who the judge is."""

    template: str = "paper"
    neither: bool = False
    worked: tuple[Worked, ...] = ()
    cot_samples: int = 0
    thoughts: Sampling = field(default_factory=Sampling)

    @property
    def options(self) -> tuple[str, ...]:
        """The answers that are scored."""
        return (*OPTIONS, NEITHER) if self.neither else OPTIONS

    def words(self, *, together: bool = False) -> str:
        """What distinguishes this judge beside its template, e.g. "4 worked, 5 thoughts"; "" for the plain question."""
        parts = [
            f"{len(self.worked)} worked" if self.worked else "",
            f"{self.cot_samples} thoughts of {self.thoughts.max_new_tokens} tokens" if self.cot_samples else "",
            "neither offered" if self.neither else "",
            "all principles at once" if together else "",
        ]
        return ", ".join(filter(None, parts))


def manner_of(params: LabelParams, exemplars: Sequence[Exemplar], principles: Sequence[Principle], seed: int) -> Manner:
    """The manner a label job asks in."""
    return Manner(
        template=params.template,
        neither=params.neither,
        worked=worked_comparisons(exemplars, principles, seed, params.exemplars),
        cot_samples=params.cot_samples,
        thoughts=Sampling(max_new_tokens=params.cot_tokens, batch_size=params.batch_size),
    )


def worked_comparisons(
    exemplars: Sequence[Exemplar], principles: Sequence[Principle], seed: int, count: int
) -> tuple[Worked, ...]:
    """The first `count` worked examples that changed something, as comparisons. The same for every item of a job."""
    changing = [one for one in exemplars if one.response.strip() != one.revision.strip()]
    worked = []
    for number, one in enumerate(changing[:count]):
        principle = choose_principle(principles, seed, "worked", number)
        is_first = (seed_for(seed, "worked order") + number) % 2 == 0
        first, second = (one.revision, one.response) if is_first else (one.response, one.revision)
        question = wordings_for(principle).comparison_question
        answer = OPTIONS[0 if is_first else 1]
        worked.append(Worked((Message("user", one.prompt),), question, first, second, answer, one.critique))
    return tuple(worked)


def question_text(form: PromptFormat, manner: Manner, asking: Asking, order: str, thoughts: str | None = None) -> str:
    """The whole text sent for one order ("ab" or "ba"); it ends where an answer is due.

    With a chain of thought and no `thoughts` yet it ends where the thinking begins.
    """
    item = asking.item
    first, second = (item.response_a, item.response_b) if order == "ab" else (item.response_b, item.response_a)
    asked = _body(form, manner, item.messages, asking.question, first, second)
    shown = [
        (
            _body(form, manner, one.messages, one.question, one.first, one.second),
            _reply(form, manner, one.thoughts) + one.answer,
        )
        for one in manner.worked
    ]
    begun = _reply(form, manner, thoughts)
    if manner.template != "chat":
        return "".join(f"{body}{reply}\n\n" for body, reply in shown) + asked + begun
    turns = [
        Message(role, text)
        for pair in shown
        for role, text in (("user", pair[0] + _wanted(manner)), ("assistant", pair[1]))
    ]
    return chat_of(form)([*turns, Message("user", asked + _wanted(manner))]) + begun


def _body(
    form: PromptFormat, manner: Manner, messages: Sequence[Message], question: str, first: str, second: str
) -> str:
    return comparison_body(form, manner.template, messages, question, first, second, neither=manner.neither)


def _wanted(manner: Manner) -> str:
    wanted = ANSWER_WITH.replace(" or (B)", ", (B) or (C)") if manner.neither else ANSWER_WITH
    return f"Think step by step first. {wanted}" if manner.cot_samples else wanted


def _reply(form: PromptFormat, manner: Manner, thoughts: str | None) -> str:
    """What the judge's reply begins with: the answer's announcement, or its thoughts and then the announcement."""
    if not manner.cot_samples:
        return ANSWER
    if thoughts is None:
        return THINK
    return f"{THINK} {form.defuse(thoughts)}\n\n{CONCLUSION}"
