from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from constitutions_app.core.principles import Constitution, Principle, canonical_json, digest, from_json, normalise

anything = st.text(st.characters(codec=None, categories=None), max_size=40)
"""Lone halves of surrogate pairs and NULs too, which JSON can spell and neither UTF-8 nor PostgreSQL can hold."""


def test_half_a_pair_becomes_the_sign_for_what_is_unreadable() -> None:
    assert normalise("a\ud83d b\ude00") == "a\ufffd b\ufffd"
    assert normalise("😀\x00\r\n x ") == "😀\n x"


@given(anything)
def test_any_text_can_be_stored_digested_and_read_again(text: str) -> None:
    plain = normalise(text)
    plain.encode("utf-8")
    assert normalise(plain) == plain
    constitution = Constitution("n", preamble=text, principles=(Principle("a", "t", text),))
    assert len(digest(constitution)) == 64
    assert digest(from_json(canonical_json(constitution))) == digest(constitution)
