"""The web server's process: `python -m cai_web.serve DESCRIPTOR`, serving on a socket that its parent has opened.

The supervisor opens the socket before anything else (so a port in use is known at once) and keeps it open (so that a
browser waits instead of being refused while the server starts, or starts again).
"""

from __future__ import annotations

import gc
import os
import socket
import sys

import uvicorn


def main() -> None:
    listener = socket.socket(fileno=int(sys.argv[1]))
    config = uvicorn.Config(
        "cai_web.asgi:application",
        lifespan="off",  # Django has no lifespan events
        timeout_graceful_shutdown=2,  # open event streams would keep it alive for ever
        access_log=False,
        server_header=False,
        proxy_headers=bool(os.environ.get("BEHIND_PROXY")),
        log_level="info",
    )
    load(config)
    uvicorn.Server(config).run(sockets=[listener])


def load(config: uvicorn.Config) -> None:
    """Import the app with all its pages, and have the garbage collector leave alone for good what is there by then.

    Looking through a third of a million objects again and again would stop every page for a tenth to a third of a
    second, about once a minute (docs/lab-notes.md, 28 November 2026).
    """
    config.load()
    from django.urls import get_resolver

    _ = get_resolver().reverse_dict  # reads the addresses of every app, and so imports their views
    gc.collect()
    gc.freeze()


if __name__ == "__main__":
    main()
