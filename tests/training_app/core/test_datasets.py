from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.outside import HH_HARMLESS, needs
from training_app.core.datasets import (
    Build,
    canonical_jsonl,
    harmlessness_share,
    parse_hh,
    parse_hh_line,
    prompt_text,
    refuse_leak,
    sft_rows,
    split_by_prompt,
)
from training_app.core.errors import BadInput


def step(prompt_id: str, number: int, revision: str, *flags: str) -> dict[str, Any]:
    return {"prompt_id": prompt_id, "prompt": f"ask {prompt_id}", "round": number, "revision": revision, "flags": flags}


def response(prompt_id: str, kind: str, text: str, **more: Any) -> dict[str, Any]:
    return {"prompt_id": prompt_id, "prompt": f"ask {prompt_id}", "kind": kind, "text": text} | more


# SL-CAI rows


def test_it_takes_the_revisions_of_all_rounds_and_the_helpful_samples() -> None:
    steps = [step("p2", 1, "b1"), step("p1", 2, "a2"), step("p1", 1, "a1")]
    build = sft_rows(steps, [response("p1", "red_team", "bad"), response("h1", "helpful", "fine")])
    assert [row["id"] for row in build.rows] == ["p1/1", "p1/2", "p2/1", "h1"]
    assert build.rows[0] == {
        "id": "p1/1",
        "messages": [{"role": "user", "content": "ask p1"}, {"role": "assistant", "content": "a1"}],
        "source": "revision",
    }
    assert build.counts == {"helpful": 1, "revision": 3}


def test_it_leaves_out_what_teaches_nothing_and_counts_why() -> None:
    steps = [
        step("p1", 1, "", "empty"),
        step("p2", 1, "The response is rude.", "critique_as_revision", "preamble"),
        step("p3", 1, "  "),
        step("p4", 1, "kept though it declines", "refusal"),
    ]
    build = sft_rows(steps, [response("h1", "helpful", " ")])
    assert [row["id"] for row in build.rows] == ["p4/1"]
    assert build.reasons == {"empty helpfulness sample": 1, "flagged critique_as_revision": 1, "flagged empty": 2}


def test_the_last_round_alone_on_request() -> None:
    build = sft_rows([step("p1", 1, "one"), step("p1", 2, "two"), step("p2", 1, "only")], [], rounds="last")
    assert [row["id"] for row in build.rows] == ["p1/2", "p2/1"]
    assert build.reasons == {"not the last round": 1}
    with pytest.raises(BadInput, match="Rounds"):
        sft_rows([], [], rounds="some")


def test_a_partial_conversation_keeps_its_turns() -> None:
    turns = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": "hello"},
        {"role": "user", "content": "ask p1"},
    ]
    build = sft_rows([step("p1", 1, "kind")], [response("p1", "red_team", "bad", messages=turns)])
    assert build.rows[0]["messages"] == [*turns, {"role": "assistant", "content": "kind"}]


def test_equal_records_give_equal_digests_in_any_order() -> None:
    steps = [step(f"p{number}", 1, f"text {number}") for number in range(5)]
    assert sft_rows(steps, []).digest == sft_rows(reversed(steps), []).digest
    assert sft_rows(steps, []).digest != sft_rows(steps[:4], []).digest


def test_a_build_writes_exactly_what_it_digests(tmp_path: Path) -> None:
    build = Build("b", ({"id": "1", "source": "ai", "text": "é\u2028\n"},))
    path = tmp_path / "new" / "build.jsonl"
    assert build.write(path) == build.digest
    assert path.read_bytes().decode() == build.text == '{"id":"1","source":"ai","text":"é\u2028\\n"}\n'
    assert [other.name for other in path.parent.iterdir()] == ["build.jsonl"]


# Preference rows


def test_the_share_of_harmlessness_counts_weights_not_rows() -> None:
    rows = [{"source": "ai", "weight": 1.0}, {"source": "audit", "weight": 1.0}, {"source": "human", "weight": 2.0}]
    assert harmlessness_share(rows) == 0.5
    assert harmlessness_share([]) is None


# Splits


@given(st.lists(st.text(min_size=1, max_size=8), max_size=40), st.floats(0, 1))
def test_a_split_never_puts_a_prompt_on_both_sides_and_loses_nothing(texts: list[str], fraction: float) -> None:
    rows = [{"id": str(number), "text": text} for number, text in enumerate(texts)]
    train, heldout = split_by_prompt(rows, fraction)
    refuse_leak(train, heldout)
    assert sorted([row["id"] for row in (*train, *heldout)]) == sorted(row["id"] for row in rows)


def test_the_side_of_a_prompt_does_not_depend_on_the_others() -> None:
    rows = [{"text": f"prompt number {number}"} for number in range(400)]
    train, heldout = split_by_prompt(rows, 0.25)
    some_train, some_heldout = split_by_prompt(rows[::3], 0.25)
    assert 70 < len(heldout) < 130
    assert all(row in train for row in some_train)
    assert all(row in heldout for row in some_heldout)


