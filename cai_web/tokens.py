"""Making and withdrawing API tokens: knox's views, described for the API's schema.

A token is shown once; the database keeps only its digest. It ends after thirty days, or when it is withdrawn.
"""

from __future__ import annotations

from drf_spectacular.contrib.knox_auth_token import KnoxTokenScheme
from drf_spectacular.utils import extend_schema
from knox import views
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from cai_web.token_auth import TokenAuthentication


class TokenScheme(KnoxTokenScheme):  # type: ignore[no-untyped-call]  # registers itself, untyped
    """How the schema describes our way of reading tokens."""

    target_class = "cai_web.token_auth.TokenAuthentication"


class Token(serializers.Serializer[dict[str, str]]):
    token = serializers.CharField(help_text="Send it as `Authorization: Token ...`. It is shown only now.")
    expiry = serializers.DateTimeField(help_text="When the token ends.")


class CreateToken(views.LoginView):
    """Makes a token for the person who asks."""

    @extend_schema(request=None, responses=Token)
    def post(self, request: Request, format: str | None = None) -> Response:
        return super().post(request, format=format)


class WithdrawToken(views.LogoutView):
    """Ends the token that this request is made with."""

    authentication_classes = (TokenAuthentication,)

    @extend_schema(request=None, responses={204: None})
    def post(self, request: Request, format: str | None = None) -> Response:
        return super().post(request, format=format)


class WithdrawAllTokens(views.LogoutAllView):
    """Ends every token of the person who asks."""

    authentication_classes = (TokenAuthentication,)

    @extend_schema(request=None, responses={204: None})
    def post(self, request: Request, format: str | None = None) -> Response:
        return super().post(request, format=format)
