#!/usr/bin/env python
"""Runs a management command of the project."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType


def leave(signum: int, frame: FrameType | None) -> None:
    """Turns SIGTERM into an ordinary exit, so that the last user of the app's own services can still stop them."""
    raise SystemExit(128 + signum)


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cai_web.settings")
    signal.signal(signal.SIGTERM, leave)
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


if __name__ == "__main__":
    main()
