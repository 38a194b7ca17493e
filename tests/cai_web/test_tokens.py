"""The tokens keep their promises: contrast in both themes, and no colour or size named anywhere else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

CSS = Path(__file__).resolve().parents[2] / "cai_web" / "static" / "cai" / "css"
TOKENS = (CSS / "tokens.css").read_text()
COLOURS = dict(re.findall(r"--([\w-]+): light-dark\((#[0-9a-f]{6}, #[0-9a-f]{6})\);", TOKENS))

TEXT = [  # ink, paper: 4.5 to 1
    *((ink, paper) for ink in ("n7", "n8", "n9", "n10", "accent", "accent-strong") for paper in ("n1", "n2")),
    *((ink, "n3") for ink in ("n8", "n9", "n10")),
    ("on-accent", "accent"),
    ("on-accent", "accent-strong"),
    *((state, paper) for state in ("green", "amber", "red") for paper in ("n1", "n2", f"{state}-wash")),
    *(("n10", f"{wash}-wash") for wash in ("green", "amber", "red", "accent")),
    *((ink, paper) for ink in ("ink-added", "ink-removed") for paper in ("n1", "n2", f"{ink}-wash")),
]
SHAPES = [("n6", "n1"), ("n6", "n2"), ("accent", "n3")]  # borders of controls, focus rings, marks: 3 to 1


def _luminance(colour: str) -> float:
    parts = [int(colour[index : index + 2], 16) / 255 for index in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _contrast(ink: str, paper: str, theme: int) -> float:
    """The WCAG 2 contrast ratio of two tokens; `theme` is 0 for light, 1 for dark."""
    lighter, darker = sorted((_luminance(COLOURS[name].split(", ")[theme]) for name in (ink, paper)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_text_has_a_contrast_of_four_and_a_half(theme: int) -> None:
    poor = {pair: round(_contrast(*pair, theme), 2) for pair in TEXT if _contrast(*pair, theme) < 4.5}
    assert not poor


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_controls_and_marks_have_a_contrast_of_three(theme: int) -> None:
    poor = {pair: round(_contrast(*pair, theme), 2) for pair in SHAPES if _contrast(*pair, theme) < 3}
    assert not poor


@pytest.mark.parametrize(
    "sheet", sorted(path.name for path in CSS.glob("*.css") if path.name not in {"tokens.css", "print.css"})
)
def test_only_the_tokens_name_a_colour_or_a_size(sheet: str) -> None:
    text = re.sub(r"/\*.*?\*/", "", (CSS / sheet).read_text(), flags=re.S)
    lines = [line.strip() for line in text.splitlines() if not line.startswith("@media")]
    named = [
        line
        for line in lines
        if re.search(r"#[0-9a-f]{3,8}\b|(?<![\w-])[\d.]+(px|rem|em|ch|pt)\b|\brgba?\(|\bhsla?\(", line)
    ]
    assert not named


def test_every_token_in_use_exists() -> None:
    sheets = "".join(path.read_text() for path in CSS.glob("*.css"))
    defined = set(re.findall(r"(--[\w-]+):", sheets))
    assert set(re.findall(r"var\((--[\w-]+)", sheets)) <= defined
