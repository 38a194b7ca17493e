"""The admin site of constitutions: everything can be looked at, nothing is edited by hand.

Versions and the ledger are frozen; drafts are edited through their verbs alone, so that no change lacks a ledger entry.
People and groups are shown read-only too, since a role is given by a verb.
"""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, User
from django.db import models
from django.http import HttpRequest

from constitutions_app import models as rows
from constitutions_app.access import Role, has_role
from constitutions_app.models import Constitution, Draft, DraftPrinciple, LedgerEntry, PrincipleVersion, Version


class ReadOnlyMixin:
    """Admins look; nobody adds, changes or deletes."""

    def has_module_permission(self, request: HttpRequest) -> bool:
        return has_role(request.user, Role.ADMIN)

    def has_view_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return has_role(request.user, Role.ADMIN)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False


class FrozenAdmin(ReadOnlyMixin, admin.ModelAdmin[Any]):
    """A list and a page for rows that are only ever looked at."""

    show_full_result_count = False
    list_per_page = 50
    actions = None


class DraftPrincipleInline(admin.TabularInline[DraftPrinciple, Draft]):
    model = DraftPrinciple
    fields = ("position", "key", "title", "weight", "enabled", "revision")
    readonly_fields = fields
    extra = 0
    can_delete = False

    def has_view_permission(self, request: HttpRequest, obj: Draft | None = None) -> bool:
        return has_role(request.user, Role.ADMIN)

    def has_add_permission(self, request: HttpRequest, obj: Draft | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Draft | None = None) -> bool:
        return False


@admin.register(Constitution)
class ConstitutionAdmin(FrozenAdmin):
    list_display = ("name", "slug", "created_by", "created_at")
    list_select_related = ("created_by",)
    search_fields = ("name", "slug")


@admin.register(Draft)
class DraftAdmin(FrozenAdmin):
    list_display = ("constitution", "base", "revision", "updated_by", "updated_at")
    list_select_related = ("constitution", "base", "updated_by")
    inlines = (DraftPrincipleInline,)


@admin.register(DraftPrinciple)
class DraftPrincipleAdmin(FrozenAdmin):
    list_display = ("key", "title", "draft_id", "position", "weight", "enabled", "revision", "updated_at")
    search_fields = ("key", "title", "text")
    formfield_overrides = {models.URLField: {"assume_scheme": "https"}}


@admin.register(Version)
class VersionAdmin(FrozenAdmin):
    list_display = ("constitution", "number", "digest", "author", "created_at")
    list_select_related = ("constitution", "author")
    list_filter = ("constitution",)


@admin.register(PrincipleVersion)
class PrincipleVersionAdmin(FrozenAdmin):
    list_display = ("key", "title", "version_id", "position")
    search_fields = ("key", "title", "text")


@admin.register(LedgerEntry)
class LedgerEntryAdmin(FrozenAdmin):
    list_display = ("seq", "at", "actor_name", "verb", "object_label", "hash")
    list_filter = ("verb",)
    ordering = ("-seq",)


admin.site.register(
    [
        rows.Alias,
        rows.Comment,
        rows.Import,
        rows.MailChoice,
        rows.Notification,
        rows.DismissedHint,
        rows.Presence,
        rows.PublishingRules,
        rows.Review,
        rows.Scenario,
        rows.ScenarioResult,
        rows.Suggestion,
        rows.Thread,
        rows.Upload,
        rows.Verdict,
    ],
    FrozenAdmin,
)


class ReadOnlyUserAdmin(ReadOnlyMixin, UserAdmin[User]):
    """People are invited and given roles on the people page, so that the ledger knows."""

    list_display = ("username", "first_name", "email", "is_active", "last_login")
    actions = None


class ReadOnlyGroupAdmin(ReadOnlyMixin, GroupAdmin):
    """Roles."""


admin.site.unregister(User)
admin.site.unregister(Group)
admin.site.register(User, ReadOnlyUserAdmin)
admin.site.register(Group, ReadOnlyGroupAdmin)


@admin.register(rows.TextVector)
class TextVectorAdmin(FrozenAdmin):
    list_display = ("digest", "model")
    exclude = ("vector",)
