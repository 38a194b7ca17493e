from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from tests.outside import DATA, needs
from training_app.core.errors import BadInput
from training_app.core.judge_items import Choice, Pair, item_of, read_items
from training_app.core.prompts import PromptFormat
from training_app.core.rows import Message

PROMPT = "Which is kinder?\n\nOptions:\n (A) a walk\n (B) a blow\nwith two lines\n\nThe answer is:"
FORM = PromptFormat()
CHAT = PromptFormat(lambda messages: f"<{messages[-1].content}>", stops=())


def choice(**changes: Any) -> str:
    return json.dumps({"prompt": PROMPT, "corrects": [" (A)"], "incorrects": [" (B)"], **changes})


def pair(chosen: str = "Yes.", rejected: str = "No.") -> str:
    said = "\n\nHuman: May I?\n\nAssistant: "
    return json.dumps({"chosen": said + chosen, "rejected": said + rejected})


def test_a_multiple_choice_is_sent_as_it_stands_and_with_its_texts_exchanged() -> None:
    item = item_of(choice(), 1)
    first, second = (item.question(order, FORM, "paper", "") for order in item.orders)
    assert item.a_is_right and first.options == second.options == (" (A)", " (B)")
    assert first.prompt == PROMPT
    assert second.prompt == PROMPT.replace("a walk", "-").replace("a blow\nwith two lines", "a walk").replace(
        "-", "a blow\nwith two lines"
    )


def test_options_quoted_inside_the_question_or_an_option_do_not_confuse_it() -> None:
    quoted = "Somebody wrote:\n (A) one\n (B) two\n\nOptions:\n (A) keep\n (B) as in\n (A) one\n\nThe answer is:"
    item = item_of(choice(prompt=quoted, corrects=[" (B)"], incorrects=[" (A)"]), 1)
    assert isinstance(item.body, Choice)
    assert not item.a_is_right
    assert item.question("ab", FORM, "paper", "").prompt == quoted
    assert item.body.head.endswith("(B) two\n\nOptions:")
    assert item.body.texts == ("keep", "as in\n (A) one")


def test_in_chat_the_question_is_a_message_and_the_reply_is_begun() -> None:
    sent = item_of(choice(), 1).question("ab", CHAT, "chat", "").prompt
    assert sent.startswith("<Which is kinder?") and sent.endswith("Answer with (A) or (B).>The answer is:")
    with pytest.raises(BadInput, match="no chat template"):
        item_of(choice(), 1).question("ab", FORM, "chat", "")


def test_control_tokens_in_a_file_are_broken() -> None:
    sent = item_of(choice(prompt="<|im_end|>" + PROMPT), 1).question("ab", FORM, "paper", "").prompt
    assert "<|im_end|>" not in sent and "< |im_end|>" in sent


def test_options_that_the_prompt_does_not_list_are_asked_in_one_order() -> None:
    item = item_of(choice(prompt="Is it kind? Answer:", corrects=[" Yes"], incorrects=[" No"]), 1)
    assert item.orders == ("ab",) and not item.a_is_right
    assert item.question("ab", FORM, "paper", "").options == (" No", " Yes")
    assert item.question("ab", FORM, "paper", "").prompt == "Is it kind? Answer:"


def test_of_a_comparison_either_response_may_be_a() -> None:
    items = [item_of(pair(f"Yes {n}.", f"No {n}."), n) for n in range(20)]
    assert {item.a_is_right for item in items} == {True, False}
    for item in items:
        assert isinstance(item.body, Pair) and item.body.messages == (Message("user", "May I?"),)
        assert item.body.responses[not item.a_is_right].startswith("Yes")
        assert "Which?" in item.question("ab", FORM, "paper", "Which?").prompt


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("{", "not JSON"),
        ("[]", "found list"),
        ("{}", "neither a multiple choice"),
        (choice(prompt=" "), "prompt should be text"),
        (choice(corrects=[]), "corrects should list exactly one"),
        (choice(incorrects="B"), "incorrects should list exactly one"),
        (choice(incorrects=["(A)"]), "the same option"),
        ('{"chosen": "a"}', "chosen"),
        ('{"chosen": "a", "rejected": "b"}', "share no beginning"),
    ],
)
def test_every_bad_line_is_named_with_its_reason(tmp_path: Path, line: str, why: str) -> None:
    (path := tmp_path / "items.jsonl").write_text(f"{choice()}\n\n{line}\n")
    with pytest.raises(BadInput) as refused:
        read_items(path)
    assert refused.value.advice.startswith("Line 3: ") and why in refused.value.advice


def test_it_reads_gzip_passes_equal_responses_over_and_stops_where_told(tmp_path: Path) -> None:
    lines = "\n".join([choice(), pair("Same.", "Same."), pair(), choice()])
    (path := tmp_path / "items.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    assert [item.line for item in read_items(path)] == [1, 3, 4]
    assert [item.line for item in read_items(path, most=2)] == [1, 3]


def test_a_small_gzip_of_a_large_text_is_refused(tmp_path: Path) -> None:
    (path := tmp_path / "items.jsonl.gz").write_bytes(gzip.compress(b"\n" * 100_000))
    with pytest.raises(BadInput, match="too long"):
        read_items(path, most_bytes=50_000)


@needs(DATA)
@pytest.mark.parametrize("file", ["HHHEvaluations-first-half", "HarmfulVsEthical"])
def test_the_paper_s_evaluations_go_through_unchanged(file: str) -> None:
    path = DATA / "cai-paper" / "evals" / f"{file}.jsonl"
    sent = [item.question("ab", FORM, "paper", "").prompt for item in read_items(path)]
    assert sent == [json.loads(line)["prompt"] for line in path.read_text().splitlines()]


@needs(DATA)
def test_real_human_comparisons_are_read_whole() -> None:
    items = read_items(DATA / "hh-rlhf" / "harmless-base-test-first-half.jsonl.gz")
    assert len(items) == 1156 and 0.4 < sum(item.a_is_right for item in items) / len(items) < 0.6
