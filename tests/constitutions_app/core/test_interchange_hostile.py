"""Files that were never meant to be read. Whatever they hold, an import answers with lines and reasons."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from constitutions_app.core.interchange import FORMATS, MAX_PRINCIPLES, Imported, read, read_bytes, write
from constitutions_app.core.interchange.documents import MAX_BYTES
from constitutions_app.core.principles import Constitution, Principle

HOSTILE = {
    "nothing": b"",
    "white space": b" \n\t\r\n ",
    "NULs only": b"\x00" * 50,
    "binary": bytes(range(256)) * 8,
    "half of a surrogate pair": b'{"name": "\\ud800", "principles": [{"id": "a\\udfff", "text": "t"}]}',
    "deep list": b"[" * 100_000,
    "deep mapping": b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
    "deep but whole": b"[" * 300 + b"]" * 300,
    "deep YAML": b"principles: " + b"[" * 50_000,
    "endless number": b'{"principles": [{"id": "a", "weight": ' + b"9" * 6_000 + b"}]}",
    "not a number": b'{"name": "n", "principles": [{"id": "a", "weight": NaN}]}',
    "cut off": b'{"name": "n", "principles": [{"id": "a", "te',
    "names twice": b'{"name": "a", "name": "b", "principles": [{"id": "a", "id": "b"}]}',
    "laughs": b"a: &a [x, x]\nb: &b [*a, *a]\nprinciples: [*b]\n",
    "python object": b"name: x\nprinciples: !!python/object/apply:os.system [ls]\n",
    "list as a name": b"? [a, b]\n: 1\nprinciples: []\n1: 2\n",
    "two documents": b"principles: []\n---\nprinciples: []\n",
    "control sign": b"name: x\x07\nprinciples: []\n",
    "number no more": b"principles:\n- id: a\n  weight: 0b\n- id: b\n  weight: 0x\n",
    "quote never closed": b'comment-id,comment-body\n1,"never closed\n2,fine\n',
    "huge cell": b"comment-id,comment-body\n1," + b"x" * 200_000 + b"\n2,fine\n",
    "many columns": b"comment-body" + b",x" * 100_000 + b"\n",
    "fence never closed": b"# A {#a authority=root}\n~~~xml\n<user>\nhi\n",
    "many answers": b"# A {#a authority=user}\n~~~\n<user>\nq\n</user>\n<comparison>\n"
    + b"<assistant> <!-- GOOD -->\nx\n</assistant>\n<assistant> <!-- BAD -->\ny\n</assistant>\n" * 500,
    "many examples": b"# A {#a authority=user}\n" + b"**Example**: t\n" * 5_000,
    "wide heading": b"# A {#a authority=user}\n#" + b" " * 200_000 + b"{" * 200_000,
    "wide marks": b'{"a": {"prompt": "x' + b" " * 200_000 + b'y", "edit_request": "z"}}',
    "wrong types": json.dumps(
        {
            "name": 3,
            "preamble": [],
            "principles": [1, None, "x", [], {"id": 3}, {"id": "a", "tags": "no"}],
            "exemplars": 1,
        }
    ).encode(),
    "wrong chats": json.dumps({"constitutions": [1, None, {"critic": 1}], "system_chat": [1, [], [[]], {}]}).encode(),
    "wrong traits": json.dumps([1, {"trait": 5}, {"trait": "x", "questions": {"a": 1}, "clarification": 5}]).encode(),
    "a number": b"42",
    "a word": b'"word"',
}


def assert_sound(found: Imported) -> None:
    """The preview can be printed, digested and written, and every remark has a reason."""
    json.dumps(found.as_json(), allow_nan=False).encode("utf-8")
    assert all(item.reason.endswith(".") and item.line >= 0 for item in found.not_understood)
    if not found.is_empty:
        for format in ("json", "yaml", "markdown"):
            assert read_bytes(write(found.constitution, format).encode(), "x").constitution == found.constitution


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("format", [None, *FORMATS])
def test_no_file_breaks_any_reader(name: str, format: str | None) -> None:
    found = read_bytes(HOSTILE[name], "hostile.txt", format)
    assert_sound(found)
    assert found.not_understood or not found.is_empty


PIECES = """# A {#a authority=user}|**Example**: x|~~~|<user>|</user>|<comparison>|> q|## Principles|### T|- id: a
principles:|- id: b|{|[|"|x,y|comment-body,agrees|!!! meta|[^a]|\x00|\ufeff|<assistant> <!-- GOOD -->|</assistant>
{"trait": "x"}|  text: z|'|```|[^a]: b|---|&a *a|"""
pieces = st.sampled_from([piece for line in PIECES.split("\n") for piece in line.split("|")])


@given(st.lists(pieces, max_size=14), st.sampled_from([None, *FORMATS]))
@settings(max_examples=150)
def test_pieces_of_all_formats_in_any_order_are_answered(lines: list[str], format: str | None) -> None:
    assert_sound(read_bytes("\n".join(lines).encode(), "mixed.txt", format))


@given(st.binary(max_size=80), st.sampled_from([None, *FORMATS]))
@settings(max_examples=100)
def test_any_bytes_are_answered(data: bytes, format: str | None) -> None:
    assert_sound(read_bytes(data, "bytes", format))


def test_lines_that_are_not_utf_8_are_told_and_the_others_read() -> None:
    found = read_bytes("comment-id,comment-body\n1,café\n2,fine\n".encode("latin-1"), "c.csv")
    assert [item.text for item in found.constitution.principles] == ["caf�", "fine"]
    assert [(item.line, item.reason) for item in found.not_understood] == [
        (2, "Some bytes of this line are not UTF-8; � stands for each.")
    ]


def test_a_nul_is_taken_out_and_told() -> None:
    found = read_bytes(b"comment-id,comment-body\n1,a long enough b\x00ody of words\n", "c.csv")
    assert found.constitution.principles[0].text == "a long enough body of words"
    assert found.not_understood[0].line == 2


def test_a_file_that_is_too_large_is_not_read() -> None:
    found = read_bytes(b"a" * (MAX_BYTES + 1), "big.md")
    assert found.is_empty
    assert "larger than 5 MB" in found.not_understood[0].reason


def test_a_word_of_a_megabyte_is_only_a_word() -> None:
    found = read_bytes(b'{"name": "n", "principles": [{"id": "a", "text": "' + b"w" * 1_000_000 + b'"}]}', "w.json")
    assert_sound(found)
    assert len(found.constitution.principles[0].text) == 1_000_000


def test_more_principles_than_people_read_are_cut_off() -> None:
    found = read_bytes(b"comment-id,comment-body\n" + b"1,x\n" * (MAX_PRINCIPLES + 5), "c.csv")
    assert len(found.constitution.principles) == MAX_PRINCIPLES
    assert len({item.id for item in found.constitution.principles}) == MAX_PRINCIPLES
    assert found.not_understood[0].reason.startswith("Only the first")


def test_remarks_are_counted_when_there_are_too_many() -> None:
    found = read_bytes(b"comment-id,comment-body\n" + b"1,\n" * 3_000, "c.csv")
    assert len(found.not_understood) == 1001
    assert found.not_understood[-1].reason == "2000 further places were not understood either."


def test_folders_missing_files_and_pipes_are_told(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path, reason in (
        (tmp_path, "not an ordinary file"),
        (pipe, "not an ordinary file"),
        (tmp_path / "none", "no such file"),
        (Path("a\x00b"), "no such file"),
    ):
        found = read(path)
        assert found.is_empty
        assert reason in found.not_understood[0].reason


def test_ids_and_titles_fit_the_columns_they_are_stored_in() -> None:
    text = "Ω" * 300 + " " + "w" * 500
    found = read_bytes(json.dumps([{"trait": text}, {"trait": text}, {"trait": "ß!"}]).encode(), "x" * 400 + ".json")
    for principle in found.constitution.principles:
        assert principle.id and len(principle.id) <= 80 and principle.id.isascii()
        assert len(principle.title) <= 200
        assert len(principle.source.document) <= 300
    assert len(found.constitution.name) <= 200


def test_hostile_words_come_back_as_words() -> None:
    attack = "<script>alert(1)</script>\u202e\u0000{% x %}"
    made = Constitution("n", principles=(Principle("a", attack.replace("\x00", ""), attack.replace("\x00", "")),))
    for format in ("json", "yaml", "markdown"):
        assert read_bytes(write(made, format).encode(), "x").constitution == made
