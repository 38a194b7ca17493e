"""Every text a model is sent, and the one place where foreign text is made harmless before it enters one.

Two formats (arXiv 2212.08073, sections 3.1 and 4.1):

* *paper*, a transcript for models without a chat template::

    \\n\\nHuman: …\\n\\nAssistant: …\\n\\nCritiqueRequest: …\\n\\nCritique: …\\n\\nRevisionRequest: …\\n\\nRevision:

* *chat*, the same turns through the model's own template; requests come from the user, critiques and revisions from the
  assistant.

The revision prompt begins with the whole critique prompt, so what was computed for the critique serves again. After a
round the revision stands in the conversation as an ordinary answer and the next round starts from there. Comparisons
(section 4.1) are multiple choice; their templates are at the end of the file.

Prompts, responses, principles and worked examples are foreign text: `defuse` quotes lines that would read as a turn, an
option or the answer, and breaks control tokens. What is left out: persuasion. A text can still *ask* for a verdict; it
can no longer pretend to be one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from constitutions_app.core.principles import Exemplar
from constitutions_app.core.wordings import RESERVED_LABELS, Wordings
from training_app.core.errors import BadInput
from training_app.core.rows import Message

LABELS = {
    "system": "System",
    "user": "Human",
    "assistant": "Assistant",
    "critique_request": "CritiqueRequest",
    "critique": "Critique",
    "revision_request": "RevisionRequest",
    "revision": "Revision",
}
"""Role of a turn → its label in the transcript."""

CHAT_ROLES = {
    "system": "system",
    "user": "user",
    "assistant": "assistant",
    "critique_request": "user",
    "critique": "assistant",
    "revision_request": "user",
    "revision": "assistant",
}
"""Role of a turn → the chat role that speaks it."""

STOPS = tuple(f"\n\n{label}:" for label in LABELS.values())
"""Where a transcript's answer ends: the model goes on to play the next turn."""

NO_TEMPLATE = "The model has no chat template, so the paper's transcript format is used."

TRANSCRIPT_CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '\n\n' + {'system': 'System', 'user': 'Human', 'assistant': 'Assistant'}[message['role']] + ': ' }}"
    "{{ message['content'] }}{% if message['role'] == 'assistant' %}{{ eos_token }}{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '\n\nAssistant:' }}{% endif %}"
)
"""The transcript format as a chat template, for training a model that has none."""

ChatTemplate = Callable[[Sequence[Message]], str]
"""Messages → the text that asks the model for the assistant's next one."""


# -- defusing ----------------------------------------------------------------------------------------------------------

_LINE_ENDS = re.compile("\r\n|[\r\x0b\x0c\x85\u2028\u2029]")
_OPENERS = re.compile(
    r"^(?=[^\S\n]*(?:(?:"
    + "|".join(re.escape(label).replace(r"\ ", r"[^\S\n]+") for label in RESERVED_LABELS)
    + r")[^\S\n]*[:\uFF1A]|\([A-Za-z]\)))",
    re.MULTILINE | re.IGNORECASE,
)
_CONTROL_TOKENS = re.compile(
    r"(?P<first>[<\uFF1C])(?=[|\uFF5C]|/?s>|/?SYS>|<SYS>>|(?:start|end)_of_turn>|(?:bos|eos|pad|unk)>)|(?P<square>\[)(?=/?INST\])"
)


def defuse(text: str, special_tokens: Sequence[str] = ()) -> str:
    """Foreign text as it may stand in a prompt: nothing in it reads as the prompt's own structure.

    A line that begins like a turn ("Human:"), an option ("(A)") or the answer becomes a quoted line ("> Human:"). A
    control token, of the chat models in use or of `special_tokens`, gets a space behind its first character. Both leave
    the text readable for people and models, and doing it twice changes nothing more.
    """
    return _OPENERS.sub("> ", without_control(text, special_tokens))


