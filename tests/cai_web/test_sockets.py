"""The web server's sockets: several at one address, among which Linux deals connections out."""

from __future__ import annotations

import socket

import pytest

from cai_web import sockets
from cai_web.management.commands.up import _listen
from cai_web.sockets import beside, listen

HERE = ("127.0.0.1", 0)


def _connect(address: tuple[str, int], times: int) -> list[socket.socket]:
    return [socket.create_connection(address, timeout=5) for _ in range(times)]


def _waiting(listener: socket.socket) -> int:
    """How many connections a socket got; they are taken and closed."""
    listener.setblocking(False)
    found = 0
    while True:
        try:
            listener.accept()[0].close()
        except BlockingIOError:
            return found
        found += 1


@pytest.mark.skipif(not sockets.SHARES_FAIRLY, reason="only Linux deals connections out to sockets of one address")
def test_connections_are_dealt_out_to_the_sockets_of_one_address() -> None:
    with listen(socket.AF_INET, HERE) as first, beside(first) as second:
        assert second.getsockname() == first.getsockname()
        made = _connect(first.getsockname(), 16)
        assert _waiting(first) == 16, "the second process does not serve yet"
        second.listen()
        made += _connect(first.getsockname(), 64)
        shares = [_waiting(first), _waiting(second)]
        assert sum(shares) == 64
        assert min(shares) > 8, "a fair coin leaves out so many once in a million million"
        for one in made:
            one.close()


def test_elsewhere_one_socket_is_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "SHARES_FAIRLY", False)
    with listen(socket.AF_INET, HERE) as first, beside(first) as second:
        made = _connect(first.getsockname(), 4)
        assert _waiting(second) == 4
        assert _waiting(first) == 0
        for one in made:
            one.close()


def test_a_port_that_another_app_of_the_same_user_listens_at_is_taken() -> None:
    with _listen("127.0.0.1", 0) as first, pytest.raises(Exception, match="in use by another program"):
        _listen("127.0.0.1", first.getsockname()[1])
