"""`/healthz`: is the app able to work? Asked often, by anybody, so it is cheap and says little."""

from __future__ import annotations

import logging

from django.db import DatabaseError, connection
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from kombu.exceptions import OperationalError as BrokerError

from cai_web.celery import app
from cai_web.services import ServiceError

log = logging.getLogger(__name__)


@never_cache
@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    """200 when database and broker answer, 503 otherwise, with one word for each."""
    parts = {"database": _database(), "broker": _broker()}
    well = all(parts.values())
    answer = {name: "ok" if good else "unreachable" for name, good in parts.items()}
    return JsonResponse({"status": "ok" if well else "unavailable", **answer}, status=200 if well else 503)


def _database() -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError as error:
        log.warning("The database does not answer: %s", error)
        return False
    return True


def _broker() -> bool:
    try:
        with app.connection_for_write() as broker:
            broker.ensure_connection(max_retries=0, timeout=1.0, reraise_as_library_errors=True)
    except (BrokerError, ServiceError) as error:
        log.warning("The broker does not answer: %s", error)
        return False
    return True
