"""The web server's process: `python -m cai_web.serve DESCRIPTOR`, serving on a socket that its parent has opened.

The supervisor opens the socket before anything else (so a port in use is known at once) and keeps it open (so that a
browser waits instead of being refused while the server starts, or starts again).
"""

from __future__ import annotations

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
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
