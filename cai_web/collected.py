"""Collects the static files when they have changed, and only then: `make run` serves exactly what production serves."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.core.management import call_command


def collect_if_changed(say: Callable[[str], None]) -> None:
    """Runs `collectstatic` unless STATIC_ROOT already holds these very files (by name, size and time of change)."""
    stamp = settings.STATIC_ROOT / ".collected"
    digest = digest_of_sources()
    if stamp.exists() and stamp.read_text(encoding="ascii") == digest:
        return
    say("Collecting the static files.")
    stamp.unlink(missing_ok=True)
    call_command("collectstatic", interactive=False, clear=True, verbosity=0)
    stamp.write_text(digest, encoding="ascii")


def digest_of_sources() -> str:
    """One digest over the names, sizes and times of change of all static files of all apps."""
    found = hashlib.sha256(str(settings.STORAGES["staticfiles"]).encode())
    for finder in get_finders():
        for name, storage in finder.list([]):
            changed = storage.get_modified_time(name).timestamp()
            found.update(f"{name}\0{storage.size(name)}\0{changed}\n".encode())
    return found.hexdigest()
