"""Who a request is from, by its API token. Apart from `tokens`, because REST framework's views import this one."""

from __future__ import annotations

from typing import Any

from knox import auth
from rest_framework.exceptions import AuthenticationFailed


class TokenAuthentication(auth.TokenAuthentication):
    """Knox's own; a token that is no plain text at all is as wrong as any other wrong one."""

    def authenticate_credentials(self, token: bytes) -> tuple[Any, Any]:
        if not token.isascii() or b"\x00" in token:
            raise AuthenticationFailed("Invalid token.")
        return super().authenticate_credentials(token)
