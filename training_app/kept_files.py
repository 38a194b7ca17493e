"""Files that somebody sent and has not decided about yet: kept for a day, each person's own, under ARTIFACT_ROOT.

A form that shows what is in a file cannot send the file back to the browser, so it sends the name under which it was
kept. Nothing here is in the database: what is loaded is read into it, what is not goes away.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import IO
from uuid import UUID, uuid4

from django.conf import settings
from django.contrib.auth.models import User

KEPT_FOR_S = 86_400
PIECE = 2**20


class TooLarge(Exception):
    """The file has more bytes than it may."""


def keep(user: User, file: IO[bytes], *, most: int) -> UUID:
    """Copy a file piece by piece; returns the name it is found under. Raises TooLarge, and then keeps nothing."""
    folder = _folder(user)
    folder.mkdir(parents=True, exist_ok=True)
    _forget_old(folder)
    name, size = uuid4(), 0
    path = folder / str(name)
    with path.open("wb") as kept:
        while piece := file.read(PIECE):
            size += len(piece)
            if size > most:
                path.unlink()
                raise TooLarge
            kept.write(piece)
    return name


def path_of(user: User, name: UUID) -> Path | None:
    """Where a person's own kept file lies; None when it is gone, was never there, or is somebody else's."""
    path = _folder(user) / str(name)
    return path if path.is_file() else None


def forget(user: User, name: UUID) -> None:
    """Remove a kept file; nothing happens when it is gone."""
    (_folder(user) / str(name)).unlink(missing_ok=True)


def _folder(user: User) -> Path:
    return Path(settings.ARTIFACT_ROOT) / "kept-files" / str(user.pk)


def _forget_old(folder: Path) -> None:
    for path in folder.iterdir():
        if path.stat().st_mtime < time.time() - KEPT_FOR_S:
            path.unlink(missing_ok=True)
