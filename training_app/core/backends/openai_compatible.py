"""A model behind any OpenAI-compatible server (vLLM, SGLang, llama.cpp, `transformers serve`, a hosted one).

Writing: chat prompts go to /chat/completions, transcripts to /completions (as one message where a server only chats).

Judging: where the server gives log-probabilities, ``log P(option)`` is read at the place where the options differ, all
tokens that begin the same option added up; an option missing from the server's list counts as much as the rest of the
distribution allows it. Where it gives none, `votes` answers are drawn at temperature 1 and
``log P(option) = log((votes for it + 1/2) / (votes read + options / 2))``; the judge's identity then says so.

A server's texts cannot be reproduced by seed the way local ones can: the seed is sent, and what the server makes of it
is its own affair. Left out: reading a prompt's own log-probabilities.
"""

from __future__ import annotations

import json
import math
import os
import re
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import reduce
from typing import Any

from training_app.core.backends import Generation, GenerationRequest, OptionScore, Question
from training_app.core.backends.asking import CHARACTERS_PER_TOKEN, Asker, Body, Refused
from training_app.core.config import Sampling
from training_app.core.datasets import common_beginning
from training_app.core.errors import BadInput
from training_app.core.generation import cut_at_stop, without_half_stop
from training_app.core.job import ModelRef
from training_app.core.prompts import PromptFormat
from training_app.core.rows import Message
from training_app.core.servers import ModelServer, server_named

CHAT, COMPLETIONS = "/chat/completions", "/completions"
AS_CHAT = "chat messages: "
"""What a chat prompt begins with: behind it stand the messages as JSON, exactly as they are sent."""

MOST_STOPS = 4
"""More stop sequences than this a server may refuse; the others are cut here."""

ANSWER_TOKENS = 12
"""Longest answer to a question with two options."""

LARGEST_SEED = 2**31

Notify = Callable[[str], None]

_Place = tuple[str, str]
"""A prompt, and what its answer begins with: what is asked once."""


