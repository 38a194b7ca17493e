"""The admin site's page of API tokens: looked at like everything else there; people make and withdraw their own."""

from __future__ import annotations

import knox.admin  # noqa: F401  # registers its own page, which could make a token for anybody
from django.contrib import admin
from knox.models import AuthToken

from constitutions_app.admin import FrozenAdmin

admin.site.unregister(AuthToken)


@admin.register(AuthToken)
class AuthTokenAdmin(FrozenAdmin):
    list_display = ("token_key", "user", "created", "expiry")
    list_select_related = ("user",)
