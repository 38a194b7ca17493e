"""People and constitutions for tests, made by the same verbs that pages use."""

from __future__ import annotations

from dataclasses import replace

from django.contrib.auth.models import Group, User

from constitutions_app.access import Role
from constitutions_app.actions import create_constitution, publish_version
from constitutions_app.core.principles import Constitution as Body
from constitutions_app.core.principles import Exemplar, Principle, Source
from constitutions_app.models import Constitution, Draft, DraftPrinciple, Version

EXEMPLAR = Exemplar("How?", "Like this.", "What is wrong?", "It is rude.", "Rewrite it.", "Kindly like this.")

PRINCIPLES = (
    Principle(
        id="honesty",
        title="Honesty",
        text="Say what is true and mark what is uncertain.",
        rationale="People act on answers.",
        source=Source("Professional norms", "Accuracy", "https://example.org/norms"),
        tags=("honesty",),
    ),
    Principle(
        id="privacy",
        title="Privacy",
        text="Do not help to track people who have not agreed to it.",
        critique_request="Point out where the response helps to track people.",
    ),
    Principle(id="kindness", title="Kindness", text="Treat the person as somebody who deserves patience.", weight=2.0),
)

BODY = Body(name="Test", preamble="Why these rules.", principles=PRINCIPLES, exemplars=(EXEMPLAR,))


def make_person(username: str, role: Role | None) -> User:
    """A person with a role, or with none."""
    person = User.objects.create_user(username, first_name=username.title())
    if role:
        person.groups.add(Group.objects.get_or_create(name=role.value)[0])
        person.is_staff = role is Role.ADMIN
        person.save()
    return person


def make_constitution(user: User, *, name: str = "Test", body: Body = BODY, published: bool = True) -> Constitution:
    """A constitution whose draft holds `body`; published as v1 unless told otherwise."""
    made = create_constitution(user=user, name=name, start=replace(body, name=name))
    if published:
        publish_version(user=user, draft=made.draft, note="First.")
    return made


def draft_of(constitution: Constitution, branch: str = "main") -> Draft:
    """The draft, fresh from the database."""
    return Draft.objects.select_related("constitution", "base", "updated_by").get(
        constitution=constitution, branch=branch
    )


def principle_of(constitution: Constitution, key: str, branch: str = "main") -> DraftPrinciple:
    """One principle of the draft, fresh from the database."""
    return DraftPrinciple.objects.select_related("draft", "draft__constitution").get(
        draft__constitution=constitution, draft__branch=branch, key=key
    )


def newest(constitution: Constitution) -> Version:
    """The newest version."""
    return constitution.versions.order_by("-number")[0]
