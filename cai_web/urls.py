"""Every address of the app: the two apps' pages, the API, sign-in, the admin site, health."""

from __future__ import annotations

from django.contrib import admin
from django.templatetags.static import static
from django.urls import URLPattern, URLResolver, include, path
from django.utils.functional import lazy
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from cai_web.auth import SignIn, SignOut, sign_in_by_link, to_sign_in
from cai_web.health import healthz
from cai_web.tokens import CreateToken, WithdrawAllTokens, WithdrawToken

api_urls: list[URLPattern | URLResolver] = [
    path("schema/", SpectacularAPIView.as_view(), name="schema"),
    path("docs/", SpectacularSwaggerSplitView.as_view(), name="api_docs"),
    path("token/", CreateToken.as_view(), name="token"),
    path("token/withdraw/", WithdrawToken.as_view(), name="token_withdraw"),
    path("token/withdraw-all/", WithdrawAllTokens.as_view(), name="token_withdraw_all"),
    path("", include("constitutions_app.api")),
    path("", include("training_app.api")),
]

# Browsers ask for this address on pages that name no icon: the admin site's and the API's.
favicon = RedirectView.as_view(url=lazy(static, str)("cai/favicon.svg"))

urlpatterns: list[URLPattern | URLResolver] = [
    path("favicon.ico", favicon),
    path("healthz", healthz, name="healthz"),
    path("sign-in/", SignIn.as_view(), name="sign_in"),
    path("sign-in/link/", sign_in_by_link, name="sign_in_link"),
    path("sign-out/", SignOut.as_view(), name="sign_out"),
    path("admin/login/", to_sign_in),
    path("admin/password_change/", RedirectView.as_view(pattern_name="account")),  # by the verb, so the ledger knows
    path("admin/", admin.site.urls),
    path("api/", include(api_urls)),
    path("", include("constitutions_app.urls")),
    path("", include("training_app.urls")),
]
