"""What every test gets: its own services, its own database, and a browser where it asks for one.

The services are the app's own, started by the first test that uses the database and stopped when the last test process
ends; their folder is thrown away (see tests/settings.py).
"""

from __future__ import annotations

import gc
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import psutil
import pytest
from django.conf import settings
from django.db import connection, transaction

from cai_web.services.postgres import DATABASE
from tests.base import thawed_flush
from tests.prepared import prepare

if TYPE_CHECKING:
    from pytest_django import DjangoDbBlocker

# How fast this machine is at this moment is no property of the code: no deadline for an example. A person's runs look
# for new counterexamples each time; the gate tries the same ones, so that it never answers the same tree differently.
hypothesis.settings.register_profile("writ", deadline=None, print_blob=True)
hypothesis.settings.register_profile("gate", parent=hypothesis.settings.get_profile("writ"), derandomize=True)
hypothesis.settings.load_profile("gate" if os.environ.get("CI") else "writ")

PREPARING = pytest.StashKey[threading.Thread]()


def pytest_configure(config: pytest.Config) -> None:
    gc.disable()  # until everything is collected: nothing of it is garbage
    if _owns_folder():
        _remove_abandoned()
        if config.getoption("tx", None):  # while the workers look for tests
            config.stash[PREPARING] = threading.Thread(target=prepare)
            config.stash[PREPARING].start()


def pytest_collection_finish(session: pytest.Session) -> None:
    """From here on garbage is looked for among what tests make, not among the modules and tests themselves."""
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)  # a request makes thousands of objects; what is left of them is little
    gc.enable()


def pytest_unconfigure(config: pytest.Config) -> None:
    if _owns_folder():
        if thread := config.stash.get(PREPARING, None):
            thread.join()
        settings.OWN_SERVICES.release()
        _stop_and_remove(Path(os.environ["CAI_TEST_VAR"]))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Iterator[None]:
    """Two workers share the tests so that nothing is made twice and none of them ends long after the other.

    The tests of a module or a folder that makes something once for all of them (a browser, a trained model, a scene in
    the database) go to one worker together; xdist hands such groups out first, the largest before the others. Then come
    the long tests, which are those that may take longer than the usual limit; the many short ones fill up the rest.
    """
    for item in items:
        if (shared := _shared_by(item)) is not None and not item.get_closest_marker("xdist_group"):
            item.add_marker(pytest.mark.xdist_group(shared.relative_to(item.config.rootpath).as_posix()))
    yield
    items.sort(key=lambda item: item.get_closest_marker("timeout") is None)


def _shared_by(item: pytest.Item) -> Path | None:
    """The folder or module for which a fixture that it asks for is made once."""
    known = item._fixtureinfo.name2fixturedefs if isinstance(item, pytest.Function) else {}
    scopes = {made.scope for one in known.values() for made in one}
    if "package" in scopes:
        return item.path.parent
    return item.path if "module" in scopes else None


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings: None) -> None:
    """pytest-django's own, and then: this worker's database is made as a copy of one that is migrated."""
    prepare()
    connection.settings_dict["TEST"]["TEMPLATE"] = DATABASE


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """pytest-django's own, and then: frozen tables can be emptied after a test that committed."""
    with django_db_blocker.unblock(), thawed_flush():
        django_db_blocker.block()
        yield
        django_db_blocker.restore()


@pytest.fixture(scope="module")
def module_db(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """A database for a module's own fixtures: every test of the module finds what they wrote, unchanged.

    It is one transaction, undone after the module's last test, and each test undoes its own changes inside of it. So
    none of these tests may ask for `transactional_db`. Rows are shared, objects too: read them anew before changing.
    """
    with django_db_blocker.unblock(), transaction.atomic():
        yield
        transaction.set_rollback(True)


def _owns_folder() -> bool:
    """True in the process that made the folder: neither in a parallel worker nor in a program that a test started."""
    return os.environ.get("CAI_TEST_OWNER") == str(os.getpid())


def _remove_abandoned() -> None:
    """Clears away what test processes that were killed left behind."""
    for folder in Path(tempfile.gettempdir()).glob("cai-test-*-*"):
        owner = folder.name.split("-")[2]
        if owner.isdigit() and not psutil.pid_exists(int(owner)):
            _stop_and_remove(folder, patience_s=0)


def _stop_and_remove(folder: Path, patience_s: float = 20) -> None:
    from cai_web.services import OwnServices
    from cai_web.services.lock import try_exclusive

    deadline = time.monotonic() + patience_s
    while (lock := try_exclusive(folder / "services.lock")) is None:
        if time.monotonic() > deadline:
            return  # still in use: the next session will look again
        time.sleep(0.05)
    services = OwnServices(folder)
    services.redis.stop()
    services.postgres.stop()
    os.close(lock)
    shutil.rmtree(folder, ignore_errors=True)
