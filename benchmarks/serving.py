"""Throughput through the `openai` backend against a bare asynchronous client, on the same real local server.

Both send the same requests to the same `transformers serve` with the same number of connections, in turn, round after
round. The bare client is what one would write by hand: `httpx2` and a semaphore, without retries, limits, counting or
checks. `ratios.serving_vs_bare_client` is the share of its throughput that is left.

"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import _measuring as measuring
from training_app.core.backends import GenerationRequest
from training_app.core.backends.openai_compatible import OpenAIBackend
from training_app.core.config import Sampling
from training_app.core.servers import ModelServer

WORDS = "why do people keep dogs and cats at home, and who of them walks whom along the river in winter"


def main() -> None:
    """Start the server, compare, stop it."""
    parser = measuring.options("serving", __doc__ or "")
    parser.add_argument("--requests", type=int, default=48, help="requests per round")
    parser.add_argument("--concurrency", type=int, default=8)
    parser.add_argument("--tokens", type=int, default=24, help="longest answer")
    parser.add_argument("--url", default="", help="a running server (up to /v1) instead of one started here")
    options = parser.parse_args()
    model = options.model or measuring.bundled_model()
    ceilings = measuring.machine(rounds=options.rounds)
    report = measuring.Report("serving", ceilings, measuring.versions(["httpx2", "aiolimiter", "tenacity", "fastapi"]))
    with _server(model) if not options.url else _running(options.url) as url:
        compare(report, url, str(model), options)
    report.print()
    report.write(options.json)


def compare(report: measuring.Report, url: str, model: str, options: Any) -> None:
    """Interleaved rounds of both clients; the tokens they got must be equal before any time counts."""
    words = WORDS.split()
    fixed = {"model": model, "temperature": 0, "top_p": 1.0, "max_tokens": options.tokens}
    bodies = [
        {**fixed, "prompt": f"Question {number}: {' '.join(words[: 5 + number % 12])}?", "seed": number}
        for number in range(options.requests)
    ]
    requests = [GenerationRequest(str(n), str(body["prompt"]), n) for n, body in enumerate(bodies)]
    sampling = Sampling(temperature=0, max_new_tokens=options.tokens)
    server = ModelServer("bench", url, model, concurrency=options.concurrency, api="completions")
    with closing(OpenAIBackend(server)) as backend, closing(BareClient(url, options.concurrency)) as bare:
        ours = backend.generate(requests, sampling, ())
        theirs = bare.ask(bodies)
        assert [one.text for one in ours] == [one["choices"][0]["text"].replace("\0", "").strip() for one in theirs]
        tokens = sum(one.tokens for one in ours)
        seconds = measuring.interleaved(
            {"bare_client": lambda: bare.ask(bodies), "backend": lambda: backend.generate(requests, sampling, ())},
            rounds=options.rounds,
        )
    for name, figure in seconds.items():
        report.results[f"{name}_seconds"] = figure
        report.results[f"{name}_tokens_per_s"] = figure.per(tokens, "tokens/s")
        report.results[f"{name}_requests_per_s"] = figure.per(len(bodies), "requests/s")
    report.ratio("serving_vs_bare_client", baseline=seconds["bare_client"], candidate=seconds["backend"])
    report.notes.append(
        f"{len(bodies)} requests a round, {options.concurrency} at a time, {tokens} tokens, greedy; answers equal."
    )


class BareClient:
    """The script one would write by hand."""

    def __init__(self, url: str, concurrency: int) -> None:
        import httpx2

        self.url = url
        self.runner = asyncio.Runner()
        limits = httpx2.Limits(max_connections=concurrency, max_keepalive_connections=concurrency)
        self.client = httpx2.AsyncClient(timeout=600, limits=limits, trust_env=False)
        self.slots = asyncio.Semaphore(concurrency)

    def ask(self, bodies: list[dict[str, Any]]) -> list[Any]:
        return self.runner.run(self._all(bodies))

    def close(self) -> None:
        self.runner.run(self.client.aclose())
        self.runner.close()

    async def _all(self, bodies: list[dict[str, Any]]) -> list[Any]:
        return await asyncio.gather(*map(self._one, bodies))

    async def _one(self, body: dict[str, Any]) -> Any:
        async with self.slots:
            return (await self.client.post(f"{self.url}/completions", json=body)).json()


# -- the server --------------------------------------------------------------------------------------------------------


@contextmanager
def _running(url: str) -> Iterator[str]:
    yield url.rstrip("/")


@contextmanager
def _server(model: Path) -> Iterator[str]:
    """`transformers serve` with one model on a free port of this machine."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "transformers.cli.transformers", "serve", str(model), "--device", "cpu"]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(  # fixed arguments, no shell
            [*command, "--host", "127.0.0.1", "--port", str(port)],
            env={**os.environ, "HF_HUB_OFFLINE": "1"}, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
        try:
            _wait(process, port)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(timeout=30)


def _wait(process: subprocess.Popen[bytes], port: int) -> None:
    for _ in range(1200):
        if process.poll() is not None:
            sys.exit("The server ended at once; `pip install fastapi openai` (the dev extra) brings what it needs.")
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1).close()
            return
        except OSError:
            time.sleep(0.1)
    sys.exit("The server did not start within two minutes.")


if __name__ == "__main__":
    main()
