"""Who may do what. Each function fetches one object for one person and raises 404 or 403 itself.

Roles are Django groups of the same name. Every role reads everything; somebody without a role reads nothing. What a
role may change is decided where the verb's page or API calls `require_role`, `get_editable_draft_for` and the like.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps
from typing import Concatenate, ParamSpec, cast
from uuid import UUID

from django.conf import settings
from django.contrib.auth.models import AnonymousUser, Group, User
from django.contrib.auth.views import redirect_to_login
from django.contrib.postgres.expressions import ArraySubquery
from django.core.exceptions import PermissionDenied
from django.db import models
from django.db.models import OuterRef
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.utils.module_loading import import_string
from django_htmx.middleware import HtmxDetails

from constitutions_app.composed import Composed, Later
from constitutions_app.models import (
    MAIN,
    Constitution,
    Draft,
    DraftPrinciple,
    Import,
    LedgerEntry,
    Notification,
    PrincipleVersion,
    Review,
    Scenario,
    Suggestion,
    Thread,
    Upload,
    Version,
)

P = ParamSpec("P")

OUTBOX = "X-Outbox"
"""The header of what a browser keeps until the server has it (outbox.js)."""


class Role(models.TextChoices):
    """What a person is here for. One group per role, made by a migration."""

    READER = "reader", "Reader"
    AUTHOR = "author", "Author"
    REVIEWER = "reviewer", "Reviewer"
    AUDITOR = "auditor", "Auditor"
    ENGINEER = "engineer", "Engineer"
    ADMIN = "admin", "Admin"

    @property
    def duty(self) -> str:
        """What the role may do, in a few words."""
        return ROLE_DUTIES[self]


ROLE_DUTIES = {
    Role.READER: "reads everything, changes nothing",
    Role.AUTHOR: "writes constitutions and publishes versions",
    Role.REVIEWER: "approves the wording of principles",
    Role.AUDITOR: "judges what the AI did with a principle",
    Role.ENGINEER: "launches runs and picks checkpoints",
    Role.ADMIN: "does all of that, and invites people",
}

WRITERS = (Role.AUTHOR,)
"""Roles that may edit drafts and publish; admins may always."""

SCENARIO_WRITERS = (Role.AUTHOR, Role.REVIEWER, Role.AUDITOR)
"""Roles that may write scenarios: they change no published word, and auditors find the best ones."""


DISCUSSERS = (Role.AUTHOR, Role.REVIEWER)
"""Roles that open threads, answer in them and resolve them."""

APPROVERS = (Role.REVIEWER,)
"""Roles whose approval counts."""


OUTSIDE = "imported-"
"""How the names of accounts begin that stand for people elsewhere, whose verdicts were imported: nobody signs in."""


class AuthenticatedHttpRequest(HttpRequest):
    """A request whose sender is signed in and has a role: what `require_role` hands to a view."""

    user: User
    htmx: HtmxDetails


PERSON = Composed(
    lambda: User.objects.filter(pk=Later("person")).annotate(
        group_names=ArraySubquery(Group.objects.filter(user=OuterRef("pk")).values("name"))
    )
)
"""Somebody with the names of their groups, from which `roles_of` takes the roles."""


def roles_of(user: User | AnonymousUser) -> frozenset[Role]:
    """The person's roles. At most one query, and none after; a superuser is an admin whatever the groups say."""
    if not isinstance(user, User) or not user.is_active:
        return frozenset()
    cached: frozenset[Role] | None = vars(user).get("_roles")
    if cached is None:
        groups = getattr(user, "group_names", None)  # read with the person, where a page began
        names = set(_GROUPS.all(person=user.pk) if groups is None else groups)
        cached = frozenset(role for role in Role if role in names or (role is Role.ADMIN and user.is_superuser))
        vars(user)["_roles"] = cached  # for as long as this request's user object lives
    return cached


_GROUPS: Composed[str] = Composed(
    lambda: Group.objects.filter(user=Later("person"), name__in=Role.values).values_list("name", flat=True)
)


def has_role(user: User | AnonymousUser, *roles: Role) -> bool:
    """Whether the person has one of `roles`, or any role when none is named. Admins have them all."""
    held = roles_of(user)
    return bool(held) and (not roles or Role.ADMIN in held or bool(held.intersection(roles)))


def can_write(user: User | AnonymousUser) -> bool:
    """Whether the person may edit drafts and publish."""
    return has_role(user, *WRITERS)


def require_writer(user: User | AnonymousUser) -> None:
    """Raises PermissionDenied for somebody who may not edit drafts and publish."""
    if not can_write(user):
        raise PermissionDenied("Your role reads constitutions and does not change them.")


def can_discuss(user: User | AnonymousUser) -> bool:
    """Whether the person may open threads and answer in them."""
    return has_role(user, *DISCUSSERS)


