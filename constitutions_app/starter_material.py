"""The constitutions that come with the app, published the first time they are loaded."""

from __future__ import annotations

from pathlib import Path

import yaml
from django.contrib.auth.models import User
from django.db import transaction

from constitutions_app.actions import create_constitution, publish_version
from constitutions_app.core import principles as core
from constitutions_app.core.scenarios import Scenario, read_scenarios
from constitutions_app.models import Constitution

FOLDER = Path(__file__).parent / "starter"
FILES = ("harmless_assistant.yaml", "countable_habits.yaml")
SCENARIOS = {"harmless-assistant": "scenarios.yaml"}
"""The file of each constitution's scenarios."""

NOTE = "The starter text, as it comes with the app."
SYSTEM_USER = "starter"


def load(user: User | None = None) -> list[Constitution]:
    """Create and publish the starter constitutions that are not there yet; returns those it created.

    `user` becomes their author; without one it is the system's own person, who can never sign in. Safe to repeat: a
    slug that exists is left as it is, whatever people have made of it. Raises MalformedConstitution
    naming the file.
    """
    author = user or system_user()
    return [made for name in FILES if (made := _load_file(FOLDER / name, author)) is not None]


def system_user() -> User:
    """The person in whose name the app publishes what it brings along: no password, not active, never signed in."""
    person, made = User.objects.get_or_create(
        username=SYSTEM_USER, defaults={"first_name": "Starter material", "is_active": False}
    )
    if made:
        person.set_unusable_password()
        person.save(update_fields=["password"])
    return person


def _load_file(path: Path, author: User) -> Constitution | None:
    data = yaml.safe_load(path.read_text(encoding="utf-8"))
    try:
        constitution = core.from_dict(data)
    except core.MalformedConstitution as error:
        raise core.MalformedConstitution(f"{path.name}: {error}") from error
    slug = str(data["slug"])
    if Constitution.objects.filter(slug=slug).exists():
        return None
    with transaction.atomic():
        made = create_constitution(
            user=author,
            name=constitution.name,
            description=str(data.get("description") or ""),
            slug=slug,
            start=constitution,
            scenarios=_scenarios_of(slug),
        )
        publish_version(user=author, draft=made.draft, note=NOTE)
    return made


def _scenarios_of(slug: str) -> tuple[Scenario, ...]:
    return read_scenarios(FOLDER / SCENARIOS[slug]) if slug in SCENARIOS else ()
