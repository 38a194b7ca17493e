"""manage.py: being asked to end, at whatever moment."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

from django.conf import settings

PROGRAM = textwrap.dedent(
    """
    import time
    import django.core.management
    import manage

    def command(_):
        import asked_to_end_amid_an_import
        time.sleep(20)
        print("still here")

    django.core.management.execute_from_command_line = command
    manage.main()
    """
)
MODULE = textwrap.dedent(
    """
    import os, signal, weakref

    class Thing:
        pass

    def where_nothing_can_be_raised(_):
        os.kill(os.getpid(), signal.SIGTERM)
        for _ in range(1000):  # the handler runs in here
            pass

    thing = Thing()
    reference = weakref.ref(thing, where_nothing_can_be_raised)
    del thing
    """
)


def test_being_asked_to_end_amid_an_import_is_not_lost(tmp_path: Path) -> None:
    (tmp_path / "asked_to_end_amid_an_import.py").write_text(MODULE, encoding="utf-8")
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=settings.BASE_DIR, capture_output=True, text=True, timeout=60,
        check=False, env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )  # fmt: skip
    assert ended.returncode == 143, ended.stderr
    assert (ended.stdout, ended.stderr) == ("", "")
