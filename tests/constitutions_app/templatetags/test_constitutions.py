from __future__ import annotations

from django.contrib.auth.models import User

from constitutions_app.templatetags.constitutions import person


def test_nobody_passes_for_somebody_else_by_marks_that_turn_the_text_round() -> None:
    assert person(User(username="ada", first_name="\u202enimda")) == "U+202Enimda"
    assert person(User(username="ada", first_name="Ada Lovelace")) == "Ada Lovelace"
    assert person(None) == "system"