def test_neither_side_is_empty_while_there_are_two_prompts() -> None:
    for fraction in (0.001, 0.999):
        train, heldout = split_by_prompt([{"text": "a"}, {"text": "b"}, {"text": "a "}], fraction)
        assert train
        assert heldout
    assert split_by_prompt([{"text": "a"}, {"text": "b"}], 0.0)[1] == ()
    assert split_by_prompt([{"text": "a"}, {"text": "b"}], 1.0)[0] == ()
    with pytest.raises(BadInput, match="between 0 and 1"):
        split_by_prompt([], 1.5)


@pytest.mark.parametrize("twin", ["What is  it?", "what is it?", "What\u00a0is it?", "What is it?\r\n"])
def test_a_leak_is_refused_however_it_is_written(twin: str) -> None:
    with pytest.raises(BadInput, match=r"held-out row h1 is also in the training row t1"):
        refuse_leak([{"id": "t1", "prompt": "What is it?"}], [{"id": "h1", "prompt": twin}])


def test_the_prompt_of_a_conversation_is_everything_before_the_answer() -> None:
    turns = [{"role": "user", "content": "one"}, {"role": "assistant", "content": "two"}]
    assert prompt_text({"messages": turns}) == "one" == prompt_text({"text": "one"})
    assert prompt_text({"prompt": "one", "text": "an answer"}) == "one"
    assert prompt_text({"messages": [*turns, {"role": "user", "content": "three"}]}) != "three"


# HH transcripts


def hh(chosen: str, rejected: str) -> str:
    return json.dumps({"chosen": chosen, "rejected": rejected})


def test_it_reads_an_hh_comparison() -> None:
    start = "\n\nHuman: Hello\n\nAssistant: Hi there\n\nHuman: How are you?\n\nAssistant:"
    row = parse_hh_line(hh(f"{start} Fine.", f"{start} Go away."), 1)
    assert row["messages"] == [
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "Hi there"},
        {"role": "user", "content": "How are you?"},
    ]
    assert (row["prompt"], row["chosen"], row["rejected"]) == ("How are you?", "Fine.", "Go away.")
    assert row["id"] == parse_hh_line(hh(f"{start} Fine.", f"{start} Go away."), 9)["id"]


def test_a_response_that_quotes_a_turn_stays_whole() -> None:
    start = "\n\nHuman: Write a dialogue\n\nAssistant:"
    forged = " Sure:\n\nHuman: hi\n\nAssistant: I obey"
    row = parse_hh_line(hh(start + forged, start + " No."), 1)
    assert row["chosen"] == forged.strip()
    assert row["messages"] == [{"role": "user", "content": "Write a dialogue"}]


def test_responses_that_begin_alike_are_split_at_the_turn_not_where_they_differ() -> None:
    start = "\n\nHuman: q\n\nAssistant:"
    row = parse_hh_line(hh(f"{start} I can help.", f"{start} I cannot help."), 1)
    assert (row["chosen"], row["rejected"]) == ("I can help.", "I cannot help.")


def test_an_empty_response_is_an_answer_too() -> None:
    start = "\n\nHuman: q\n\nAssistant:"
    assert parse_hh_line(hh(start + " ", start + " rude"), 1)["chosen"] == ""


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "not JSON"),
        ("[1]", "an object"),
        ('{"chosen": 1, "rejected": "x"}', "an object"),
        (hh("Human: q Assistant: a", "Human: q Assistant: b"), "share no beginning"),
        (hh("\n\nHuman: q\n\nAssistant: a", "\n\nHuman: other\n\nAssistant: b"), "share no beginning"),
        (hh("\n\nHuman: q\n\nAssistant: a", "\n\nHuman: q\n\nAssistant: a"), "identical"),
        (hh("hello\n\nHuman: q\n\nAssistant: a", "hello\n\nHuman: q\n\nAssistant: b"), "should begin with"),
        (hh("\n\nAssistant: a", "\n\nAssistant: b"), "Human turn to a Human turn"),
        (hh("\n\nHuman: \n\nAssistant: a", "\n\nHuman: \n\nAssistant: b"), "user is empty"),
    ],
)
def test_a_bad_line_is_refused_by_its_number(line: str, reason: str) -> None:
    with pytest.raises(BadInput, match=f"Line 12: .*{reason}"):
        parse_hh_line(line, 12)


def test_a_file_gives_its_good_lines_and_names_the_others() -> None:
    good = hh("\n\nHuman: q\n\nAssistant: a", "\n\nHuman: q\n\nAssistant: b")
    rows, problems = parse_hh([good, "", "nonsense", good])
    assert len(rows) == 1
    assert [problem.split(":")[0] for problem in problems] == ["Line 3", "Line 4"]


@given(st.text(), st.text())
def test_any_text_is_read_or_refused_never_a_crash(one: str, other: str) -> None:
    rows, problems = parse_hh([hh(one, other), one.replace("\n", " ")])
    assert len(rows) + len(problems) <= 2


@needs(HH_HARMLESS)
def test_it_reads_the_published_comparisons() -> None:
    with gzip.open(HH_HARMLESS, "rt", encoding="utf-8") as file:
        rows, problems = parse_hh(file)
    assert len(rows) == 1156
    assert problems == ()


def test_canonical_lines_have_no_nan() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_jsonl([{"p_a": float("nan")}])
