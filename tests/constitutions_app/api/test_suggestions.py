from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User

from constitutions_app import actions
from constitutions_app.models import (
    Constitution,
    Suggestion,
)
from tests.constitutions_app.api.calls import post
from tests.constitutions_app.factories import principle_of

pytestmark = pytest.mark.django_db


def test_a_suggestion_whose_words_changed(thread: Any, constitution: Constitution, author: User) -> None:
    row = principle_of(constitution, "honesty")
    actions.edit_principle(user=author, principle=row, expected=row.revision, changes={"text": "Say what is true."})
    path = f"suggestions/{Suggestion.objects.get().pk}/apply"
    clash = post(author, path, code=409)
    assert (clash["original"], clash["now"], clash["suggested"]) == ("uncertain", "", "not certain")
    assert Suggestion.objects.get().state == "open"
