"""The text that stands for a constitution is one text, in every process and however its parts were given."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from constitutions_app.core.principles import (
    Constitution,
    MalformedConstitution,
    Principle,
    canonical_json,
    digest,
    from_dict,
    from_json,
)
from tests.constitutions_app.strategies import ATTACKS, constitutions

TELL = """
import json, sys
from constitutions_app.core.principles import canonical_json, digest, from_json
made = [from_json(text) for text in json.load(sys.stdin)]
json.dump([[canonical_json(one), digest(one)] for one in made], sys.stdout)
"""


def shuffled(value: Any, order: random.Random) -> Any:
    """The same JSON with the keys of every object in another order, spelled with other escapes and spaces."""
    if isinstance(value, dict):
        items = [(key, shuffled(part, order)) for key, part in value.items()]
        order.shuffle(items)
        return dict(items)
    return [shuffled(part, order) for part in value] if isinstance(value, list) else value


@settings(max_examples=40, deadline=None)
@given(made=constitutions, order=st.randoms(use_true_random=False))
def test_the_order_of_keys_and_the_spelling_of_signs_change_nothing(made: Constitution, order: random.Random) -> None:
    told = json.dumps(shuffled(json.loads(canonical_json(made)), order), ensure_ascii=True, indent=order.randrange(4))
    assert canonical_json(from_json(told)) == canonical_json(made)
    assert digest(from_json(told)) == digest(made)


def test_another_process_with_another_hash_seed_says_the_same() -> None:
    order = random.Random(7)
    texts = ["x" * 1_000_000, "nul\x00 and \ud800 half", *ATTACKS]
    principles = tuple(
        Principle(
            id=f"p{number}", title="", text=text, tags=tuple(f"t{one}" for one in range(number)), weight=number / 7
        )
        for number, text in enumerate(texts)
    )
    plain = canonical_json(Constitution("Name", preamble="Why.", principles=principles))
    told = [plain, *(json.dumps(shuffled(json.loads(plain), order)) for _ in range(2))]
    answers = [
        subprocess.run(  # this interpreter, a text of this file
            [sys.executable, "-c", TELL],
            input=json.dumps(told),
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert answers[0] == answers[1]
    assert json.loads(answers[0]) == [[plain, digest(from_json(plain))]] * 3


@pytest.mark.parametrize(("weight", "told"), [(2, '"weight":2.0'), (-0.0, '"weight":0.0'), (0, '"weight":0.0')])
def test_one_number_is_spelled_in_one_way(weight: float, told: str) -> None:
    made = Constitution("Name", principles=(Principle(id="p", title="", text="x", weight=weight),))
    assert told in canonical_json(made)
    assert digest(from_json(canonical_json(made))) == digest(made)


@pytest.mark.parametrize(
    "weight", [10**400, float("nan"), float("inf"), -1, "1", True, None], ids=lambda weight: str(weight)[:5]
)
def test_weights_that_are_none_are_named(weight: object) -> None:
    with pytest.raises(MalformedConstitution, match="weight"):
        from_dict({"name": "Name", "principles": [{"id": "p", "text": "x", "weight": weight}]})


@pytest.mark.parametrize("text", ["[" * 100_000, "1" * 5000, "", "\x00", '{"name": ' + "1" * 5000 + "}"], ids=range(5))
def test_text_that_is_no_constitution_is_refused_with_a_reason(text: str) -> None:
    with pytest.raises(MalformedConstitution):
        from_json(text)