def without_control(text: str, special_tokens: Sequence[str] = ()) -> str:
    """`text` with line ends as "\\n" and every control token broken: for a text that *is* a whole prompt of its own."""
    plain = _LINE_ENDS.sub("\n", text)
    for token in sorted(special_tokens, key=len, reverse=True):
        if len(token) > 1:
            plain = plain.replace(token, f"{token[0]} {token[1:]}")
    return _CONTROL_TOKENS.sub(lambda match: f"{match.group()} ", plain)


# -- formats -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Turn:
    """One labelled part of a prompt; `role` is a key of `LABELS`."""

    role: str
    text: str


@dataclass(frozen=True)
class PromptFormat:
    """How turns become text: the model's chat template, or the transcript where there is none."""

    template: ChatTemplate | None = None
    special_tokens: tuple[str, ...] = ()
    stops: tuple[str, ...] = STOPS
    note: str = ""

    @property
    def name(self) -> str:
        """ "chat" or "paper"."""
        return "chat" if self.template else "paper"

    def response(self, messages: Sequence[Message]) -> str:
        """Ask for the assistant's answer to a conversation that ends with the user."""
        return self._render(_conversation(messages), "assistant")

    def critique(
        self, messages: Sequence[Message], answer: str, wordings: Wordings, exemplars: Sequence[Exemplar] = ()
    ) -> str:
        """Ask for a critique of the assistant's `answer` to `messages` (section 3.1)."""
        return self._render(_critique_turns(messages, answer, wordings, exemplars), "critique")

    def revision(
        self,
        messages: Sequence[Message],
        answer: str,
        wordings: Wordings,
        critique: str,
        exemplars: Sequence[Exemplar] = (),
    ) -> str:
        """Ask for the revision that follows from `critique`; begins with the critique prompt (section 3.1)."""
        turns = _critique_turns(messages, answer, wordings, exemplars)
        turns += [Turn("critique", critique), Turn("revision_request", wordings.revision_request)]
        return self._render(turns, "revision")

    def direct_revision(
        self, messages: Sequence[Message], answer: str, wordings: Wordings, exemplars: Sequence[Exemplar] = ()
    ) -> str:
        """Ask for a revision without a critique before it (section 3.5); the worked examples have none either."""
        turns = _answered_turns(messages, answer, exemplars, critique=False)
        return self._render([*turns, Turn("revision_request", wordings.revision_request)], "revision")

    def defuse(self, text: str) -> str:
        """Foreign text made harmless for this model (see `defuse`)."""
        return defuse(text, self.special_tokens).strip()

    def _render(self, turns: Sequence[Turn], answer_role: str) -> str:
        safe = [Turn(turn.role, self.defuse(turn.text)) for turn in turns]
        if self.template is not None:
            return self.template([Message(CHAT_ROLES[turn.role], turn.text) for turn in safe])
        return "".join(f"\n\n{LABELS[turn.role]}: {turn.text}" for turn in safe) + f"\n\n{LABELS[answer_role]}:"


def _conversation(messages: Sequence[Message]) -> list[Turn]:
    return [Turn(message.role, message.content) for message in messages]


def _critique_turns(
    messages: Sequence[Message], answer: str, wordings: Wordings, exemplars: Sequence[Exemplar]
) -> list[Turn]:
    turns = _answered_turns(messages, answer, exemplars, critique=True)
    return [*turns, Turn("critique_request", wordings.critique_request)]


def _answered_turns(
    messages: Sequence[Message], answer: str, exemplars: Sequence[Exemplar], *, critique: bool
) -> list[Turn]:
    """The worked examples and the conversation up to the answer that is to be criticised or revised."""
    turns = []
    system = [message for message in messages if message.role == "system"]
    turns += _conversation(system)  # a template allows a system message only first, before the worked examples
    for exemplar in exemplars:
        turns += [Turn("user", exemplar.prompt), Turn("assistant", exemplar.response)]
        if critique:
            turns += [Turn("critique_request", exemplar.critique_request), Turn("critique", exemplar.critique)]
        turns += [Turn("revision_request", exemplar.revision_request), Turn("revision", exemplar.revision)]
    turns += _conversation([message for message in messages if message.role != "system"])
    return [*turns, Turn("assistant", answer)]


