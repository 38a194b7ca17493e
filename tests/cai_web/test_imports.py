"""The web process stays light: torch and its kin are loaded by the stages alone."""

from __future__ import annotations

import subprocess
import sys

from django.conf import settings

WEB = """
import pkgutil, sys
import cai_web.asgi
from django.urls import get_resolver
get_resolver().url_patterns
import constitutions_app, training_app
for package in (constitutions_app, training_app):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if ".core." not in module.name and ".migrations." not in module.name:
            __import__(module.name)
heavy = {"torch", "transformers", "trl", "datasets", "accelerate", "pandas", "scipy"} & set(sys.modules)
print(",".join(sorted(heavy)))
"""


def test_no_page_command_or_task_module_imports_torch() -> None:
    result = subprocess.run(
        [sys.executable, "-c", WEB], cwd=settings.BASE_DIR, capture_output=True, text=True, check=False, timeout=120
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == ""


RECOVERS = """
import sys
from cai_web.celery import app
app.loader.import_default_modules()
from training_app.management.commands.sweep import Command
assert Command.requires_system_checks == []
from training_app import runner, sweeper
pages = {"cai_web.urls", "training_app.urls", "training_app.api", "rest_framework.views", "drf_spectacular.views"}
print(",".join(sorted(pages & set(sys.modules))))
"""


def test_what_goes_on_with_runs_after_a_crash_does_not_wait_for_pages_to_be_imported() -> None:
    result = subprocess.run(
        [sys.executable, "-c", RECOVERS], cwd=settings.BASE_DIR, capture_output=True, text=True, check=False,
        timeout=120,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == ""
