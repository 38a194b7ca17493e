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
