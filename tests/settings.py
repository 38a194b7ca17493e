"""Settings of the test suite: the real ones, with everything that is written going to a throw-away folder.

The folder is named in the environment, so that parallel test workers and the programs that tests start use the same
one: they share one PostgreSQL and one Redis, and each has a database and a queue of its own.
"""

from __future__ import annotations

import os
import sys
import tempfile

if "CAI_TEST_VAR" not in os.environ:
    os.environ["CAI_TEST_OWNER"] = str(os.getpid())
    os.environ["CAI_TEST_VAR"] = tempfile.mkdtemp(prefix=f"cai-test-{os.getpid()}-")

# The caller's own database and broker are never touched by a test, and nothing in the caller's environment changes one.
WORKER = os.environ.get("PYTEST_XDIST_WORKER", "gw0")
HARMFUL = ("DATABASE_URL", "CELERY_BROKER_URL", "DEBUG", "MODELS_ROOT", "SECRET_KEY", "DATABASE_KEPT", "PORT", "DEMO")
for name in HARMFUL:
    os.environ.pop(name, None)
# Tests start about a hundred programs; each would compile the project anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
os.environ.update(
    {
        "VAR_DIR": os.environ["CAI_TEST_VAR"],
        "ARTIFACT_ROOT": os.path.join(os.environ["CAI_TEST_VAR"], "artifacts", WORKER),
        "HTTPS": "0",
        "COLLECTED_STATIC": "0",
        "DURABLE": "0",
        "EMBEDDINGS": "0",  # tests of likeness by meaning switch it on
        "DEVICES": f"{WORKER}-{os.getpid()}",  # two test processes never wait for each other's devices
    }
)

from cai_web.settings import *  # noqa: E402, F403
from cai_web.settings import OWN_SERVICES  # noqa: E402

CELERY_BROKER_URL = OWN_SERVICES.broker_url.replace("virtual_host=0", f"virtual_host={int(WORKER[2:]) % 16}")
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # Passwords of tests need not be slow to guess.
