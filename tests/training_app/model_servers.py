"""Model servers for tests: a fake that misbehaves as told, and a real one (`transformers serve`) on a tiny model."""

from __future__ import annotations

import importlib.util
import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

Answer = Callable[[str, dict[str, Any]], Any]


@dataclass(frozen=True)
class Reply:
    """What the fake says: a status, headers, a body (an object, or bytes as they are), and how long it thinks."""

    body: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    delay_s: float = 0.0


@dataclass
class Fake:
    """A server on this machine. `replies` are used up first, then `answer` makes the body from path and request."""

    url: str
    answer: Answer
    replies: deque[Reply] = field(default_factory=deque)
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    busy: int = 0
    busiest: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


def said(text: str, *, finish: str = "stop", **more: Any) -> dict[str, Any]:
    """A plain answer in both endpoints' shapes."""
    choice = {"text": text, "message": {"role": "assistant", "content": text}, "finish_reason": finish, **more}
    return {"choices": [choice], "usage": {"prompt_tokens": 10, "completion_tokens": 5}}


@contextmanager
def fake_server(answer: Answer, *replies: Reply) -> Iterator[Fake]:
    """A misbehaving server for as long as the block lasts."""
    fake = Fake("", answer, deque(replies))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            _handle(fake, self)

        def log_message(self, *_: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    fake.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handle(fake: Fake, request: BaseHTTPRequestHandler) -> None:
    body = json.loads(request.rfile.read(int(request.headers["Content-Length"])))
    with fake.lock:
        fake.asked.append((request.path, body))
        fake.keys.append(request.headers.get("Authorization", ""))
        fake.busy += 1
        fake.busiest = max(fake.busiest, fake.busy)
        reply = fake.replies.popleft() if fake.replies else None
    reply = reply or Reply(fake.answer(request.path, body))
    time.sleep(reply.delay_s)
    with fake.lock:
        fake.busy -= 1
    content = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
    try:
        request.send_response(reply.status)
        for name, value in {**reply.headers, "Content-Length": str(len(content))}.items():
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(content)
    except ConnectionError:
        request.close_connection = True


# -- a real one --------------------------------------------------------------------------------------------------------


@contextmanager
def transformers_serve(model: Path) -> Iterator[str]:
    """The address of `transformers serve` with one model. Skips, and says why, where it is not installed."""
    if missing := [name for name in ("fastapi", "uvicorn", "openai") if importlib.util.find_spec(name) is None]:
        pytest.skip(f"the real model server was not tested: {', '.join(missing)} is not installed (make setup-dev)")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "transformers.cli.transformers", "serve", str(model), "--host", "127.0.0.1"]
    process = subprocess.Popen(
        [*command, "--port", str(port), "--device", "cpu"],
        env={**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        _wait_until_up(process, f"http://127.0.0.1:{port}/health")
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        process.wait(timeout=20)


def _wait_until_up(process: subprocess.Popen[bytes], address: str, patience_s: float = 90.0) -> None:
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"the model server ended with {process.returncode}")
        try:
            urllib.request.urlopen(address, timeout=1).close()
            return
        except OSError:
            time.sleep(0.1)
    raise TimeoutError("the model server did not start")
