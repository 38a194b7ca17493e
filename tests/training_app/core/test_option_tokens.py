from __future__ import annotations

from pathlib import Path

import pytest

from tests.tiny_model import build_tiny_model
from tests.training_app.core.asking_jobs import comparisons, last_event, write_asking_job
from training_app.core.backends.scripted import ScriptedBackend
from training_app.core.errors import BadInput
from training_app.core.option_tokens import check_option_tokens
from training_app.core.prompts import OPTIONS
from training_app.core.stage import FINISHED, run_job


class Writes:
    """A tokenizer that cuts texts as a function says."""

    def __init__(self, *pieces: str) -> None:
        self.pieces = sorted(pieces, key=len, reverse=True)

    def encode(self, text: str) -> list[int]:
        ids = []
        while text:
            piece = next((piece for piece in self.pieces if text.startswith(piece)), "")
            ids.append(self.pieces.index(piece) if piece else 0 if len(self.pieces) == 1 else -ord(text[0]))
            text = text[len(piece) or 1 :]
        return ids


@pytest.mark.parametrize(
    ("pieces", "one_forward", "words"),
    [
        ((" (", "A", "B", ")"), True, "one token apart, read in one forward"),
        ((" (A", " (B", ")"), True, "one token apart, read in one forward"),
        ((" (A)",), False, "scored whole, 15 and 18 tokens"),
    ],
)
def test_it_says_how_a_tokenizer_writes_the_answers(pieces: tuple[str, ...], one_forward: bool, words: str) -> None:
    found = check_option_tokens(Writes("\0", *pieces), OPTIONS)
    assert found is not None
    assert (found.one_forward, found.words()) == (one_forward, words)


class Deaf:
    def encode(self, text: str) -> list[int]:
        return [0 if letter in "AB" else ord(letter) for letter in text]


class Mute:
    def encode(self, text: str) -> list[int]:
        return [1, 2]


@pytest.mark.parametrize("tokenizer", [Deaf(), Mute()])
def test_a_judge_that_cannot_tell_the_answers_apart_is_refused(tokenizer: object) -> None:
    with pytest.raises(BadInput, match=r'does not tell "\(A\)" from "\(B\)"'):
        check_option_tokens(tokenizer, OPTIONS)


def test_a_server_s_tokenizer_is_not_asked() -> None:
    assert check_option_tokens(ScriptedBackend(), OPTIONS) is None


def test_a_label_stage_says_it_in_its_summary(tmp_path: Path) -> None:
    model = build_tiny_model(tmp_path / "tiny")
    file = write_asking_job(tmp_path / "out", "label", model, {"comparisons": comparisons(1)})
    assert run_job(file, lambda: False) == FINISHED
    assert "token" in last_event(tmp_path / "out")["summary"]["answers"]
