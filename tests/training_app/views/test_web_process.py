from __future__ import annotations

import subprocess
import sys

from tests.base import program_environment

HEAVY = ("torch", "transformers", "trl", "datasets", "accelerate", "safetensors", "numpy", "scipy")


def test_the_web_process_never_loads_torch() -> None:
    """Everything a request can reach is imported, with torch installed and importable."""
    program = (
        "import importlib.util, sys; import cai_web.asgi; from django.urls import get_resolver\n"
        "get_resolver().url_patterns; import training_app.urls, training_app.api\n"
        "assert importlib.util.find_spec('torch')\n"
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False,
        env=program_environment(DJANGO_SETTINGS_MODULE="tests.settings"),
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.strip() == "[]"
