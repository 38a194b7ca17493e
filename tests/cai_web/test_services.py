"""The app's own services, with real servers: who starts them, who stops them, what survives a kill."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import psycopg
import pytest

from cai_web.services import OwnServices, ServiceError, own, postgres
from cai_web.services.lock import SharedLock, try_exclusive
from tests.base import wait_for

USER = textwrap.dedent(
    """
    import json, sys
    from pathlib import Path
    from cai_web.services import OwnServices
    services = OwnServices(Path(sys.argv[1]), durable=sys.argv[2] == "durable")
    services.ensure()
    print(json.dumps(services.running()), flush=True)
    sys.stdin.readline()
    """
)


class User:
    """Another process that uses the services until it is told to go."""

    def __init__(self, var: Path, durable: str = "quick") -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", USER, str(var), durable], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def servers(self) -> dict[str, int]:
        """Waits until it uses the services; returns their process ids."""
        assert self.process.stdout is not None
        found: dict[str, int] = json.loads(self.process.stdout.readline())
        return found

    def go(self) -> None:
        self.process.communicate("\n", timeout=30)
        assert self.process.returncode == 0

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


@contextmanager
def using(services: OwnServices) -> Iterator[OwnServices]:
    services.ensure()
    try:
        yield services
    finally:
        services.release()


@pytest.fixture
def services(tmp_path: Path) -> Iterator[OwnServices]:
    services = OwnServices(tmp_path / "var", durable=False)
    yield services
    services.ensure()  # adopts whatever a test has left running ...
    services.release()  # ... and stops it
    assert services.running() == {}


def gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def ask(services: OwnServices, statement: str) -> list[tuple[object, ...]]:
    database = services.database
    with psycopg.connect(
        host=database["HOST"], port=database["PORT"], user=database["USER"], dbname=database["NAME"], autocommit=True
    ) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


def test_making_the_object_starts_and_writes_nothing(tmp_path: Path) -> None:
    services = OwnServices(tmp_path / "var")
    assert services.database["HOST"] and services.broker_url
    assert services.running() == {}
    services.release()
    assert list(tmp_path.iterdir()) == []


def test_the_last_user_out_stops_the_servers(services: OwnServices) -> None:
    first, second = User(services.var), User(services.var)
    servers = first.servers()
    assert second.servers() == servers
    assert set(servers) == {"PostgreSQL", "Redis"}
    first.go()
    assert services.running() == servers
    second.go()
    assert services.running() == {}
    assert all(gone(pid) for pid in servers.values())


def test_users_that_arrive_together_start_one_server_and_leave_none(services: OwnServices) -> None:
    users = [User(services.var) for _ in range(4)]
    assert len({tuple(sorted(user.servers().items())) for user in users}) == 1
    for user in users:
        assert user.process.stdin is not None
        user.process.stdin.write("\n")
        user.process.stdin.flush()
    for user in users:
        user.process.communicate(timeout=30)
    assert services.running() == {}


def test_a_fresh_database_is_utf8_and_knows_vectors(services: OwnServices) -> None:
    with using(services):
        assert ask(services, "SELECT pg_encoding_to_char(encoding) FROM pg_database WHERE datname = 'cai'") == [
            ("UTF8",)
        ]
        assert ask(services, "SELECT extname FROM pg_extension WHERE extname = 'vector'") == [("vector",)]
        assert ask(services, "SHOW listen_addresses") == [("",)]
        assert (services.sockets.stat().st_mode & 0o777, services.var.stat().st_mode & 0o777) == (0o700, 0o700)


def test_after_everything_was_killed_it_starts_again_with_its_data(services: OwnServices) -> None:
    user = User(services.var, "durable")
    servers = user.servers()
    ask(services, "CREATE TABLE kept AS SELECT 42 AS answer")
    user.kill()
    for pid in servers.values():
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: all(gone(pid) for pid in servers.values()), what="the servers to die")
    assert (services.var / "postgres" / "postmaster.pid").exists()
    with using(services):
        assert ask(services, "SELECT answer FROM kept") == [(42,)]


def test_servers_left_by_a_killed_user_belong_to_the_next_one(services: OwnServices) -> None:
    user = User(services.var)
    servers = user.servers()
    user.kill()
    assert services.running() == servers
    with using(services):
        assert services.running() == servers
    assert services.running() == {}


def test_a_process_id_that_somebody_else_has_now_counts_as_stale(services: OwnServices) -> None:
    with using(services):
        pass
    ours = str(os.getpid())
    (services.var / "postgres" / "postmaster.pid").write_text(
        f"{ours}\n{services.postgres.data}\n\n5432\n\n\n\nready\n"
    )
    services.sockets.joinpath(".s.PGSQL.5432").write_text("")
    services.sockets.joinpath(".s.PGSQL.5432.lock").write_text(f"{ours}\n")
    services.sockets.joinpath("redis.pid").write_text(ours)
    services.sockets.joinpath("redis.sock").write_text("")
    assert services.running() == {}
    with using(services):
        assert ask(services, "SELECT 1") == [(1,)]
    assert psutil.pid_exists(int(ours))


def test_a_server_that_died_is_started_again_when_somebody_looks(services: OwnServices) -> None:
    with using(services):
        before = services.running()
        os.kill(before["Redis"], signal.SIGKILL)
        wait_for(lambda: gone(before["Redis"]), what="Redis to die")
        services.ensure()
        assert "Redis" not in services.running()
        services.ensure(again=True)
        assert services.running()["PostgreSQL"] == before["PostgreSQL"]
        assert services.running()["Redis"] != before["Redis"]


def test_half_made_data_is_thrown_away(services: OwnServices) -> None:
    partial = services.var / "postgres.partial"
    partial.mkdir(parents=True)
    (partial / "PG_VERSION").write_text("18")
    with using(services):
        assert ask(services, "SELECT 1") == [(1,)]
    assert not partial.exists()


def test_a_deep_folder_gets_short_sockets(tmp_path: Path) -> None:
    services = OwnServices(tmp_path.joinpath(*["a-rather-long-folder-name"] * 5), durable=False)
    assert len(os.fsencode(services.sockets / ".s.PGSQL.5432.lock")) < 100
    assert services.sockets == OwnServices(services.var).sockets
    with using(services):
        assert ask(services, "SELECT 1") == [(1,)]
        assert services.sockets.stat().st_mode & 0o777 == 0o700
    services.sockets.joinpath("redis.pid").unlink(missing_ok=True)
    services.sockets.rmdir()


def test_ctrl_c_in_the_terminal_does_not_reach_the_servers(services: OwnServices) -> None:
    with using(services):
        for pid in services.running().values():
            assert os.getsid(pid) != os.getsid(0)


def test_a_socket_folder_that_is_a_link_is_refused(tmp_path: Path) -> None:
    services = OwnServices(tmp_path / "var")
    services.var.mkdir()
    services.sockets.symlink_to(tmp_path)
    with pytest.raises(ServiceError, match="does not belong to you"):
        services.ensure()
    assert services.running() == {}


def test_a_command_that_needs_no_services_starts_none(tmp_path: Path) -> None:
    services = OwnServices(tmp_path / "var")
    services.may_start = False
    with pytest.raises(ServiceError, match="does not start"):
        services.ensure()
    assert list(tmp_path.iterdir()) == []


def test_root_without_user_namespaces_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(ServiceError, match="ordinary user, or set DATABASE_URL"):
        postgres.unprivileged_prefix()


@pytest.mark.parametrize(("module", "variable"), [("postgres", "DATABASE_URL"), ("redis", "CELERY_BROKER_URL")])
def test_a_missing_wheel_is_named_with_the_way_out(
    module: str, variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"cai_web.services.{module}.find_spec", lambda name: None)
    services = OwnServices(tmp_path / "var", postgres=module == "postgres", redis=module == "redis")
    with pytest.raises(ServiceError, match=rf"make setup.*{variable}"):
        services.ensure()


def test_a_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    services = OwnServices(tmp_path / "var", postgres=False)
    services.redis.data.mkdir(parents=True)
    (services.redis.data / "appendonly.aof").write_text("*this is no log of Redis\r\n")
    with pytest.raises(ServiceError, match=r"Redis did not start; its log .* ends with: .*[Bb]ad file format"):
        services.ensure()
    assert services.running() == {}


def test_a_forked_child_does_not_end_its_parents_share(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    lock = SharedLock(path)
    lock.take()
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    child.wait()
    lock._owner = os.getpid() + 1  # what a forked child sees
    with lock.leave() as last:
        assert not last
    assert lock.held
    assert try_exclusive(path) is None
    lock._owner = os.getpid()
    with lock.leave() as last:
        assert last


def test_a_lock_that_is_never_free_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cai_web.services.lock.PATIENCE_S", 0.05)
    descriptor = try_exclusive(tmp_path / "lock")
    assert descriptor is not None
    with pytest.raises(ServiceError, match="Another process has held"):
        SharedLock(tmp_path / "lock").take()
    os.close(descriptor)


def test_the_socket_folder_is_the_same_whatever_the_temporary_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = tmp_path.joinpath(*["a-rather-long-folder-name"] * 5)
    before = own.socket_folder(deep)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    assert own.socket_folder(deep) == before
