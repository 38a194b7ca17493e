"""Files from outside that are no part of the project. Tests that read them are skipped, loudly, where they are not."""

from __future__ import annotations

from pathlib import Path

import pytest

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
CAI_PAPER = DATA / "cai-paper"
HH_HARMLESS = DATA / "hh-rlhf" / "harmless-base-test-first-half.jsonl.gz"


def needs(path: Path) -> pytest.MarkDecorator:
    """Skips a test where this file or folder from outside is missing."""
    name = path.relative_to(DATA.parents[1])
    return pytest.mark.skipif(
        not path.exists(), reason=f"../{name} is not beside this checkout (real files from outside)"
    )
