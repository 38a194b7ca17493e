"""The openai backend against a fake that misbehaves, and against a real server."""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from aiolimiter import AsyncLimiter

from tests.tiny_model import build_tiny_model
from tests.training_app.core import asking_jobs
from tests.training_app.model_servers import Fake, Reply, fake_server, said, transformers_serve
from training_app.core.aggregate import Vote
from training_app.core.backends import GenerationRequest, OptionScore, Question, open_backend, spent_of
from training_app.core.backends.asking import Asker, Refused, ServerFailed, retry_after
from training_app.core.backends.openai_compatible import (
    OpenAIBackend,
    as_chat,
    chosen,
    read_chat,
    voted,
)
from training_app.core.config import Sampling
from training_app.core.errors import BadInput
from training_app.core.job import ModelRef
from training_app.core.rows import Message
from training_app.core.servers import ModelServer
from training_app.core.stage import FINISHED, run_job

SHORT = Sampling(temperature=0.7, top_p=0.9, max_new_tokens=9)
QUESTION = Question("Which?\n (A) x\n (B) y\n\nThe answer is:", (" (A)", " (B)"))
CHAT_QUESTION = Question(as_chat([Message("user", "Which?")]) + "The answer is:", (" (A)", " (B)"))


@contextmanager
def backend_of(fake: Fake, **parts: Any) -> Iterator[tuple[OpenAIBackend, list[float]]]:
    """A backend that notes its pauses instead of making them."""
    server = ModelServer("gpu1", fake.url, "big", **{"retries": 3, "timeout_s": 5.0, **parts})
    paused: list[float] = []

    async def sleep(seconds: float) -> None:
        paused.append(seconds)

    with closing(OpenAIBackend(server, asker=Asker(server, key="sk-secret", sleep=sleep))) as backend:
        yield backend, paused


def asked(*prompts: str) -> list[GenerationRequest]:
    return [GenerationRequest(f"k{number}", prompt, 2**62 + number) for number, prompt in enumerate(prompts)]


def echo(path: str, body: dict[str, Any]) -> Any:
    return said(f"echo {body.get('prompt') or body['messages'][-1]['content']}")


def test_transcripts_and_chats_go_where_they_belong_and_come_back_in_order() -> None:
    with fake_server(echo) as fake, backend_of(fake) as (backend, _):
        written = backend.generate(asked("one", as_chat([Message("user", "two")]), "three"), SHORT, ["\n\nHuman:"] * 6)
        assert [(one.key, one.text, one.tokens, one.finish) for one in written] == [
            ("k0", "echo one", 5, "stop"), ("k1", "echo two", 5, "stop"), ("k2", "echo three", 5, "stop"),
        ]  # fmt: skip
        assert sorted(path for path, _ in fake.asked) == ["/v1/chat/completions", "/v1/completions", "/v1/completions"]
        body = next(body for path, body in fake.asked if path.endswith("chat/completions"))
        assert body == {
            "model": "big", "messages": [{"role": "user", "content": "two"}], "temperature": 0.7, "top_p": 0.9,
            "max_tokens": 9, "seed": 1, "stop": ["\n\nHuman:"] * 4,
        }  # fmt: skip
        assert set(fake.keys) == {"Bearer sk-secret"}


def test_a_text_is_cut_at_the_stop_and_its_end_is_told_truly() -> None:
    with fake_server(lambda *_: said("a\n\nHuman: b\x00", finish="length")) as fake, backend_of(fake) as (backend, _):
        (one,) = backend.generate(asked("p"), SHORT, ["\n\nHuman:"])
        assert (one.text, one.finish) == ("a", "stop")
        (two,) = backend.generate(asked("p"), SHORT, ["###"])
        assert two.finish == "length" and "\x00" not in two.text


def test_a_server_that_only_chats_gets_transcripts_as_one_message() -> None:
    with fake_server(echo) as fake, backend_of(fake, api="chat") as (backend, _):
        backend.generate(asked("transcript"), SHORT, ())
        assert fake.asked[0][1]["messages"] == [{"role": "user", "content": "transcript"}]
    with fake_server(echo) as fake, backend_of(fake, api="completions") as (backend, _):
        assert backend.format("auto").name == "paper"
        with pytest.raises(BadInput, match="does not chat"):
            backend.format("chat")


# -- trouble -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "trouble",
    [
        Reply({}, 500), Reply({}, 503), Reply({}, 429), Reply({}, 408), Reply(b"<html>"), Reply({"choices": []}),
        Reply({"choices": ["x"]}), Reply([1]), Reply(b"[" * 100_000),
    ],
)  # fmt: skip
def test_passing_trouble_is_tried_again(trouble: Reply) -> None:
    with fake_server(echo, trouble, trouble) as fake, backend_of(fake) as (backend, paused):
        assert backend.generate(asked("p"), SHORT, ())[0].text == "echo p"
        assert len(fake.asked) == 3 and len(paused) == 2
        assert 0 < paused[0] <= 1 <= paused[1] <= 2
        assert (backend.spent["requests"], backend.spent["retries"]) == (3, 2)