class OpenAIBackend:
    """One server and its one model, behind the same verbs as a local model."""

    dtype = "server"
    layout = ""

    def __init__(self, server: ModelServer, notify: Notify = lambda _: None, *, asker: Asker | None = None) -> None:
        self.server = server
        self.label = f"server {server.name} ({server.model})"
        self.context = server.context
        self._asker = asker or Asker(server, key=server.key())
        self._notify = notify
        self._has_logprobs = {"yes": True, "no": False}.get(server.logprobs)

    def close(self) -> None:
        """Close the connections."""
        self._asker.close()

    @property
    def spent(self) -> dict[str, Any]:
        """Requests, retries, tokens and cost so far."""
        return self._asker.spent.as_data()

    @property
    def sampling(self) -> str:
        """How a judge's answers are read: "" for log-probabilities. Asks the server once if nobody has said."""
        if self._has_logprobs is None:
            self._has_logprobs = self._gives_logprobs()
        return "" if self._has_logprobs else f"{self.server.votes} votes at temperature 1"

    def format(self, kind: str) -> PromptFormat:
        """Chat messages, unless the transcript is wanted or the server does not chat."""
        if kind == "paper" or self.server.api == "completions":
            if kind == "chat":
                raise BadInput(f"The server {self.server.name} does not chat.", 'Choose the format "paper" or "auto".')
            return PromptFormat()
        return PromptFormat(as_chat, stops=())

    def length(self, text: str) -> int:
        """Tokens, guessed from characters: the server has the tokenizer."""
        return len(text) // CHARACTERS_PER_TOKEN + 1

    # -- writing -------------------------------------------------------------------------------------------------

    def generate(
        self,
        requests: Sequence[GenerationRequest],
        sampling: Sampling,
        stops: Sequence[str],
        *,
        extends: bool = False,
    ) -> list[Generation]:
        """Continue every prompt. Raises ServerFailed."""
        drawn: dict[str, Any] = {
            "temperature": sampling.temperature, "top_p": sampling.top_p, "max_tokens": sampling.max_new_tokens,
        }  # fmt: skip
        if stops:
            drawn["stop"] = list(stops[:MOST_STOPS])
        bodies = [
            (self._prompt(request.prompt), {**drawn, "seed": request.seed % LARGEST_SEED}) for request in requests
        ]
        answers = self._ask(bodies)
        return [_generation(request, answer, stops) for request, answer in zip(requests, answers, strict=True)]

    def _ask(self, asked: Sequence[tuple[tuple[str, Body], Body]]) -> list[dict[str, Any]]:
        """The answers in order, whichever endpoint each prompt goes to."""
        answers: dict[int, dict[str, Any]] = {}
        for endpoint in (CHAT, COMPLETIONS):
            mine = [place for place, ((where, _), _) in enumerate(asked) if where == endpoint]
            bodies = [{**asked[place][0][1], **asked[place][1]} for place in mine]
            answers |= dict(zip(mine, self._asker.ask_all(endpoint, bodies) if mine else [], strict=True))
        return [answers[place] for place in range(len(asked))]

    def _prompt(self, prompt: str, begun: str = "") -> tuple[str, Body]:
        """The endpoint a prompt goes to and its part of the body. `begun`: how a transcript's answer begins."""
        messages = read_chat(prompt)
        if messages is None and self.server.api == "chat":
            messages = [{"role": "user", "content": prompt}]
        if messages is not None:
            return CHAT, {"messages": messages}
        return COMPLETIONS, {"prompt": prompt + begun}

    # -- judging -------------------------------------------------------------------------------------------------

    def score_options(self, questions: Sequence[Question]) -> list[OptionScore]:
        """Log-probabilities of both options of every question, read or voted. Raises ServerFailed.

        A prompt that stands in several questions is asked once, and its answer read among the options of them all: so
        "(A)" against "(C)" is told on the same scale as "(A)" against "(B)".
        """
        offered: dict[_Place, list[str]] = {}
        for question in questions:
            known = offered.setdefault(_place_of(question), [])
            known += [option for option in question.options if option not in known]
        told = dict(zip(offered, self._voted(offered) if self.sampling else self._read(offered), strict=True))
        return [
            OptionScore(*(told[place][offered[place].index(option)] for option in question.options))
            for question in questions
            for place in (_place_of(question),)
        ]

    def _read(self, offered: Mapping[_Place, Sequence[str]]) -> list[list[float]]:
        """For every prompt the log-probability of each of its options."""
        asked = [(self._prompt(prompt, begun), self._logprob_body(prompt)) for prompt, begun in offered]
        scores = [
            _score(answer, rests_of(options))
            for answer, options in zip(self._ask(asked), offered.values(), strict=True)
        ]
        if unread := scores.count(None):
            self._notify(f"{unread} of {len(scores)} answers named no option; they count as undecided.")
        return [
            score or [-math.log(len(options))] * len(options)
            for score, options in zip(scores, offered.values(), strict=True)
        ]

    def _logprob_body(self, prompt: str) -> Body:
        endpoint, _ = self._prompt(prompt)
        if endpoint == CHAT:
            return {
                "temperature": 0,
                "max_tokens": ANSWER_TOKENS,
                "logprobs": True,
                "top_logprobs": self.server.top_logprobs,
            }
        return {"temperature": 0, "max_tokens": 1, "logprobs": self.server.top_logprobs}

    def _gives_logprobs(self) -> bool:
        """Ask once: a server that refuses the field, or leaves it empty, has none."""
        question = Question("Is water wet? Options:\n (A) yes\n (B) no\n\nThe answer is:", (" (A)", " (B)"))
        try:
            (answer,) = self._ask(
                [(self._prompt(question.prompt, begun_by(question.options)), self._logprob_body(question.prompt))]
            )
        except Refused as error:
            if error.status not in (400, 404, 422, 501):
                raise
            return False
        return next(_places(answer["choices"][0]), None) is not None

    def _voted(self, offered: Mapping[_Place, Sequence[str]]) -> list[list[float]]:
        """The same from votes."""
        votes = self.server.votes
        asked = [
            (
                self._prompt(prompt, begun),
                {"temperature": 1.0, "max_tokens": ANSWER_TOKENS, "seed": seed_of(prompt, vote)},
            )
            for prompt, begun in offered
            for vote in range(votes)
        ]
        texts = [_text(answer) for answer in self._ask(asked)]
        return [
            voted([chosen(text, options) for text in texts[place * votes : (place + 1) * votes]], len(options))
            for place, options in enumerate(offered.values())
        ]


def open_backend(ref: ModelRef, notify: Notify, dtype: str | None) -> OpenAIBackend:
    """The allowed server a reference names. Raises BadInput for another one, or one that has changed since."""
    server = server_named(ref.name, os.environ)
    if ref.digest is not None and ref.digest != server.digest:
        raise BadInput(
            f"The server {ref.name} is not the one the job was made for: its address, model or revision changed.",
            "Launch again, so that what is made names the server as it is.",
        )
    return OpenAIBackend(server, notify)


# -- chat prompts as text ----------------------------------------------------------------------------------------------


def as_chat(messages: Sequence[Message]) -> str:
    """Messages as the text that stands for them in traces and labels."""
    said = [{"role": message.role, "content": message.content} for message in messages]
    return AS_CHAT + json.dumps(said, ensure_ascii=False)


def read_chat(prompt: str) -> list[dict[str, str]] | None:
    """The messages a text stands for; text behind them joins the last message. None for a transcript."""
    if not prompt.startswith(AS_CHAT):
        return None
    try:
        messages, end = json.JSONDecoder().raw_decode(prompt, len(AS_CHAT))
    except ValueError:
        return None
    rest = prompt[end:].strip()
    if not isinstance(messages, list) or not all(isinstance(one, dict) for one in messages) or not messages:
        return None
    if rest:
        messages[-1] = {**messages[-1], "content": f"{messages[-1].get('content', '')}\n\n{rest}"}
    return messages


