"""Scenes for tests of verbs and runner: people, a published version, prompt sets, a base model, a launched run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User

from constitutions_app.models import Version
from tests.training_app import scripted
from tests.training_app.factories import HELPFUL, RED_TEAM, published_version
from training_app.actions import launch_run, load_prompt_set
from training_app.models import PromptSet, Run
from training_app.runner import Conduct

BASE_MODEL = "made-up-model"
QUICK = Conduct(command=scripted.command, look_every_s=0.02, beat_every_s=0.05, stop_grace_s=5.0, folder_patience_s=5.0)
"""How tests run a run: the scripted stage program, looked at often."""


def engineer(name: str = "engineer") -> User:
    """Somebody who launches runs."""
    return User.objects.filter(username=name).first() or User.objects.create_user(name, is_superuser=True)


def red_team(texts: tuple[str, ...] = RED_TEAM, *, slug: str = "red") -> PromptSet:
    """A red-team set loaded as a person loads it."""
    return load_prompt_set(user=None, content=lines(texts), kind="red_team", slug=slug, name="Red team")


def helpful(texts: tuple[str, ...] = HELPFUL, *, slug: str = "help") -> PromptSet:
    """A helpfulness set loaded as a person loads it."""
    return load_prompt_set(user=None, content=lines(texts), kind="helpful", slug=slug, name="Helpful")


def comparisons(count: int = 4, *, slug: str = "human") -> PromptSet:
    """Human comparisons in the HH transcript format."""
    rows = (
        {
            "chosen": f"\n\nHuman: Question {n}?\n\nAssistant: A good answer.",
            "rejected": f"\n\nHuman: Question {n}?\n\nAssistant: {n}.",
        }
        for n in range(count)
    )
    content = "".join(json.dumps(row) + "\n" for row in rows).encode()
    return load_prompt_set(user=None, content=content, kind="comparisons", slug=slug, name="Human")


def lines(texts: tuple[str, ...]) -> bytes:
    """Prompts as the lines of a file."""
    return "".join(json.dumps({"id": f"p{n}", "text": text}) + "\n" for n, text in enumerate(texts, start=1)).encode()


def launched(version: Version | None = None, *, user: User | None = None, script: dict[str, Any] | None = None,
             **changes: Any) -> Run:  # fmt: skip
    """A queued run of the scripted stages; `script` asks the stages for trouble (scripted.py)."""
    person = user or engineer()
    scripted.base_model(Path(settings.MODELS_ROOT) / BASE_MODEL)
    asked: dict[str, Any] = {
        "version": version or published_version(person),
        "base_model": BASE_MODEL,
        "prompt_sets": [red_team(), helpful(), comparisons()],
        "preset": "demo",
        "seed": 7,
    }
    run = launch_run(user=person, **asked | changes)
    if script:
        run.folder.mkdir(parents=True, exist_ok=True)
        (run.folder / scripted.SCRIPT).write_text(json.dumps(script))
    return run