def test_retry_after_is_kept_to() -> None:
    trouble = Reply({}, 429, {"Retry-After": "7"})
    with fake_server(echo, trouble) as fake, backend_of(fake) as (backend, paused):
        backend.generate(asked("p"), SHORT, ())
        assert 7 <= paused[0] <= 7.25


def test_retry_after_is_read_as_seconds_or_a_date_and_never_for_ever() -> None:
    assert retry_after("3") == 3.0
    assert retry_after("999999999999") == 120.0
    assert retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == 0.0
    assert retry_after("soon") is None and retry_after("") is None and retry_after("-1") is None


def test_trouble_that_stays_ends_in_a_sentence() -> None:
    with fake_server(lambda *_: None, *[Reply({}, 502)] * 4) as fake, backend_of(fake) as (backend, paused):
        with pytest.raises(ServerFailed, match=r"gpu1 failed 4 times in a row; the last time: status 502\.") as failed:
            backend.generate(asked("p"), SHORT, ())
        assert "resume" in failed.value.advice and len(paused) == 3


def test_silence_and_a_closed_door_end_in_a_sentence() -> None:
    with fake_server(echo, Reply({}, delay_s=0.4)) as fake:
        with backend_of(fake, timeout_s=0.1, retries=0) as (backend, _), pytest.raises(ServerFailed, match="no answer"):
            backend.generate(asked("p"), SHORT, ())
        time.sleep(0.4)  # the handler ends inside the block
    with backend_of(fake, retries=1) as (backend, _), pytest.raises(ServerFailed, match="connection broke"):
        backend.generate(asked("p"), SHORT, ())


def test_a_refusal_is_final_and_never_shows_the_key() -> None:
    refusal = Reply({"error": "wrong key sk-secret"}, 401)
    with fake_server(echo, refusal) as fake, backend_of(fake) as (backend, paused):
        with pytest.raises(Refused, match="status 401") as refused:
            backend.generate(asked("p"), SHORT, ())
        assert "sk-secret" not in str(refused.value) and not paused and len(fake.asked) == 1


def test_it_never_follows_a_redirect() -> None:
    elsewhere = Reply({}, 307, {"Location": "http://169.254.169.254/latest"})
    with (
        fake_server(echo, elsewhere) as fake,
        backend_of(fake) as (backend, _),
        pytest.raises(Refused, match="status 307"),
    ):
        backend.generate(asked("p"), SHORT, ())


def test_so_many_at_a_time_and_no_more() -> None:
    def slow(path: str, body: dict[str, Any]) -> Any:
        time.sleep(0.02)
        return said("x")

    with fake_server(slow) as fake, backend_of(fake, concurrency=4) as (backend, _):
        backend.generate(asked(*"abcdefghijkl"), SHORT, ())
        assert 2 <= fake.busiest <= 4


def test_requests_keep_their_distance() -> None:
    """1200 a minute leave 50 ms between two of them."""
    with fake_server(echo) as fake, backend_of(fake, requests_per_minute=1200) as (backend, _):
        start = time.monotonic()
        backend.generate(asked(*"abcd"), SHORT, ())
        assert time.monotonic() - start >= 0.14


def test_a_request_waits_for_as_many_tokens_as_it_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted: list[float] = []

    async def acquire(self: AsyncLimiter, amount: float = 1) -> None:
        wanted.append(amount)

    monkeypatch.setattr(AsyncLimiter, "acquire", acquire)
    with fake_server(echo) as fake, backend_of(fake, tokens_per_minute=100) as (backend, _):
        backend.generate(asked("a", "b" * 4000), SHORT, ())
    assert sorted(wanted) == [pytest.approx(9 + 30, abs=10), 100]


def test_what_was_asked_is_counted_and_priced() -> None:
    with fake_server(echo) as fake, backend_of(fake, price_per_million_in=2.0, price_per_million_out=4.0) as (one, _):
        one.generate(asked("a", "b"), SHORT, ())
        assert spent_of(one) == {
            "server": {"requests": 2, "retries": 0, "tokens_in": 20, "tokens_out": 10, "cost": pytest.approx(8e-5)}
        }


# -- judging -----------------------------------------------------------------------------------------------------------


def chat_logprobs(*places: dict[str, float]) -> dict[str, Any]:
    content = [
        {"token": next(iter(place)), "logprob": next(iter(place.values())),
         "top_logprobs": [{"token": token, "logprob": value} for token, value in place.items()]}
        for place in places
    ]  # fmt: skip
    return said("x", logprobs={"content": content})