# -- reading answers ---------------------------------------------------------------------------------------------------


def begun_by(options: tuple[str, str]) -> str:
    """What both options begin with (" (" of " (A)" and " (B)"), for a transcript to end with."""
    return common_beginning(*options).rstrip()


def rests_of(options: Sequence[str]) -> tuple[str, ...]:
    """The options from where they differ: "A)" and "B)"."""
    shared = len(reduce(common_beginning, options))
    return tuple(option[shared:].strip() for option in options)


def _place_of(question: Question) -> _Place:
    return question.prompt, begun_by(question.options)


def seed_of(prompt: str, vote: int) -> int:
    """The seed of one vote: another one for every vote, the same in every run."""
    return (zlib.crc32(prompt.encode()) + 7919 * vote) % LARGEST_SEED


def chosen(text: str, options: Sequence[str]) -> int | None:
    """Which option an answer names, by its place; None for none. The first one written whole, else by its letter.

    "A" before a word in small letters is an article ("A fair reading says (B)"), unless that word speaks of an option.
    """
    rests = rests_of(options)
    whole = [rf"(?<!\w){re.escape(rest)}(?!\w)" for rest in rests]
    letters = [rf"(?<!\w){re.escape(rest.rstrip(')').strip())}(?!\w){_NO_ARTICLE}" for rest in rests]
    for patterns in (whole, letters):
        found = [(match.start(), place) for place, one in enumerate(patterns) if (match := re.search(one, text))]
        if found:
            return min(found)[1]
    return None


_NO_ARTICLE = r"(?!(?<=A)\s+(?!(?:is|as|or|and|over|because|since|seems|does|has|would|keeps)\b)[a-z])"


def voted(votes: Sequence[int | None], options: int = 2) -> list[float]:
    """Votes among so many options as smoothed log-probabilities; without any readable vote all are even."""
    read = [vote for vote in votes if vote is not None]
    return [math.log((read.count(option) + 0.5) / (len(read) + options / 2)) for option in range(options)]


def _generation(request: GenerationRequest, answer: dict[str, Any], stops: Sequence[str]) -> Generation:
    written = _text(answer).replace("\x00", "")
    text, found = cut_at_stop(written, stops)
    is_cut = answer["choices"][0].get("finish_reason") == "length" and not found
    if is_cut:
        text = without_half_stop(text, stops)
    usage = answer.get("usage")
    tokens = usage.get("completion_tokens") if isinstance(usage, dict) else None
    counted = tokens if isinstance(tokens, int) and tokens >= 0 else len(written) // CHARACTERS_PER_TOKEN
    return Generation(request.key, text.strip(), counted, "length" if is_cut else "stop")


def _text(answer: dict[str, Any]) -> str:
    choice = answer["choices"][0]
    message = choice.get("message")
    text = message.get("content") if isinstance(message, dict) else choice.get("text")
    return text if isinstance(text, str) else ""


def _places(choice: dict[str, Any]) -> Iterator[tuple[str, dict[str, float]]]:
    """Every token of an answer with the log-probabilities of what could have stood there, in both endpoints' shapes."""
    told = choice.get("logprobs")
    if not isinstance(told, dict):
        return
    for one in told.get("content") or ():
        if isinstance(one, dict) and isinstance(one.get("token"), str):
            listed = [one, *(other for other in one.get("top_logprobs") or () if isinstance(other, dict))]
            yield one["token"], _numbers((other.get("token"), other.get("logprob")) for other in listed)
    for token, listed in zip(told.get("tokens") or (), told.get("top_logprobs") or (), strict=False):
        if isinstance(listed, dict):
            yield str(token), _numbers(listed.items())


def _numbers(pairs: Any) -> dict[str, float]:
    return {
        token: float(value)
        for token, value in pairs
        if isinstance(token, str) and isinstance(value, int | float) and math.isfinite(value)
    }


def _score(answer: dict[str, Any], rests: Sequence[str]) -> list[float] | None:
    """Every option at the first place whose token begins one of them; None when no place does."""
    for token, listed in _places(answer["choices"][0]):
        if not listed or not any(_begins(token, rest) for rest in rests):
            continue
        found = [[value for other, value in listed.items() if _begins(other, rest)] for rest in rests]
        left = max(1 - math.fsum(math.exp(min(value, 0.0)) for value in listed.values()), 1e-9)
        most = min(min(listed.values()), math.log(left))
        return [_log_sum(values) if values else most for values in found]
    return None


def _begins(token: str, rest: str) -> bool:
    plain = token.strip()
    return bool(plain) and (rest.startswith(plain) or plain.startswith(rest))


def _log_sum(values: Sequence[float]) -> float:
    top = max(values)
    return top + math.log(math.fsum(math.exp(value - top) for value in values))
