from __future__ import annotations

from typing import Any

import pytest

from training_app.core.config import SftParams
from training_app.core.datasets import sft_rows
from training_app.core.gate import DROPPED, dropping_flag, gate_counts


def step(number: int, revision: str, *flags: str) -> dict[str, Any]:
    return {"prompt_id": "p", "prompt": "ask", "round": number, "revision": revision, "flags": list(flags)}


def test_the_default_options_are_the_default_gate() -> None:
    assert set(SftParams().dropped_flags) == set(DROPPED)
    assert SftParams(drop_refusal=True, drop_critique_as_revision=False).dropped_flags == (
        "empty", "language_switch", "refusal",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("flags", "dropped", "expected"),
    [
        ([], DROPPED, ""),
        (["refusal", "preamble"], DROPPED, ""),
        (["critique_as_revision", "language_switch"], DROPPED, "critique_as_revision"),
        (["critique_as_revision"], ("empty",), ""),
        (["no_op", "refusal"], ("refusal", "no_op"), "no_op"),
    ],
)
def test_the_first_dropped_flag_is_the_reason(flags: list[str], dropped: tuple[str, ...], expected: str) -> None:
    assert dropping_flag({"revision": "text", "flags": flags}, dropped) == expected


def test_an_empty_revision_never_passes() -> None:
    assert dropping_flag({"revision": " \n", "flags": []}, ()) == "empty"


def test_every_step_is_counted_once() -> None:
    steps = [
        step(1, "good"), step(2, "good", "no_op"), step(3, "", "empty"), step(4, "It fails.", "critique_as_revision"),
        step(5, "no", "refusal", "truncated"), step(6, "overridden"),
    ]  # fmt: skip
    dropped = ("empty", "critique_as_revision", "refusal")
    build = sft_rows(steps[:5], [], dropped=dropped)
    found = gate_counts(
        [(f"p/{one['round']}", one["flags"]) for one in steps],
        [str(row["id"]) for row in build.rows], build.excluded, dropped,
    )  # fmt: skip
    assert (found["made"], found["kept"]) == (6, 2)
    assert found["dropped"] == {
        "flagged critique_as_revision": 1, "flagged empty": 1, "flagged refusal": 1, "overridden by people": 1,
    }  # fmt: skip
    assert found["kept"] + sum(found["dropped"].values()) == found["made"]
    assert found["flags"] == {"critique_as_revision": 1, "empty": 1, "no_op": 1, "refusal": 1, "truncated": 1}
