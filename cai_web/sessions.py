"""Sessions in the database, as Django keeps them; reading one begins every page, so it is composed once."""

from __future__ import annotations

from django.contrib.sessions.backends import db
from django.contrib.sessions.models import Session
from django.db.models.functions import Now

from constitutions_app.composed import Composed, Later

_SESSION = Composed(lambda: Session.objects.filter(session_key=Later("key"), expire_date__gt=Now()))


class SessionStore(db.SessionStore):
    def _get_session_from_db(self) -> Session | None:
        """The row, if it has not run out."""
        session = _SESSION.first(key=self.session_key)
        if session is None:
            self._session_key = None
        return session