def can_approve(user: User | AnonymousUser) -> bool:
    """Whether the person's approval can count."""
    return has_role(user, *APPROVERS)


def people_with_role(*roles: Role) -> models.QuerySet[User]:
    """Active people who have one of `roles`, admins among them. One query when read."""
    names = [role.value for role in (*roles, Role.ADMIN)]
    held = models.Q(groups__name__in=names) | models.Q(is_superuser=True)
    return User.objects.filter(held, is_active=True).distinct()


def may_approve(ids: Iterable[int]) -> frozenset[int]:
    """Those of these people whose approval can count today. One query."""
    return frozenset(people_with_role(*APPROVERS).filter(pk__in=set(ids)).values_list("pk", flat=True))


def require_role(
    *roles: Role,
) -> Callable[
    [Callable[Concatenate[AuthenticatedHttpRequest, P], HttpResponse]],
    Callable[Concatenate[HttpRequest, P], HttpResponse],
]:
    """Decorate a view: nobody is sent to sign in, a person without one of `roles` gets 403. No roles: any.

    What a browser keeps until it is delivered (outbox.js) is answered with 401 where the session has ended: being sent
    elsewhere would look like an answer.
    """

    def decorate(
        view: Callable[Concatenate[AuthenticatedHttpRequest, P], HttpResponse],
    ) -> Callable[Concatenate[HttpRequest, P], HttpResponse]:
        @wraps(view)
        def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
            if not request.user.is_authenticated:
                is_kept = OUTBOX in request.headers
                return HttpResponse(status=401) if is_kept else redirect_to_login(request.get_full_path())
            if not has_role(request.user, *roles):
                raise PermissionDenied("Your role does not allow this.")
            # Who has a role is signed in, and every request has passed the middleware of htmx.
            return view(cast(AuthenticatedHttpRequest, request), *args, **kwargs)

        return guarded

    return decorate


def get_constitution_for(user: User | AnonymousUser, slug: str) -> Constitution:
    """The constitution, for reading."""
    _require_reader(user)
    return get_object_or_404(Constitution, slug=slug)


def get_draft_for(user: User | AnonymousUser, slug: str) -> Draft:
    """The draft at an address ("slug" or "slug@branch"), for reading. One query; its principles are one more."""
    _require_reader(user)
    slug, _, branch = slug.partition("@")
    return get_object_or_404(
        Draft.objects.select_related("constitution", "base", "merging", "updated_by"),
        constitution__slug=slug,
        branch=branch or MAIN,
    )


def get_editable_draft_for(user: User | AnonymousUser, slug: str) -> Draft:
    """The draft, for changing: authors and admins."""
    draft = get_draft_for(user, slug)
    if not can_write(user):
        raise PermissionDenied("Your role reads drafts and does not change them.")
    if draft.closed_at:
        raise PermissionDenied("This branch was closed; its words can be read and compared, not changed.")
    return draft


def get_branch_for(user: User | AnonymousUser, slug: str) -> Draft:
    """The draft of a branch, open or closed, for closing and reopening: authors and admins."""
    draft = get_draft_for(user, slug)
    if not can_write(user):
        raise PermissionDenied("Your role reads drafts and does not change them.")
    return draft


def get_discussable_draft_for(user: User | AnonymousUser, slug: str) -> Draft:
    """The draft, for talking about its words: authors, reviewers and admins, while its branch is open."""
    draft = get_draft_for(user, slug)
    if not can_discuss(user):
        raise PermissionDenied("Your role reads reviews and does not take part in them.")
    if draft.closed_at:
        raise PermissionDenied("This branch was closed; its threads can be read, not continued.")
    return draft


def get_thread_for(user: User | AnonymousUser, slug: str, pk: int) -> Thread:
    """One thread of the draft at an address, for reading."""
    draft = get_draft_for(user, slug)
    thread = get_object_or_404(Thread.objects.select_related("opened_by", "resolved_by"), draft=draft, pk=pk)
    thread.draft = draft
    return thread


def get_suggestion_for(user: User | AnonymousUser, slug: str, pk: int) -> Suggestion:
    """One suggestion in a thread of the draft at an address, for reading."""
    draft = get_draft_for(user, slug)
    rows = Suggestion.objects.select_related("comment__author", "comment__thread", "decided_by")
    suggestion = get_object_or_404(rows, comment__thread__draft=draft, pk=pk)
    suggestion.comment.thread.draft = draft
    return suggestion


def get_review_for(user: User | AnonymousUser, slug: str, pk: int) -> Review:
    """One review of the draft at an address, for reading."""
    draft = get_draft_for(user, slug)
    rows = Review.objects.select_related("requested_by", "version").prefetch_related("reviewers")
    review = get_object_or_404(rows, draft=draft, pk=pk)
    review.draft = draft
    return review


def get_notification_for(user: User, pk: int) -> Notification:
    """One of the person's own notifications."""
    _require_reader(user)
    return get_object_or_404(Notification, person=user, pk=pk)