def format_for(tokenizer: Any, kind: str = "auto") -> PromptFormat:
    """The format a model is asked in. "auto": its chat template, or the transcript where it has none.

    Raises BadInput when "chat" is wanted of a model without a template.
    """
    special_tokens = special_tokens_of(tokenizer)
    template = chat_template_of(tokenizer)
    if kind == "chat" and template is None:
        raise BadInput("The model has no chat template.", 'Choose the format "paper" or "auto".')
    if kind == "paper" or template is None:
        return PromptFormat(None, special_tokens, note="" if kind == "paper" else NO_TEMPLATE)
    is_transcript = "\n\nHuman: " in template([Message("user", "hello")])
    return PromptFormat(template, special_tokens, stops=STOPS if is_transcript else ())


def chat_template_of(tokenizer: Any) -> ChatTemplate | None:
    """The tokenizer's chat template as a function of messages to text, or None."""
    if not tokenizer.chat_template:
        return None

    def render(messages: Sequence[Message]) -> str:
        turns = [{"role": message.role, "content": message.content} for message in messages]
        return str(tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True))

    return render


def special_tokens_of(tokenizer: Any) -> tuple[str, ...]:
    """Every text that the tokenizer reads as one control token."""
    added = {token.content for token in tokenizer.added_tokens_decoder.values() if token.special}
    return tuple(sorted(added | set(tokenizer.all_special_tokens)))


# -- comparisons -------------------------------------------------------------------------------------------------------

OPTIONS = (" (A)", " (B)")
"""The two answers whose log-probabilities are compared; the first names the response shown first."""

NEITHER = " (C)"
NEITHER_WORDS = "Neither is better, or this does not apply here."

ANSWER = "The answer is:"

TEMPLATES = {
    "paper": (
        "Consider the following conversation between a human and an assistant:{conversation}\n\n"
        "{question} Options:\n (A) {first}\n (B) {second}\n"
    ),
    "principle_last": (
        "Consider the following conversation between a human and an assistant:{conversation}\n\n"
        "Two responses of the assistant. Options:\n (A) {first}\n (B) {second}\n\n{question}\n"
    ),
}
"""Section 4.1 puts the principle before the options; principle last lets many principles share one long beginning."""


def comparison(
    form: PromptFormat, template: str, messages: Sequence[Message], question: str, first: str, second: str
) -> str:
    """Ask which of two responses keeps to a principle; the model's next words are one of `OPTIONS`.

    `template` is "paper" or "principle_last" (plain text), or "chat": the paper's text as a user's message, with the
    assistant's reply begun. Raises BadInput for "chat" without a chat template.
    """
    body = comparison_body(form, template, messages, question, first, second)
    if template != "chat":
        return body + ANSWER
    return chat_of(form)([Message("user", body + ANSWER_WITH)]) + ANSWER


ANSWER_WITH = "Answer with (A) or (B)."


def comparison_body(
    form: PromptFormat,
    template: str,
    messages: Sequence[Message],
    question: str,
    first: str,
    second: str,
    *,
    neither: bool = False,
) -> str:
    """A comparison up to where the answer is asked for; everything foreign in it is defused. `neither` adds (C)."""
    return TEMPLATES["paper" if template == "chat" else template].format(
        conversation="".join(f"\n\n{LABELS[turn.role]}: {form.defuse(turn.content)}" for turn in messages),
        question=form.defuse(question),
        first=form.defuse(first),
        second=form.defuse(second) + (f"\n{NEITHER} {NEITHER_WORDS}" if neither else ""),
    )


def chat_of(form: PromptFormat) -> ChatTemplate:
    """The judge's chat template. Raises BadInput when it has none."""
    if form.template is None:
        raise BadInput("The judge has no chat template.", "Choose the template paper or principle_last.")
    return form.template
