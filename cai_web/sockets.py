"""The sockets of the web server: one for each of its processes, all at one address.

Browsers keep their connections. From a socket that processes share, the one that is quickest takes them all, and goes
on answering nearly every page alone. Linux deals new connections out to the sockets of one address in turn.
"""

from __future__ import annotations

import socket
import sys
from typing import Any

WAITING = 256
"""Connections that may wait for a process that is busy, or that starts again."""
SHARES_FAIRLY = sys.platform == "linux"
"""Elsewhere the last socket would get everything, so that one is shared."""


def listen(family: int, address: Any) -> socket.socket:
    """A socket that listens at an address, and lets others of this user do so. Raises OSError."""
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if SHARES_FAIRLY:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(address)
        listener.listen(WAITING)
    except OSError:
        listener.close()
        raise
    return listener


def beside(listener: socket.socket) -> socket.socket:
    """One more socket at the address of a listening one, for one more process; elsewhere than on Linux the same."""
    return listen(listener.family, listener.getsockname()) if SHARES_FAIRLY else listener.dup()