def get_draft_principle_for(user: User | AnonymousUser, slug: str, key: str) -> DraftPrinciple:
    """One principle of the draft, for changing."""
    draft = get_editable_draft_for(user, slug)
    principle = get_object_or_404(DraftPrinciple.objects.select_related("updated_by"), draft=draft, key=key)
    principle.draft = draft
    return principle


def get_version_for(user: User | AnonymousUser, slug: str, number: int) -> Version:
    """One version by its number, for reading, with its constitution, author and parent."""
    _require_reader(user)
    return get_object_or_404(
        Version.objects.select_related("constitution", "author", "parent", "second_parent__constitution"),
        constitution__slug=slug,
        number=number,
    )


def get_state_for(user: User | AnonymousUser, slug: str, ref: str) -> Version | Draft:
    """The version or draft a reference names ("v3", "draft", "draft@branch", "other-slug:v3"), for reading."""
    other, _, state = ref.rpartition(":")
    slug = other or slug
    if state.startswith("draft"):
        return get_draft_for(user, slug + state.removeprefix("draft"))
    return get_version_for(user, slug, int(state.removeprefix("v")))


def get_alias_for(user: User | AnonymousUser, slug: str, name: str) -> Version:
    """The version an alias points to now, for reading; "latest" is the newest of the main branch."""
    _require_reader(user)
    versions = Version.objects.select_related("constitution", "author", "parent").filter(constitution__slug=slug)
    if name == "latest":
        newest = versions.filter(branch=MAIN).order_by("-number").first()
        if newest is None:
            raise Http404("Nothing is published on the main branch yet.")
        return newest
    return get_object_or_404(versions, aliases__name=name)


def get_principle_for(user: User | AnonymousUser, slug: str, number: int, key: str) -> PrincipleVersion:
    """One principle at one version, for reading."""
    version = get_version_for(user, slug, number)
    principle = get_object_or_404(PrincipleVersion, version=version, key=key)
    principle.version = version
    return principle


def can_write_scenarios(user: User | AnonymousUser) -> bool:
    """Whether the person may create, edit, retire and restore scenarios."""
    return has_role(user, *SCENARIO_WRITERS)


def get_scenario_for(user: User | AnonymousUser, slug: str, key: str) -> Scenario:
    """One scenario, for reading, with its constitution and who wrote it."""
    _require_reader(user)
    rows = Scenario.objects.select_related("constitution", "created_by", "updated_by")
    return get_object_or_404(rows, constitution__slug=slug, key=key)


def get_editable_scenario_for(user: User | AnonymousUser, slug: str, key: str) -> Scenario:
    """One scenario, for changing: authors, reviewers, auditors and admins."""
    scenario = get_scenario_for(user, slug, key)
    if not can_write_scenarios(user):
        raise PermissionDenied("Your role reads scenarios and does not change them.")
    return scenario


def get_upload_for(user: User | AnonymousUser, upload_id: UUID) -> Upload:
    """A file that waits to be imported: its owner's alone, and only while they may write."""
    if not can_write(user):
        raise PermissionDenied("Your role reads constitutions and does not import any.")
    return get_object_or_404(Upload, pk=upload_id, person=user)


def get_import_for(user: User | AnonymousUser, slug: str, number: int) -> Import:
    """An imported file's record, for reading. `number` counts the imports of its constitution, from 1."""
    constitution = get_constitution_for(user, slug)
    rows = Import.objects.filter(constitution=constitution).select_related("imported_by").order_by("pk")
    found = rows[number - 1 : number]
    if not found:
        raise Http404("There is no such import.")
    found[0].constitution = constitution
    return found[0]


def get_ledger_entry_for(user: User | AnonymousUser, seq: int) -> LedgerEntry:
    """One entry of the ledger, for reading."""
    _require_reader(user)
    return get_object_or_404(LedgerEntry, seq=seq)


def get_person_for(user: User | AnonymousUser, pk: int) -> User:
    """A person, for inviting, changing or deactivating: admins only."""
    if not has_role(user, Role.ADMIN):
        raise PermissionDenied("Only admins change people.")
    return get_object_or_404(User, pk=pk)


def _require_reader(user: User | AnonymousUser) -> None:
    if not has_role(user):
        raise PermissionDenied("You have no role here yet.")


def untold_entries(user: User | AnonymousUser, entries: Iterable[LedgerEntry]) -> frozenset[int]:
    """Sequence numbers of entries whose text is kept from the person for now.

    Which those are is said by the function that the setting LEDGER_KEEPS_BACK names: an app above this one, whose
    entries stand in the ledger too. Without one nothing is kept back.
    """
    name = getattr(settings, "LEDGER_KEEPS_BACK", "")
    return cast("frozenset[int]", import_string(name)(user, entries)) if name else frozenset()
