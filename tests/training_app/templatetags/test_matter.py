from __future__ import annotations

import time

from training_app.templatetags.matter import LONGEST, glimpse, inert, revised


def test_short_text_is_escaped_and_whole() -> None:
    assert inert("a <b> & c\nd") == "a &lt;b&gt; &amp; c\nd"
    assert inert(None) == ""


def test_hidden_characters_are_named() -> None:
    shown = inert("\x1b[31m\u202e")
    assert "\x1b" not in shown and "\u202e" not in shown
    assert "U+001B" in shown and "U+202E" in shown


def test_long_text_is_cut_and_counted() -> None:
    shown = inert("x" * (LONGEST + 1234))
    assert "1,234 more characters" in shown
    assert shown.count("x") == LONGEST


def test_a_glimpse_is_one_line_of_the_beginning() -> None:
    assert glimpse("one\n\n two") == "one two"
    assert glimpse("w " * 5000).endswith("…")
    assert len(glimpse("w " * 5000)) < 500


def test_a_diff_of_two_huge_texts_stays_quick() -> None:
    start = time.monotonic()
    spans = revised(" ".join(map(str, range(200_000))), " ".join(map(str, range(200_000, 0, -1))))
    assert spans
    assert time.monotonic() - start < 10  # seconds; unbounded it would take minutes
