from __future__ import annotations

import json
import subprocess
import sys

import pytest
from django.contrib.auth.models import User

from tests.base import program_environment
from tests.training_app import factories
from tests.training_app.views.test_access import POST_ONLY, addresses

HEAVY = ("torch", "transformers", "trl", "datasets", "accelerate", "numpy", "scipy")
PROGRAM = """
import importlib.util, json, sys
import cai_web.asgi
from django.contrib.auth.models import User
from django.test import Client
assert importlib.util.find_spec("torch")
client = Client(SERVER_NAME="localhost")
client.force_login(User.objects.get(username="root"))
gets, posts, figures, heavy = json.loads(sys.argv[1])
answers = [client.get(url).status_code for url in gets] + [client.post(url, {"text": "x"}).status_code for url in posts]
before = [name for name in heavy if name in sys.modules]
answers += [client.get(url).status_code for url in figures]
print(json.dumps([answers, before, [name for name in heavy if name in sys.modules]]))
"""


@pytest.mark.django_db(transaction=True)
def test_no_page_loads_torch() -> None:
    """Every page is really asked for, in a process of its own, with torch installed and importable."""
    finished = factories.finished_run(User.objects.create_superuser("root"))
    urls = addresses(finished)
    figures = [url for name, url in urls.items() if name.startswith("numbers") and name not in POST_ONLY]
    gets = [url for name, url in urls.items() if name not in POST_ONLY | {"stage_log"} and url not in figures]
    posts = [urls["checkpoint"], urls["prompt_preview"]]
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps([gets, posts, figures, HEAVY])],
        capture_output=True, text=True, timeout=120, check=False,
        env=program_environment(HTTPS="0", DATABASE_KEPT="0", COLLECTED_STATIC="0"),
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    answers, heavy, afterwards = json.loads(ended.stdout.splitlines()[-1])
    odd = {url: code for url, code in zip([*gets, *posts, *figures], answers, strict=True) if code not in (200, 204)}
    # Without scripts the counts stand on the page; nobody was given this item; the file tells what waits to be judged.
    assert odd == {urls["explore_counts"]: 302, urls["queue_item"]: 404, urls["export_file"]: 302}
    assert heavy == []
    assert afterwards == ["numpy"], "statistics of a few verdicts are computed where they are shown"
