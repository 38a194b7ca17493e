"""One model server asked over HTTP, politely: bounded concurrency, rate limits, retries with backoff, a cost count.

* 408, 409, 425, 429 and every 5xx, broken connections, timeouts and answers that are no JSON are tried again after
  ``min(60, 2^attempt)`` seconds with jitter, or after what Retry-After says (at most `LONGEST_PAUSE_S`); any other
  status is final.
* Redirects are not followed and the proxies of the environment are not used: only the allowed address is asked.
* An answer larger than `LARGEST_ANSWER` is cut off unread.

Left out: streaming answers.
"""

from __future__ import annotations

import asyncio
import email.utils
import json
import random
import threading
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import httpx2 as httpx
from aiolimiter import AsyncLimiter
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_after_attempt

from training_app.core.errors import StageError
from training_app.core.servers import ModelServer

LONGEST_PAUSE_S = 120.0
LARGEST_ANSWER = 32 * 2**20
AGAIN = frozenset({408, 409, 425, 429})
CHARACTERS_PER_TOKEN = 4

Body = Mapping[str, Any]


class ServerFailed(StageError):
    """The server does not answer, or not as it should, after all tries."""

    kind = "server"


class Refused(ServerFailed):
    """The server understood and said no; asking again does not help. `status` is its HTTP status."""

    def __init__(self, message: str, advice: str, status: int) -> None:
        super().__init__(message, advice)
        self.status = status


class _Again(Exception):
    """Worth another try. `pause_s` is what the server asked for, if it did."""

    def __init__(self, reason: str, pause_s: float | None = None) -> None:
        super().__init__(reason)
        self.pause_s = pause_s


@dataclass
class Spent:
    """What was asked of a server so far. `cost` in the currency of its prices."""

    requests: int = 0
    retries: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    cost: float = 0.0

    def as_data(self) -> dict[str, Any]:
        return asdict(self)


@dataclass
class _Open:
    """What belongs to the loop it was made in: connections and limits."""

    client: httpx.AsyncClient
    slots: asyncio.Semaphore
    requests: AsyncLimiter | None
    tokens: AsyncLimiter | None

    async def turn(self, tokens: int) -> None:
        """Wait until the rate limits allow one more request of about so many tokens."""
        if self.tokens is not None:
            await self.tokens.acquire(min(tokens, self.tokens.max_rate))
        if self.requests is not None:
            await self.requests.acquire()


def _opened(server: ModelServer, key: str) -> _Open:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    most = httpx.Limits(max_connections=server.concurrency, max_keepalive_connections=server.concurrency)
    return _Open(
        httpx.AsyncClient(
            headers=headers, timeout=server.timeout_s, limits=most, follow_redirects=False, trust_env=False
        ),
        asyncio.Semaphore(server.concurrency),
        AsyncLimiter(1, 60 / server.requests_per_minute) if server.requests_per_minute else None,
        AsyncLimiter(server.tokens_per_minute, 60) if server.tokens_per_minute else None,
    )


class _Connections:
    """The loop and what was opened in it."""

    def __init__(self) -> None:
        self.runner = asyncio.Runner()
        self.open: _Open | None = None

    def close(self) -> None:
        """Close in a thread of its own where another loop runs in this one: it may be any code that drops the asker."""
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            self._close()
        else:
            closing = threading.Thread(target=self._close)
            closing.start()
            closing.join()

    def _close(self) -> None:
        if self.open is not None:
            self.runner.run(self.open.client.aclose())
        self.runner.close()


