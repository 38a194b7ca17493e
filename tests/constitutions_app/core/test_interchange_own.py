from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from constitutions_app.core.interchange import WRITTEN, detected, read, read_bytes, write
from constitutions_app.core.interchange.documents import document
from constitutions_app.core.principles import Constitution, Exemplar, Principle, Source, digest, from_dict
from tests.constitutions_app.strategies import ATTACKS, constitutions, texts

STARTER = Path(__file__).parents[3] / "constitutions_app/starter"

TRAPS = (
    "# A heading",
    "### Title of another principle\n\n- id: other\n\n> words",
    "> quoted\n>> twice\n>\nnot quoted",
    "```\nfence never closed",
    "~~~xml\n<user>\n~~~",
    "--- \nname: x\n...",
    "- id: p\n- weight: 7",
    '"quoted", and \\ a backslash',
    "[1, 2]",
    "(untitled)",
    "trailing spaces   \nand a tab\there \n\n\n\nfour lines on",
    "  ".join(["wide", "gaps", "w" * 200, "end"]),
    "line\n    indented\n\ttabbed\n  back",
    "yes",
    "null",
    "1.0",
    "2020-01-01",
    "key: value # comment",
    "'single'",
    "{{braces}} %percent @at `tick` &anchor *alias !tag |pipe",
    "a\u0085b\u2028c\u2029d\ufeffe\x1bf\x7fg\x0bh",
    "word " * 60,
    "<!-- A constitution in Markdown, schema 1 -->",
    "none",
    "a, b",
)


def trapped(text: str) -> Constitution:
    """A constitution that says `text` wherever it can say something."""
    principle = Principle(
        id=text,
        title=text,
        text=text,
        rationale=text,
        source=Source(text, text, text),
        tags=(text, "b", text),
        weight=0.1 + 0.2,
        strict=True,
        enabled=False,
        stages=(),
        critique_request=text,
        revision_request=text,
        comparison_question=text,
        positive_examples=(text, text),
        negative_examples=("x", text),
    )
    exemplar = Exemplar(text, text, text, text, text, text)
    made = Constitution(text, text, (principle, Principle(id="empty", title="", text="")), (exemplar, exemplar))
    return from_dict(asdict(made))


def assert_comes_back(constitution: Constitution, format: str) -> None:
    text = write(constitution, format)
    back = read_bytes(text.encode(), f"constitution.{format}")
    assert back.not_understood == ()
    assert back.format == format
    assert back.constitution == constitution
    assert digest(back.constitution) == digest(constitution)
    assert write(back.constitution, format) == text
    # A file that passed through a program of Windows says the same.
    assert read_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode(), "x").constitution == constitution


@pytest.mark.parametrize("format", WRITTEN)
@given(constitutions)
@settings(max_examples=60)
def test_any_constitution_comes_back_with_its_digest(format: str, constitution: Constitution) -> None:
    assert_comes_back(constitution, format)


@pytest.mark.parametrize("format", WRITTEN)
@pytest.mark.parametrize("text", [*TRAPS, *ATTACKS], ids=range(len(TRAPS) + len(ATTACKS)))
def test_text_that_looks_like_the_format_comes_back(format: str, text: str) -> None:
    assert_comes_back(trapped(text), format)


@pytest.mark.parametrize("format", WRITTEN)
@given(st.lists(st.one_of(st.sampled_from(TRAPS), texts), min_size=1, max_size=4).map("\n".join))
@settings(max_examples=40)
def test_mixed_traps_come_back(format: str, text: str) -> None:
    if text.strip():
        assert_comes_back(trapped(text), format)


@given(constitutions)
@settings(max_examples=40)
def test_yaml_means_the_same_to_the_plain_python_parser(constitution: Constitution) -> None:
    assert from_dict(yaml.load(write(constitution, "yaml"), Loader=yaml.SafeLoader)) == constitution


def test_the_three_formats_say_the_same_and_are_easy_to_read() -> None:
    starter = read(STARTER / "harmless_assistant.yaml")
    assert starter.not_understood == ()
    for format in WRITTEN:
        assert_comes_back(starter.constitution, format)
    assert max(map(len, write(starter.constitution, "yaml").splitlines())) <= 100
    first = starter.constitution.principles[0]
    markdown = write(starter.constitution, "markdown")
    assert f"### {first.title}\n\n- id: {first.id}\n" in markdown
    assert f"> {first.text}\n" in markdown


def test_scenarios_beside_the_principles_are_read() -> None:
    found = read(STARTER / "scenarios.yaml")
    assert found.not_understood == ()
    assert len(found.scenarios) == 12
    assert all(scenario.is_complete for scenario in found.scenarios)


def test_one_bad_principle_costs_only_itself_and_its_line_is_told() -> None:
    text = "name: N\nprinciples:\n- id: a\n- id: b\n  weight: heavy\n- text: no id\n- id: a\nmore: 1\n"
    found = read_bytes(text.encode(), "x.yaml")
    assert [principle.id for principle in found.constitution.principles] == ["a"]
    assert [(item.line, item.text, item.reason) for item in found.not_understood] == [
        (4, "b", "Principle 2: weight should be a number, not str."),
        (6, "no id", "Principle 3: id is missing."),
        (7, "a", "The id 'a' stands here a second time; ids must be unique."),
        (8, "more", "A constitution has no field 'more'."),
    ]


def test_a_markdown_file_written_by_hand_is_read_with_its_mistakes_told() -> None:
    text = """# Hand-made

> Preamble.

A stray line.

## Principles

### First

- id: first
- tags: a, b
- strict: yes
- colour: red

> The rule
> on two lines.

#### Rationale

> Because.

> Again?

#### Colour

## Appendix

### Lost

> Words without a place.
"""
    found = read_bytes(text.encode(), "hand.md")
    assert found.format == "markdown"
    (principle,) = found.constitution.principles
    assert (found.constitution.name, found.constitution.preamble) == ("Hand-made", "Preamble.")
    assert (principle.text, principle.rationale, principle.tags, principle.strict) == (
        "The rule\non two lines.",
        "Because.",
        ("a", "b"),
        True,
    )
    assert [item.line for item in found.not_understood] == [5, 14, 23, 25, 27, 29, 31]


def test_names_and_forms_decide_the_format() -> None:
    for name, text, format in (
        ("a.txt", '{"principles": []}', "json"),
        ("b.txt", "name: x\nprinciples: []\n", "yaml"),
        ("c.txt", "# N\n\n## Principles\n", "markdown"),
        ("d.txt", "Just a letter.", ""),
    ):
        assert detected(document(text.encode(), name)) == format


def test_only_our_own_formats_are_written() -> None:
    constitution = Constitution("N", principles=(replace(Principle("a", "A", "B"), weight=2.0),))
    assert write(constitution, "yml") == write(constitution, "YAML")
    with pytest.raises(ValueError, match="read only"):
        write(constitution, "polis")
    with pytest.raises(ValueError, match="no format 'docx'"):
        write(constitution, "docx")
