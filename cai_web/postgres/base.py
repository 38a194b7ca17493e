"""Django's PostgreSQL backend, which first makes sure that the app's own server runs (where the app has its own).

Hooking into the connection rather than into commands means that whatever uses the database, a command, a worker, a
shell or a test, finds it running, and that whatever does not (`check`, `collectstatic`, importing settings) starts
nothing.
"""

from __future__ import annotations

import select
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db.backends.postgresql import base
from django.db.utils import OperationalError
from psycopg.pq import TransactionStatus

from cai_web.services import OwnServices, ServiceError


def own_services() -> OwnServices:
    services = settings.OWN_SERVICES
    if not isinstance(services, OwnServices):
        raise ImproperlyConfigured("OWN_SERVICES must be an OwnServices object.")
    return services


PREPARED = "prepared"


class DatabaseWrapper(base.DatabaseWrapper):
    def prepared_cursor(self) -> Any:
        """A cursor whose statements the server keeps the plans of, for those that are asked again and again.

        It keeps them where the settings say so (`DATABASE_KEPT`), and as long as the connection.
        """
        return self._cursor(PREPARED)  # type: ignore[attr-defined]  # Django's stubs leave private methods out

    def create_cursor(self, name: str | None = None) -> Any:
        if name != PREPARED:
            return super().create_cursor(name)
        return base.ServerBindingCursor(self.connection)  # type: ignore[call-arg]  # psycopg's arguments

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """Connects; if that fails, looks again whether the server runs (it may have been killed) and tries again."""
        services = own_services()
        try:
            services.ensure()
            try:
                return super().get_new_connection(conn_params)
            except self.Database.OperationalError:
                if not services.has_postgres:
                    raise
                services.ensure(again=True)
                return super().get_new_connection(conn_params)
        except ServiceError as error:
            raise OperationalError(str(error)) from error

    def is_usable(self) -> bool:
        """Whether a kept connection lives. The app's own server stands on this machine: when it ends or is killed, the
        kernel says so, so a connection on which nothing has come lives, and nothing is asked. Others are asked.
        """
        if self.connection is not None and own_services().has_postgres and _is_quiet(self.connection):
            return True
        return super().is_usable()


def _is_quiet(connection: Any) -> bool:
    """Whether a connection is open, its transaction has not failed, and nothing waits to be read from it: no end, and
    no last words."""
    if connection.closed or connection.info.transaction_status == TransactionStatus.INERROR:
        return False
    waiting = select.poll()
    waiting.register(connection.fileno(), select.POLLIN)
    return not waiting.poll(0)
