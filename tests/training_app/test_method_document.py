from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path

from training_app.core.config import RunConfig, WriteParams
from training_app.options import all_options, write_options

ROW = re.compile(r"^\| `([a-z_.]+)` \| ([^|]+) \|", re.MULTILINE)


def test_the_document_names_every_option_with_its_default_and_no_other() -> None:
    """docs/method.md promises that this holds it to the code."""
    text = (Path(__file__).parents[2] / "docs" / "method.md").read_text(encoding="utf-8")
    said = dict(ROW.findall(text))
    data = asdict(RunConfig()) | {"write": asdict(WriteParams())}
    options = (*all_options(), *write_options())
    assert set(said) == {option.path for option in options}
    for option in options:
        written = said[option.path].strip().partition(";")[0]
        assert _same(written, option.value_in(data)), (option.path, written)


def _same(written: str, value: object) -> bool:
    if value is None or isinstance(value, bool):
        return written == {None: "none", True: "on", False: "off"}[value]
    return float(written) == value if isinstance(value, int | float) else written == value
