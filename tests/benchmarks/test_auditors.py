"""The load test of auditors in short: eight of them, a server killed in the middle, nothing lost or doubled."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from benchmarks.auditors import Plan, Server, check, make_scene, quantile, simulate
from tests.base import program_environment

PER_ITEM = 2


@pytest.mark.django_db(transaction=True)
def test_a_killed_server_loses_and_doubles_no_decision(tmp_path: Path) -> None:
    queue, sessions = make_scene(auditors=8, items=400, per_item=PER_ITEM)
    server = Server(program_environment(HTTPS="0", COLLECTED_STATIC="0"), tmp_path / "server.log", processes=2)
    server.start()
    try:
        server.wait()
        plan = Plan(seconds=6, think_s=(0.02, 0.1), down_s=0.1)
        seen = asyncio.run(simulate(server, queue, sessions, plan))
    finally:
        server.close()
    found = check(queue, seen)
    assert not seen.errors, (seen.errors, (tmp_path / "server.log").read_text()[-2000:])
    assert {name: value for name, value in found.items() if value and name != "decisions"} == {}
    assert found["decisions"] == len(seen.saved) > 8 and seen.lost_connections


def test_a_quantile_is_one_of_the_values() -> None:
    assert quantile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert quantile([1.0], 0.99) == 1.0
