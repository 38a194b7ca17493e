"""The sockets of the web server: one for each of its processes, all at one address.

Browsers keep their connections. From a socket that processes share, the one that is quickest takes them all, and goes
on answering nearly every page alone. Linux deals new connections out, by chance, to the sockets of one address.
"""

from __future__ import annotations

import socket
import sys
from typing import Any

WAITING = 256
"""Connections that may wait while the first process starts; the server asks for more when it serves."""
SHARES_FAIRLY = sys.platform == "linux"
"""Elsewhere the last socket would get everything, so that one is shared."""


def listen(family: int, address: Any) -> socket.socket:
    """A socket that listens at an address, and lets others of this user do so. Raises OSError."""
    listener = _bound(family, address)
    listener.listen(WAITING)
    return listener


def beside(listener: socket.socket) -> socket.socket:
    """One more socket at the address of a listening one, for one more process; elsewhere than on Linux the same.

    It gets no connection before its process is there and listens.
    """
    return _bound(listener.family, listener.getsockname()) if SHARES_FAIRLY else listener.dup()


def _bound(family: int, address: Any) -> socket.socket:
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if SHARES_FAIRLY:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        bound.bind(address)
    except OSError:
        bound.close()
        raise
    return bound
