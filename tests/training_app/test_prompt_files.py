"""Prompt files: every line good, or every bad one named with its reason."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training_app.prompt_files import WORST, ReadPrompts, read_prompt_file
from training_app.refusals import PromptFileRefused


def read(*rows: object, kind: str = "red_team") -> ReadPrompts:
    return read_prompt_file("".join(f"{json.dumps(row)}\n" for row in rows).encode(), kind)


def refused(content: bytes, kind: str = "red_team") -> tuple[str, ...]:
    with pytest.raises(PromptFileRefused) as caught:
        read_prompt_file(content, kind)
    return caught.value.problems


def test_it_reads_single_prompts_and_conversations() -> None:
    talk = [
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "Hello."},
        {"role": "user", "content": "And now?"},
    ]
    found = read({"id": "one", "text": " First ", "tags": ["a"]}, {"text": "And now?", "messages": talk}).prompts
    assert (found[0].key, found[0].text, found[0].messages, found[0].tags) == ("one", "First", (), ("a",))
    assert found[1].key.startswith("prompt-") and len(found[1].messages) == 3


def test_white_space_and_key_order_do_not_change_the_digest() -> None:
    plain = b'{"id": "1", "text": "First"}\n'
    spaced = b'\xef\xbb\xbf\r\n{"text":"First ",   "id":"1"}\r\n\n'
    assert read_prompt_file(plain, "helpful").digest == read_prompt_file(spaced, "helpful").digest
    assert read_prompt_file(plain, "helpful").digest != read({"id": "2", "text": "First"}).digest


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"not json", "not JSON (Expecting value at column 1)"),
        (b"[1]", "an object is needed, found list"),
        (b"\xff\xfe", "not UTF-8 text (byte 1)"),
        (b'{"text": "  "}', "text is empty"),
        (b'{"id": "x"}', "text is missing"),
        (b'{"text": 7}', "text should be text, not int"),
        (b'{"text": "a", "a": 1}', "unknown field 'a'; known are id, kind, messages, tags, text, transcript"),
        (b'{"text": "a", "kind": "helpful"}', "this is a helpful prompt in a red_team set"),
        (b'{"text": "a", "tags": "t"}', "tags should be a list of words of at most 60 characters"),
        (b'{"text": "a", "messages": [{"role": "assistant", "content": "b"}]}',
         "messages should go user, assistant, user … and end with user"),
        (b'{"text": "Fine"}', "the same prompt stands already on line 1"),
        (b'{"id": "good", "text": "Other"}', "the same id stands already on line 1"),
    ],
)  # fmt: skip
def test_it_names_line_and_reason(line: bytes, reason: str) -> None:
    problems = refused(b'{"id": "good", "text": "Fine"}\n\n' + line + b"\n")
    assert problems == (f"Line 3: {reason}.",)


def test_it_names_every_bad_line_up_to_a_limit() -> None:
    assert refused(b'{"text": "a"}\nx\n{"text": "b"}\ny\n') == (
        "Line 2: not JSON (Expecting value at column 1).",
        "Line 4: not JSON (Expecting value at column 1).",
    )
    assert len(refused(b"x\n" * 500)) == WORST
    with pytest.raises(PromptFileRefused, match=r"Line 1: not JSON .* \(and 1 more\) Nothing was loaded\."):
        read_prompt_file(b"x\ny\n", "helpful")


@pytest.mark.parametrize("content", [b"", b"\n \n"])
def test_an_empty_file_is_refused(content: bytes) -> None:
    assert refused(content) == ("The file holds no line. Put one JSON object on each line.",)


def test_human_comparisons_keep_who_won_whichever_side_it_stands_on() -> None:
    rows = [
        {"chosen": f"\n\nHuman: {n}?\n\nAssistant: good {n}", "rejected": f"\n\nHuman: {n}?\n\nAssistant: bad {n}"}
        for n in range(24)
    ]
    choices = read(*rows, kind="comparisons").choices
    assert {choice.human_choice for choice in choices} == {"a", "b"}
    assert all(
        (choice.response_a if choice.human_choice == "a" else choice.response_b).startswith("good")
        for choice in choices
    )
    assert refused(b'{"chosen": "x", "rejected": "y"}', "comparisons") == (
        'Line 1: the transcripts share no beginning up to an "Assistant:" turn.',
    )


@given(st.binary(max_size=200))
def test_whatever_comes_is_read_or_refused_in_words(content: bytes) -> None:
    for kind in ("red_team", "comparisons"):
        try:
            assert read_prompt_file(content, kind).rows > 0
        except PromptFileRefused as error:
            assert error.problems


@pytest.mark.parametrize("end", ["", "\n\nAssistant:", "\n\nAssistant: \n"])
def test_a_transcript_that_ends_with_the_person_is_a_partial_conversation(end: str) -> None:
    talk = f"\n\nHuman: Hi: there\n\nAssistant: Hello: you.\n\nHuman: How do I: do it?{end}"
    (prompt,) = read_prompt_file(json.dumps({"transcript": talk, "tags": ["x"]}).encode(), "red_team").prompts
    assert prompt.text == "How do I: do it?"  # nothing is cut at a colon
    assert [turn["role"] for turn in prompt.messages] == ["user", "assistant", "user"]
    assert prompt.messages[1]["content"] == "Hello: you."


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"transcript": "\n\nHuman: Hi\n\nAssistant: Hello."}, "go from a Human turn to a Human turn"),
        ({"transcript": "Hi"}, 'should begin with "Human:"'),
        ({"transcript": "\n\nHuman: Hi", "text": "Hi"}, "leave text and messages out"),
    ],
)
def test_another_transcript_is_refused_with_its_reason(row: dict[str, str], reason: str) -> None:
    with pytest.raises(PromptFileRefused) as refused:
        read_prompt_file(json.dumps(row).encode(), "red_team")
    assert reason in refused.value.problems[0]
