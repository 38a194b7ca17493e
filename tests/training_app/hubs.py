"""A small hub for tests, on this machine: repositories in memory, spoken to by `huggingface_hub` as the real one is."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

TOKEN = "hf_only_for_tests"


@dataclass
class Hub:
    """What it holds, and what it was asked: method, path and token of every request."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    private: bool | None = None
    commits: int = 0
    refuses: int = 0
    """A status that every commit is answered with."""
    verifies_at: str = ""
    """Another host to which it wants uploads reported, token and all."""


@contextmanager
def hub(**changes: Any) -> Iterator[Hub]:
    """A hub for as long as the block lasts."""
    made = Hub(**changes)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.answer()

        do_POST = do_PUT = do_GET

        def answer(self) -> None:
            path = urlsplit(self.path).path
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.headers.get("Transfer-Encoding") == "chunked":
                body = b"".join(_chunks(self.rfile))
            token = self.headers.get("Authorization", "").removeprefix("Bearer ")
            made.asked.append((self.command, path, token))
            status, said = _answer(made, path, body, token)
            content = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    made.url = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()


def _answer(made: Hub, path: str, body: bytes, token: str) -> tuple[int, Any]:
    if path.startswith("/blobs/"):
        made.blobs[path.rpartition("/")[2]] = body
        return 200, {}
    if token != TOKEN:
        return 401, {"error": "Invalid credentials"}
    if path == "/api/repos/create":
        asked = json.loads(body)
        made.private = asked.get("private", asked.get("visibility") == "private")
        return 200, {"url": f"{made.url}/{asked.get('organization') or 'me'}/{asked['name']}"}
    if path == "/api/validate-yaml":
        return 200, {"errors": [], "warnings": []}
    if "/preupload/" in path:
        return 200, {"files": [_mode(one["path"]) for one in json.loads(body)["files"]]}
    if path.endswith("/info/lfs/objects/batch"):
        return 200, {"transfer": "basic", "objects": [_upload(made, one) for one in json.loads(body)["objects"]]}
    if "/tree/" in path:
        return 200, [{"type": "file", "path": name, "oid": "0", "size": len(data)} for name, data in made.files.items()]
    if "/commit/" in path:
        return (made.refuses, {"error": "no"}) if made.refuses else (200, _commit(made, body))
    return 404, {"error": f"nothing at {path}"}


def _mode(path: str) -> dict[str, Any]:
    return {"path": path, "shouldIgnore": False, "uploadMode": "lfs" if path.endswith(".safetensors") else "regular"}


def _upload(made: Hub, asked: dict[str, Any]) -> dict[str, Any]:
    actions: dict[str, Any] = {"upload": {"href": f"{made.url}/blobs/{asked['oid']}"}}
    if made.verifies_at:
        actions["verify"] = {"href": f"{made.verifies_at}/verify"}
    return {**asked, "actions": actions}


def _commit(made: Hub, body: bytes) -> dict[str, Any]:
    for line in body.splitlines():
        said = json.loads(line)
        value = said["value"]
        if said["key"] == "file":
            made.files[value["path"]] = base64.b64decode(value["content"])
        elif said["key"] == "lfsFile":
            made.files[value["path"]] = made.blobs[value["oid"]]
        elif said["key"] == "deletedFile":
            del made.files[value["path"]]
    made.commits += 1
    oid = hashlib.sha1(str(made.commits).encode(), usedforsecurity=False).hexdigest()
    return {"commitUrl": f"{made.url}/me/it/commit/{oid}", "commitOid": oid}


def _chunks(source: Any) -> Iterator[bytes]:
    while size := int(source.readline(), 16):
        yield source.read(size)
        source.readline()
    source.readline()