def completion_logprobs(listed: dict[str, float]) -> dict[str, Any]:
    return said("x", logprobs={"tokens": [next(iter(listed))], "top_logprobs": [listed]})


@pytest.mark.parametrize("question", [QUESTION, CHAT_QUESTION])
def test_log_probabilities_are_read_where_the_options_differ(question: Question) -> None:
    listed = {"A": math.log(0.5), " A": math.log(0.1), "B": math.log(0.2), "C": math.log(0.01)}

    def answer(path: str, body: dict[str, Any]) -> Any:
        return chat_logprobs({" (": -0.1}, listed) if "messages" in body else completion_logprobs(listed)

    with fake_server(answer) as fake, backend_of(fake) as (backend, _):
        assert backend.sampling == ""
        (score,) = backend.score_options([question])
        assert math.exp(score.first) == pytest.approx(0.6) and math.exp(score.second) == pytest.approx(0.2)
        path, body = fake.asked[-1]
        assert body["temperature"] == 0 and body.get("top_logprobs", body["logprobs"]) == 20
        if path.endswith("/chat/completions"):
            assert body["messages"][-1]["content"] == "Which?\n\nThe answer is:"
        else:
            assert body["prompt"] == QUESTION.prompt + " (" and body["max_tokens"] == 1


def test_an_option_that_is_not_listed_counts_for_what_is_left() -> None:
    with (
        fake_server(lambda *_: completion_logprobs({"A": math.log(0.9), "x": math.log(0.06)})) as fake,
        backend_of(fake, logprobs="yes") as (backend, _),
    ):
        (score,) = backend.score_options([QUESTION])
        assert math.exp(score.second) == pytest.approx(0.04)


def test_an_answer_that_names_neither_option_is_undecided_and_said_so() -> None:
    told: list[str] = []
    with fake_server(lambda *_: completion_logprobs({"x": -0.1})) as fake:
        server = ModelServer("gpu1", fake.url, "big", logprobs="yes")
        with closing(OpenAIBackend(server, told.append)) as backend:
            assert backend.score_options([QUESTION]) == [OptionScore(math.log(0.5), math.log(0.5))]
    assert told == ["1 of 1 answers named no option; they count as undecided."]


@pytest.mark.parametrize("refusal", [None, Reply({"error": "logprobs?"}, 400)])
def test_without_log_probabilities_votes_are_drawn(refusal: Reply | None) -> None:
    votes = iter(["(A)", "(B) because", "I say (A).", "no idea"] * 2)

    def answer(path: str, body: dict[str, Any]) -> Any:
        return said("" if "logprobs" in body else next(votes))

    with fake_server(answer, *([refusal] if refusal else [])) as fake, backend_of(fake, votes=4) as (backend, _):
        assert backend.sampling == "4 votes at temperature 1"
        (score, again) = backend.score_options([QUESTION, CHAT_QUESTION])
        voting = [body for _, body in fake.asked if "logprobs" not in body]
        assert len(voting) == 8 and len({body["seed"] for body in voting}) == 8
        total = math.exp(score.first) + math.exp(score.second) + math.exp(again.first) + math.exp(again.second)
        assert total == pytest.approx(2.0)


def test_votes_are_smoothed_and_an_unreadable_one_counts_for_neither() -> None:
    assert voted([0, 0, 1, None]) == [math.log(2.5 / 4), math.log(1.5 / 4)]
    assert voted([None]) == [math.log(0.5), math.log(0.5)]


@pytest.mark.parametrize(
    ("text", "choice"),
    [
        ("(A)", 0), (" (B) is kinder than (A)", 1), ("A)", 0), ("B", 1), ("The answer is B.", 1), ("Ask Bob", None),
        ("", None), ("neither", None), ("A fair reading says (B)", 1), ("A fair reading says B.", 1),
        ("A is better", 0),
    ],
)  # fmt: skip
def test_an_answer_in_words_is_read(text: str, choice: int | None) -> None:
    assert chosen(text, (" (A)", " (B)")) == choice


@pytest.mark.parametrize("logprobs", ["yes", "no"])
@pytest.mark.parametrize(("letter", "p_neither"), [("C", 0.9), ("B", 0.05)])
def test_a_third_option_is_told_on_the_scale_of_the_first_two(logprobs: str, letter: str, p_neither: float) -> None:
    """Asked once, read among all three: a judge that says (C) finds neither, one that says (B) does not."""
    rest = {other: math.log(0.05) for other in "ABC" if other != letter}

    def answer(path: str, body: dict[str, Any]) -> Any:
        return chat_logprobs({"(": -0.1}, {letter: math.log(0.9)} | rest) if logprobs == "yes" else said(f"({letter})")

    third = Question(CHAT_QUESTION.prompt, (" (A)", " (C)"))
    with fake_server(answer) as fake, backend_of(fake, logprobs=logprobs, votes=9) as (backend, _):
        first, second = backend.score_options([CHAT_QUESTION, third])
        assert len(fake.asked) == (1 if logprobs == "yes" else 9)
    vote = Vote("ab", first.first, first.second, second.second)
    assert first.first == second.first
    assert vote.p_neither == pytest.approx(p_neither, abs=0.01)


