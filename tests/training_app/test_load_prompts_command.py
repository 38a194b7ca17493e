from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from training_app.models import PromptSet

pytestmark = pytest.mark.django_db


def test_it_loads_a_file_and_says_what_it_made(tmp_path: Path) -> None:
    file, out = tmp_path / "pointed.jsonl", StringIO()
    file.write_text('{"text": "One?"}\n{"text": "Two?"}\n')
    call_command("load_prompts", file, kind="red_team", stdout=out)
    made = PromptSet.objects.get()
    assert f"Loaded pointed: 2 rows, set pointed, sha256 {made.digest}." in out.getvalue()


def test_it_names_the_bad_line_and_loads_nothing(tmp_path: Path) -> None:
    file = tmp_path / "bad.jsonl"
    file.write_text('{"text": "One?"}\nnot json\n')
    with pytest.raises(CommandError, match=r"(?s)[Ll]ine 2.*Nothing was loaded"):
        call_command("load_prompts", file, kind="red_team")
    assert not PromptSet.objects.exists()


def test_it_says_that_a_file_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="cannot be read"):
        call_command("load_prompts", tmp_path / "missing.jsonl", kind="helpful")
