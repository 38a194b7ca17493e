from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from constitutions_app.core.offsets import to_code_points, to_units


@given(st.text(), st.data())
def test_there_and_back_is_the_same_place(text: str, data: st.DataObject) -> None:
    offset = data.draw(st.integers(0, len(text)))
    units = to_units(text, offset)
    assert units == len(text[:offset].encode("utf-16-le", "surrogatepass")) // 2
    assert to_code_points(text, units) == offset


@pytest.mark.parametrize(
    ("units", "offset"), [(-5, 0), (0, 0), (1, 1), (2, 1), (3, 2), (4, 2), (5, 3), (6, 4), (99, 4)]
)
def test_it_holds_every_offset_within_the_text(units: int, offset: int) -> None:
    assert to_code_points("a👍👎b", units) == offset


def test_the_middle_of_a_pair_is_the_pair() -> None:
    assert to_code_points("👍", 1) == 0
    assert to_units("👍", 9) == 2
