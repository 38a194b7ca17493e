from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from constitutions_app.core.approval import altered
from constitutions_app.core.principles import Constitution, Principle
from tests.constitutions_app.factories import BODY, EXEMPLAR, PRINCIPLES

HONESTY, PRIVACY, KINDNESS = PRINCIPLES


def body(*principles: Principle, **parts: Any) -> Constitution:
    return replace(BODY, principles=principles or PRINCIPLES, **parts)


@pytest.mark.parametrize(
    "now",
    [
        BODY,
        body(KINDNESS, HONESTY, PRIVACY),
        body(replace(HONESTY, text="Say  what is true and mark what\nis uncertain."), PRIVACY, KINDNESS),
        body(preamble=" Why  these rules."),
    ],
)
def test_an_approval_outlasts_order_and_spacing(now: Constitution) -> None:
    assert altered(BODY, now) == ()


@pytest.mark.parametrize(
    ("now", "parts"),
    [
        (body(HONESTY, PRIVACY), ("“Kindness”",)),
        (
            body(replace(HONESTY, text="Say what is false and hide what is uncertain."), PRIVACY, KINDNESS),
            ("“Honesty”",),
        ),
        (body(HONESTY, replace(PRIVACY, weight=9.0), KINDNESS), ("“Privacy”",)),
        (body(HONESTY, PRIVACY, replace(KINDNESS, enabled=False)), ("“Kindness”",)),
        (body(HONESTY, replace(PRIVACY, critique_request="Praise it."), KINDNESS), ("“Privacy”",)),
        (body(*PRINCIPLES, replace(KINDNESS, id="fresh", title="")), ("“fresh”",)),
        (body(preamble="No rules."), ("the preamble",)),
        (body(exemplars=(replace(EXEMPLAR, critique="It is kind."),)), ("the exemplars",)),
        (body(exemplars=()), ("the exemplars",)),
    ],
)
def test_an_approval_ends_with_its_meaning(now: Constitution, parts: tuple[str, ...]) -> None:
    assert altered(BODY, now) == parts