class Asker:
    """Sends bodies to one server's endpoints, many at a time. Use `close` when done."""

    def __init__(
        self, server: ModelServer, *, key: str = "", sleep: Callable[[float], Any] = asyncio.sleep,
    ) -> None:  # fmt: skip
        self.server = server
        self.spent = Spent()
        self._sleep = sleep
        self._key = key
        self._connections = _Connections()
        self._closing = weakref.finalize(self, self._connections.close)  # a stage that ends early closes nothing itself

    def ask_all(self, endpoint: str, bodies: Sequence[Body]) -> list[dict[str, Any]]:
        """The answers to all bodies, in their order. Raises ServerFailed; what else was under way is then given up."""
        return self._connections.runner.run(self._ask_all(endpoint, bodies))

    def close(self) -> None:
        """Close the connections now rather than when nobody asks any more. Safe to call again."""
        self._closing()

    async def _ask_all(self, endpoint: str, bodies: Sequence[Body]) -> list[dict[str, Any]]:
        held = self._connections
        opened = held.open = held.open or _opened(self.server, self._key)
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._ask(opened, endpoint, body)) for body in bodies]
        except ExceptionGroup as failed:
            raise _first(failed) from failed
        return [task.result() for task in tasks]

    async def _ask(self, opened: _Open, endpoint: str, body: Body) -> dict[str, Any]:
        content = json.dumps({"model": self.server.model, **body}, ensure_ascii=False).encode()
        async with opened.slots:
            try:
                async for attempt in AsyncRetrying(
                    stop=stop_after_attempt(self.server.retries + 1), wait=_pause, sleep=self._sleep,
                    retry=retry_if_exception_type(_Again), reraise=True, before_sleep=self._count_retry,
                ):  # fmt: skip
                    with attempt:
                        await opened.turn(_estimate(content, body))
                        return await self._once(opened.client, endpoint, content)
            except _Again as error:
                raise ServerFailed(
                    f"The server {self.server.name} failed {self.server.retries + 1} times in a row; the last time: "
                    f"{error}.",
                    "What was done is kept; resume when the server answers again.",
                ) from error
        raise AssertionError("retrying ends with an answer or an error")

    async def _once(self, client: httpx.AsyncClient, endpoint: str, content: bytes) -> dict[str, Any]:
        self.spent.requests += 1
        address = f"{self.server.url}{endpoint}"
        kind = {"Content-Type": "application/json"}
        try:
            async with client.stream("POST", address, content=content, headers=kind) as response:
                text = await _read(response)
        except httpx.TimeoutException as error:
            raise _Again(f"no answer within {self.server.timeout_s:g} s") from error
        except httpx.HTTPError as error:
            raise _Again(f"the connection broke ({type(error).__name__})") from error
        if response.status_code in AGAIN or response.status_code >= 500:
            raise _Again(f"status {response.status_code}", retry_after(response.headers.get("Retry-After", "")))
        if response.status_code != 200:
            raise self._refused(response.status_code, text)
        return self._counted(_json(text))

    def _refused(self, status: int, text: bytes) -> Refused:
        said = " ".join(text.decode("utf-8", "replace").split())[:300]
        if self._key:
            said = said.replace(self._key, "…")
        advice = "Look at the server's key." if status in (401, 403) else "Look at the server's settings and its log."
        return Refused(f"The server {self.server.name} refused with status {status}: {said}", advice, status)

    def _counted(self, answer: dict[str, Any]) -> dict[str, Any]:
        usage = answer.get("usage")
        if isinstance(usage, dict):
            read, written = _whole(usage.get("prompt_tokens")), _whole(usage.get("completion_tokens"))
            self.spent.tokens_in += read
            self.spent.tokens_out += written
            prices = self.server.price_per_million_in, self.server.price_per_million_out
            self.spent.cost += (read * prices[0] + written * prices[1]) / 1e6
        return answer

    def _count_retry(self, _: RetryCallState) -> None:
        self.spent.retries += 1


def retry_after(value: str) -> float | None:
    """Seconds a server asks to wait: a number or an HTTP date; None when it says nothing that can be read."""
    if value.strip().isdecimal():
        return float(min(int(value.strip()[:9]), LONGEST_PAUSE_S))
    try:
        wanted = email.utils.parsedate_to_datetime(value).timestamp() - time.time()
    except (ValueError, TypeError):
        return None
    return min(max(wanted, 0.0), LONGEST_PAUSE_S)


def _pause(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome is not None else None
    if isinstance(error, _Again) and error.pause_s is not None:
        return error.pause_s + random.uniform(0, 0.25)  # noqa: S311 - jitter, so that not all come back at once
    return min(60.0, 2.0 ** (state.attempt_number - 1)) * random.uniform(0.5, 1.0)  # noqa: S311


async def _read(response: httpx.Response) -> bytes:
    parts, size = [], 0
    async for part in response.aiter_bytes():
        size += len(part)
        if size > LARGEST_ANSWER:
            raise _Again(f"an answer larger than {LARGEST_ANSWER // 2**20} MiB")
        parts.append(part)
    return b"".join(parts)


def _json(text: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _Again("an answer that is no JSON") from error
    if not isinstance(answer, dict) or not isinstance(answer.get("choices"), list) or not answer["choices"]:
        raise _Again("an answer without choices")
    if not isinstance(answer["choices"][0], dict):
        raise _Again("an answer whose choices are no objects")
    return answer


def _estimate(content: bytes, body: Body) -> int:
    return len(content) // CHARACTERS_PER_TOKEN + int(body.get("max_tokens") or 0)


def _whole(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def _first(failed: BaseExceptionGroup[Any]) -> BaseException:
    inner = failed.exceptions[0]
    return _first(inner) if isinstance(inner, BaseExceptionGroup) else inner
