#!/usr/bin/env python
"""Runs a management command of the project."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType

AGAIN_S = 0.2


def leave(signum: int, frame: FrameType | None) -> None:
    """Turns SIGTERM into an ordinary exit, so that the last user of the app's own services can still stop them.

    Not amid an import: what is raised in the callback of a weak reference is lost, and imports have such callbacks.
    """
    if _is_importing(frame):
        signal.setitimer(signal.ITIMER_REAL, AGAIN_S)
        return
    raise SystemExit(128 + signal.SIGTERM)


def _is_importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cai_web.settings")
    signal.signal(signal.SIGTERM, leave)
    signal.signal(signal.SIGALRM, leave)
    from django.core.management import execute_from_command_line
    from django.db import OperationalError, ProgrammingError
    from psycopg.errors import UndefinedTable

    from cai_web.services import ServiceError

    try:
        execute_from_command_line(sys.argv)
    except OperationalError as error:
        if not isinstance(error.__cause__, ServiceError):
            raise
        sys.exit(str(error))  # a service that cannot be had: its sentence says what to do, a traceback would hide it
    except ProgrammingError as error:
        if not isinstance(error.__cause__, UndefinedTable):
            raise
        sys.exit(
            "The database has no such table yet: start the app, or run `python manage.py migrate`; then try again."
        )
    except KeyboardInterrupt:
        sys.exit(130)  # Ctrl-C asks for an end, not for a traceback
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


if __name__ == "__main__":
    main()