def test_other_options_than_letters_are_read() -> None:
    assert chosen("No, it is not. Yes?", (" Yes", " No")) == 1


def test_chat_prompts_survive_as_text() -> None:
    messages = [Message("system", 'Be "kind"'), Message("user", "Grüß\n\nHuman: x")]
    assert read_chat(as_chat(messages)) == [{"role": one.role, "content": one.content} for one in messages]
    for text in ("plain", "chat messages: nonsense", "chat messages: []", "chat messages: [3]"):
        assert read_chat(text) is None


# -- as a stage opens it -----------------------------------------------------------------------------------------------


def test_a_job_names_a_server_and_only_an_allowed_unchanged_one_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    with fake_server(echo) as fake:
        monkeypatch.setenv("MODEL_SERVERS", json.dumps({"gpu1": {"url": fake.url, "model": "big"}}))
        digest = ModelServer("gpu1", fake.url, "big").digest
        opened = open_backend(ModelRef(Path(), "gpu1", digest, "openai"), print)
        assert isinstance(opened, OpenAIBackend)
        opened.close()
        with pytest.raises(BadInput, match="not the one the job was made for"):
            open_backend(ModelRef(Path(), "gpu1", "0" * 64, "openai"), print)
        with pytest.raises(BadInput, match="no model server"):
            open_backend(ModelRef(Path(), fake.url, None, "openai"), print)


@pytest.mark.parametrize("stage", ["generate", "revise", "label"])
def test_whole_stages_run_through_a_server(stage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the server's name stands in the job; what it was asked and how it votes stand in what the stage says."""
    inputs: dict[str, dict[str, Any]] = {
        "generate": {"prompts": asking_jobs.prompts(3)},
        "revise": {"responses": asking_jobs.responses(2)},
        "label": {"comparisons": asking_jobs.comparisons(3)},
    }
    params = {} if stage == "label" else asking_jobs.SHORT
    with fake_server(lambda *_: said("(A)")) as fake:
        monkeypatch.setenv("MODEL_SERVERS", json.dumps({"gpu1": {"url": fake.url, "model": "big", "votes": 2}}))
        job = asking_jobs.write_asking_job(tmp_path, stage, Path("gpu1"), inputs[stage], params, backend="openai")
        assert run_job(job, lambda: False) == FINISHED
    finished = asking_jobs.last_event(tmp_path)
    assert finished["summary"]["server"]["requests"] == len(fake.asked) > 0
    assert fake.url not in job.read_text() and fake.url not in (tmp_path / "events.jsonl").read_text()
    if stage == "label":
        labels = asking_jobs.records(tmp_path, "label").values()
        assert {one["how"]["sampling"] for one in labels} == {"2 votes at temperature 1"}
        assert all(one["same_position"] and one["p_a"] == pytest.approx(0.5) for one in labels)


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., ModelServer]]:
    model = build_tiny_model(tmp_path_factory.mktemp("served") / "tiny")
    with transformers_serve(model) as url:
        yield lambda **parts: ModelServer("real", url, str(model), **parts)


@pytest.mark.xdist_group("model_server")
def test_a_real_server_writes_and_votes(real: Callable[..., ModelServer]) -> None:
    with closing(OpenAIBackend(real(votes=3, concurrency=4))) as backend:
        prompts = ["hello", as_chat([Message("user", "hello")]), "good day"]
        written = backend.generate(asked(*prompts), Sampling(max_new_tokens=6), ["\n\nHuman:"])
        assert [one.key for one in written] == ["k0", "k1", "k2"]
        assert all(0 < one.tokens <= 6 for one in written)
        assert backend.sampling == "3 votes at temperature 1"  # transformers serve gives no log-probabilities
        scores = backend.score_options([QUESTION, CHAT_QUESTION])
        assert all(math.exp(one.first) + math.exp(one.second) == pytest.approx(1) for one in scores)
        assert backend.spent["requests"] == 3 + 1 + 6 and backend.spent["tokens_out"] > 0


def test_it_closes_where_another_loop_runs() -> None:
    async def drop(backend: OpenAIBackend) -> None:
        backend.close()

    with fake_server(lambda path, body: said("Hello.")) as fake:
        backend = OpenAIBackend(ModelServer("gpu1", fake.url, "big"))
        assert len(backend.generate(asked("Hi"), SHORT, ())) == 1
        asyncio.run(drop(backend))
        backend.close()
