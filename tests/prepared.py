"""One migrated database for a whole session of tests: made once, copied for each worker and for each app they start.

Migrating takes several seconds, nearly all of them spent on the classes of models that migrations ask for; a copy takes
a fraction of one. The services' own database, into which no test writes, is the original. That it can be made out of
nothing, tests/cai_web/test_up.py tells.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from django.conf import settings

from cai_web.services import postgres
from cai_web.services.lock import exclusive

PROGRAM = "from tests.prepared import migrate; migrate()"


def prepare() -> None:
    """Starts the services and migrates their own database. Who comes while another does so waits for it.

    Another process does it: its connection to the database is gone when the copying begins, and nothing that it made of
    the models of the past stays.
    """
    settings.OWN_SERVICES.ensure()
    done = settings.VAR_DIR / "prepared"
    with exclusive(settings.VAR_DIR / "prepared.lock"):
        if not done.exists():
            environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings"}
            subprocess.run([sys.executable, "-c", PROGRAM], cwd=settings.BASE_DIR, env=environment, check=True)
            done.touch()


def migrate() -> None:
    """Brings the services' own database up to date, in a process that does nothing else."""
    import gc

    import django
    from django.core.management import call_command

    gc.disable()  # a quarter of the time; the process ends right after
    django.setup()
    call_command("migrate", interactive=False, verbosity=0)


def copy_servers_data(var: Path) -> None:
    """Gives the folder `var` of an app that has yet to start the data of a PostgreSQL in which the tables are made."""
    prepare()
    server = ["--host", str(settings.OWN_SERVICES.sockets), "--port", str(postgres.PORT), "--username", postgres.USER]
    quick = ["--checkpoint", "fast", "--wal-method", "fetch", "--no-sync"]
    program = [*postgres.unprivileged_prefix(), str(postgres.binaries() / "pg_basebackup")]
    var.mkdir(mode=0o700, parents=True, exist_ok=True)
    subprocess.run([*program, *server, *quick, "--pgdata", str(var / "postgres")], check=True, capture_output=True)
