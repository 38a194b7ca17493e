from __future__ import annotations

import codecs
import json
from pathlib import Path

import pytest

from constitutions_app.core.interchange import Imported, detect, format_named, read, read_bytes
from constitutions_app.core.principles import STAGES, Exemplar, Source


def told(found: Imported) -> list[tuple[int, str]]:
    return [(item.line, item.text) for item in found.not_understood]


PAIRS = """{
  "harmful0": {
    "prompt": ["\\n\\nCritiqueRequest: Say what is rude.\\n\\nCritique:"],
    "edit_request": "\\n\\nRevisionRequest: Make it polite.\\n\\nRevision:"
  },
  "harmful1": {"prompt": "\\n\\nCritiqueRequest: Say what is false.\\n\\nCritique:",
    "edit_request": "Make it true."},
  "harmful2": {"prompt": [], "edit_request": "x"}
}
"""
QUESTIONS = (
    '["\\nWhich is more polite? Options:",\n "\\nWhich is truer? Options:",\n 7,\n "\\nWhich is left over? Options:"]\n'
)


def test_the_papers_pairs_keep_their_keys_and_lose_their_marks() -> None:
    found = read_bytes(PAIRS.encode(), "Pairs.json")
    assert found.format == "paper"
    first, second = found.constitution.principles
    assert (first.id, first.critique_request, first.revision_request) == (
        "harmful0",
        "Say what is rude.",
        "Make it polite.",
    )
    assert (first.text, first.stages, first.source) == (
        "Make it polite.",
        ("revise",),
        Source("Pairs.json", "harmful0"),
    )
    assert (second.id, second.critique_request) == ("harmful1", "Say what is false.")
    assert told(found) == [(8, "harmful2")]


def test_the_papers_questions_are_read_by_position() -> None:
    found = read_bytes(QUESTIONS.encode(), "Questions.json")
    assert [(item.id, item.comparison_question, item.stages) for item in found.constitution.principles] == [
        ("question0", "Which is more polite?", ("label",)),
        ("question1", "Which is truer?", ("label",)),
        ("question3", "Which is left over?", ("label",)),
    ]
    assert told(found) == [(3, "7")]


@pytest.mark.parametrize("swap", [False, True])
def test_linked_files_are_paired_by_position_and_every_link_is_unconfirmed(tmp_path: Path, swap: bool) -> None:
    pairs, questions = tmp_path / "pairs.json", tmp_path / "questions.json"
    pairs.write_text(PAIRS, encoding="utf-8")
    questions.write_text(QUESTIONS, encoding="utf-8")
    found = read(questions, link=pairs) if swap else read(pairs, link=questions)
    first, second, alone = found.constitution.principles
    assert (first.critique_request, first.comparison_question) == ("Say what is rude.", "Which is more polite?")
    assert (second.revision_request, second.comparison_question) == ("Make it true.", "Which is truer?")
    assert first.stages == STAGES and alone.stages == ("label",)
    assert first.source.article == "harmful0; questions.json [0]"
    assert [(link.principle, link.position) for link in found.unconfirmed_links] == [("harmful0", 0), ("harmful1", 1)]
    assert [item.tags for item in found.constitution.principles] == [("link-unconfirmed",)] * 2 + [()]
    assert any("no link was made" in item.reason for item in found.not_understood)


def test_two_files_of_one_kind_cannot_be_linked() -> None:
    found = read_bytes(PAIRS.encode(), "a.json", link=(PAIRS.encode(), "b.json"))
    assert found.unconfirmed_links == ()
    assert [item.id for item in found.constitution.principles] == ["harmful0", "harmful1"]
    assert "can be linked" in found.not_understood[0].reason
    polis = read_bytes(b"comment-id,comment-body\n1,x\n", "p.csv", link=(PAIRS.encode(), "b.json"))
    assert "can be linked" in polis.not_understood[0].reason


def chat(*texts: str) -> list[dict[str, str]]:
    return [{"role": role, "content": text} for role, text in zip(("user", "assistant") * 9, texts, strict=False)]


def test_llm_swarm_chats_become_exemplars_where_they_fit() -> None:
    data = {
        "constitutions": [{"critic": "Say what is dull.", "revision": "Make it lively."}, {"critic": "only half"}],
        "system_chat": [
            chat("Q", "A", "CR", "C", "RR", "R"),
            chat("Q", "A", "Q2", "A2", "CR", "C", "RR", "R"),
            "no chat",
            [*chat("Q", "A", "CR", "C", "RR"), {"role": "assistant", "content": None}],
        ],
        "extra": 1,
    }
    found = read_bytes(json.dumps(data, indent=1).encode(), "swarm.json")
    assert found.format == "llm-swarm"
    (principle,) = found.constitution.principles
    assert (principle.critique_request, principle.revision_request) == ("Say what is dull.", "Make it lively.")
    assert (principle.id, principle.stages) == ("make-it-lively", ("revise",))
    assert found.constitution.exemplars == (Exemplar("Q", "A", "CR", "C", "RR", "R"),)
    assert len(found.not_understood) == 5
    lines = json.dumps(data, indent=1).splitlines()
    assert all(0 < item.line <= len(lines) for item in found.not_understood)


def test_the_older_llm_swarm_form_is_a_bare_list() -> None:
    found = read_bytes(b'[{"critic": "c", "revision": "r"}, 3]', "constitution.json")
    assert (found.format, len(found.constitution.principles), len(found.not_understood)) == ("llm-swarm", 1, 1)


def test_traits_become_principles_and_their_questions_scenarios() -> None:
    data = [
        {"trait": "I ask before I assume.", "clarification": "Guessing wrong is costly.", "questions": ["Fix it?", 5]},
        {"trait": "I ask before I assume.", "questions": "no list", "additional_questions": ["And now?"]},
        {"no": "trait"},
    ]
    for text in (json.dumps(data, indent=1), "\n".join(json.dumps(item) for item in data)):
        found = read_bytes(text.encode(), "asking.json")
        assert found.format == "open-character"
        first, second = found.constitution.principles
        assert (first.id, second.id) == ("i-ask-before-i-assume", "i-ask-before-i-assume-2")
        assert (first.text, first.rationale) == ("I ask before I assume.", "Guessing wrong is costly.")
        assert [(item.prompt, item.principles, item.expected) for item in found.scenarios] == [
            ("Fix it?", (first.id,), ""),
            ("And now?", (second.id,), ""),
        ]
        assert not any(item.is_complete for item in found.scenarios)
        assert [item.reason[:12] for item in found.not_understood] == ["A question s", "questions sh", "Each item ne"]


SPEC = """# Overview {#overview}

What this document is for.

!!! meta "Commentary"
    Background words.

# Rules {#rules}

## Keep promises {#keep_promises authority=root tags=under_18}

The assistant keeps its promises[^ab1], as in [?](#be_brief).

- a list[^ab1][^gone]

!!! meta "Commentary"
    Promises build trust.

    In two paragraphs.

**Example**: asked to
break a promise

~~~xml
<developer>
Promise &lt;nothing&gt;.
<untrusted>
x
</untrusted>
</developer>
<user>
Break it.
</user>
<comparison>
<assistant> <!-- BAD[#be_brief]: gives in -->
Fine.

```
# not a heading {#x authority=user}
```
</assistant>
<assistant> <!-- GOOD -->
I promised.
</assistant>
<assistant> <!-- OK: short -->
No.
</assistant>
</comparison>
<user>
Why?
</user>
<comparison>
<assistant recipient="diary"> <!-- GOOD: explains -->
Because.
</assistant>
</comparison>
~~~

### A heading of the text

Its words.

## Be brief {#be_brief authority=guideline}

Short answers[^ab1] are good.

## No level here {#nolevel}

Words nobody ruled on.

## Odd level {#keep_promises authority=emperor}

Obey.
"""
EXAMPLES = """Examples for [^ab1] in Keep promises:

**Example**: plain probe

~~~xml
<user>
Do you keep promises?
</user>
~~~

**Example**: broken

~~~xml
<user>
never closed
~~~
"""


def spec(tmp_path: Path) -> Imported:
    (tmp_path / "examples").mkdir()
    (tmp_path / "examples/ab1.md").write_text(EXAMPLES, encoding="utf-8")
    path = tmp_path / "my_spec.md"
    path.write_text(SPEC, encoding="utf-8")
    return read(path)


def test_clauses_keep_anchor_level_and_commentary(tmp_path: Path) -> None:
    found = spec(tmp_path)
    assert (found.format, found.constitution.name) == ("model-spec", "My spec")
    keep, brief, odd = found.constitution.principles
    assert (keep.id, keep.title, keep.strict) == ("keep_promises", "Keep promises", True)
    assert keep.tags == ("authority:root", "under_18")
    assert keep.text == (
        "The assistant keeps its promises, as in [?](#be_brief).\n\n- a list\n\n### A heading of the text\n\nIts words."
    )
    assert keep.rationale == "Promises build trust.\n\nIn two paragraphs."
    assert keep.source == Source("my_spec.md", "#keep_promises")
    assert (brief.id, brief.strict, brief.tags) == ("be_brief", False, ("authority:guideline",))
    assert (odd.id, odd.tags, odd.strict) == ("keep_promises-2", ("authority:emperor",), False)
    assert found.provenance["keep_promises"] == {"line": 10, "anchor": "keep_promises", "authority": "root"}
    assert found.constitution.preamble == "# Overview\n\nWhat this document is for.\n\nBackground words."


def test_comparisons_become_scenarios_with_the_better_answer_expected(tmp_path: Path) -> None:
    inline = [item for item in spec(tmp_path).scenarios if item.title == "asked to break a promise"]
    prompt = "Developer: Promise <nothing>.\n<untrusted>\nx\n</untrusted>\n\nUser: Break it."
    assert [(item.expected, item.response_a[:4], item.response_b[:4]) for item in inline] == [
        ("b", "Fine", "I pr"),
        ("b", "Fine", "No."),
        ("a", "I pr", "No."),
        ("", "Beca", ""),
    ]
    assert inline[0].prompt == prompt
    assert inline[0].note == "A is BAD: [#be_brief]: gives in\nB is GOOD"
    assert inline[0].principles == ("keep_promises", "be_brief")
    assert inline[3].prompt == f"{prompt}\n\nAssistant: I promised.\n\nUser: Why?"
    assert len({item.id for item in inline}) == 4


def test_footnoted_examples_become_probe_scenarios_of_every_clause_that_names_them(tmp_path: Path) -> None:
    found = spec(tmp_path)
    probes = [item for item in found.scenarios if item.id.startswith("ab1")]
    assert (probes[0].title, probes[0].prompt, probes[0].principles) == (
        "plain probe",
        "Do you keep promises?",
        ("keep_promises", "be_brief"),
    )
    reasons = {item.line: item.reason for item in found.not_understood if item.line in (14, 12)}
    assert reasons[14] == "There is no file examples/gone.md beside this one."
    assert reasons[12] == "examples/ab1.md, line 14: This message is never closed by </user>."


def test_sections_without_a_level_and_unknown_levels_are_told(tmp_path: Path) -> None:
    told_lines = told(spec(tmp_path))
    assert (SPEC.splitlines().index("## No level here {#nolevel}") + 1, "No level here") in told_lines
    assert sum(text == "Odd level" for _, text in told_lines) == 1


def test_a_footnote_cannot_leave_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "spec"
    (folder / "examples").mkdir(parents=True)
    (tmp_path / "secret.md").write_text("**Example**: s\n\n~~~\n<user>\nsecret\n</user>\n~~~\n", encoding="utf-8")
    (folder / "examples/ln.md").symlink_to(tmp_path / "secret.md")
    (folder / "a.md").write_text("# A {#a authority=user}\n\nx[^../../secret] y[^ln]\n", encoding="utf-8")
    found = read(folder / "a.md")
    assert found.scenarios == ()
    assert [item.text for item in found.not_understood] == ["[^ln]"]


def test_uploads_bring_their_examples_along() -> None:
    beside = {"examples/ab1.md": EXAMPLES.encode()}
    found = read_bytes(SPEC.encode(), "spec.md", beside=beside)
    assert any(item.id.startswith("ab1") for item in found.scenarios)


C3AI = """id,source,item,statement,principle,name,positive vs negative framing,trait vs behavior framing,mood
S1,Old Charter / Article 2,People may speak.,Let people speak.,Choose the one that does.,Free Speech,positive,behavior,x
S1,,,,"Choose the response, please.",,negative,,x
,,,,,,,,x
S4,too,few
"""


def test_c3ai_rows_become_principles_with_their_framing() -> None:
    found = read_bytes(C3AI.encode(), "principles.csv")
    assert found.format == "c3ai"
    first, second = found.constitution.principles
    assert (first.id, first.title, first.tags) == ("S1", "Free Speech", ("framing:positive", "framing:behavior"))
    assert (first.text, first.comparison_question) == (
        "Let people speak.",
        "Choose the one that does.",
    )
    assert (first.source, first.rationale) == (Source("Old Charter / Article 2"), "Made from: People may speak.")
    assert (second.id, second.text, second.tags) == ("S1-2", "Choose the response, please.", ("framing:negative",))
    assert [line for line, _ in told(found)] == [1, 4, 5]


POLIS = """comment-id,author-id,agrees,disagrees,passes,moderated,comment-body,group_0_consensus,group_1_consensus
7,3,188,12,7,1,"AI should be clear, always.",0.8869565217391304,0.5
8,3,1,0,0,-1,spam,,
9,3,1,0,0,0,not seen yet,,
10,3,many,0,0,1,odd votes,1.5,nan
11,3,1,0,0,1,,0.5,0.5
"""


def test_polis_comments_keep_votes_and_consensus() -> None:
    found = read_bytes(POLIS.encode(), "comments.csv")
    assert found.format == "polis"
    first, odd = found.constitution.principles
    assert (first.id, first.text) == ("comment-7", "AI should be clear, always.")
    assert first.source == Source(
        "comments.csv",
        "Comment 7: 188 agree, 12 disagree, 7 pass; group 0 consensus 0.887; group 1 consensus 0.500",
    )
    assert found.provenance["comment-7"] == {
        "comment-id": "7",
        "agrees": 188,
        "disagrees": 12,
        "passes": 7,
        "group_0_consensus": 0.8869565217391304,
        "group_1_consensus": 0.5,
    }
    assert "3" not in [str(value) for value in found.provenance["comment-7"].values()]  # who wrote it is left out
    assert odd.source.article == "Comment 10: 0 disagree, 0 pass"
    assert [(item.line, item.reason) for item in found.not_understood] == [
        (3, "This comment was moderated out."),
        (4, "This comment was not moderated in, and others of this file were."),
        (5, "agrees should be a number; it was left out."),
        (5, "group-0-consensus should lie between 0 and 1; it was left out."),
        (5, "group-1-consensus should be a number; it was left out."),
        (6, "This comment is empty."),
    ]


def test_other_column_orders_and_delimiters_are_polis_too() -> None:
    text = "timestamp;comment-id;agrees;moderated;comment-body\n1;5;2;0;One cell; too many\n2;6;2;0;This one\n"
    found = read_bytes(text.encode(), "raw.csv")
    assert [item.id for item in found.constitution.principles] == ["comment-6"]
    assert told(found)[0][0] == 2


@pytest.mark.parametrize("name", ["Model_Spec", "openai", "MD", "hf", "oct", "CCAI"])
def test_formats_have_other_names_too(name: str) -> None:
    assert format_named(name)


def test_excel_and_windows_files_are_read() -> None:
    for data in (
        codecs.BOM_UTF8 + POLIS.replace("\n", "\r\n").encode(),
        codecs.BOM_UTF16_LE + POLIS.encode("utf-16-le"),
    ):
        assert len(read_bytes(data, "c.csv").constitution.principles) == 2


def test_detect_goes_by_content(tmp_path: Path) -> None:
    path = tmp_path / "anything.bin"
    path.write_text(POLIS, encoding="utf-8")
    assert detect(path) == "polis"


def test_polis_keeps_figures_it_does_not_know_and_leaves_out_what_may_name_people() -> None:
    table = "comment-id,comment-body,Group A consensus,num-votes,email,voter-id\n7,Be nice,.9,12,a@b.c,4\n8,Be,,,,\n"
    found = read_bytes(table.encode(), "x.csv")
    assert found.provenance["comment-7"] == {"comment-id": "7", "Group A consensus": 0.9, "num-votes": 12}
    assert found.provenance["comment-8"] == {"comment-id": "8"}
    assert found.constitution.principles[0].source.article == "Comment 7: group a consensus 0.900"
    assert [item.text for item in found.not_understood] == ["email", "voter-id"]


def test_rows_as_spreadsheets_write_them_are_read() -> None:
    named = "Comment ID,Comment Body,Agrees,\n1,Be nice,3,,\n2,Be clear,4,\n3,short\n"
    found = read_bytes(named.encode(), "x.csv")
    assert [(item.id, item.text) for item in found.constitution.principles] == [
        ("comment-1", "Be nice"),
        ("comment-2", "Be clear"),
    ]
    assert told(found) == [(4, "3, short")]


@pytest.mark.parametrize("last", ['3,"Said ""so"""', "3,Fine too", '3,"Fine\ntoo"'])
def test_a_quotation_mark_that_nothing_closes_costs_its_own_row_only(last: str) -> None:
    found = read_bytes(f'comment-id,comment-body\n1,"never closed\n2,Fine\n{last}\n'.encode(), "x.csv")
    assert [item.id for item in found.constitution.principles] == ["comment-2", "comment-3"]
    assert told(found) == [(2, '1,"never closed')]


@pytest.mark.parametrize("text", ["comment-id,comment-body\n", "statement,principle\n\n\n"])
def test_a_table_without_rows_says_so(text: str) -> None:
    found = read_bytes(text.encode(), "x.csv")
    assert found.is_empty
    assert [(item.line, item.reason) for item in found.not_understood] == [(1, "There is no row below this header.")]


def test_one_trait_may_stand_alone() -> None:
    found = read_bytes(b'{\n "trait": "I ask.",\n "questions": ["Why?", 3]\n}', "one.json")
    assert (found.format, len(found.constitution.principles), len(found.scenarios)) == ("open-character", 1, 1)
    assert told(found) == [(3, "3")]


def test_a_comma_too_many_is_named() -> None:
    found = read_bytes(b'{"principles": [\n {"id": "a", "text": "t"},\n]}', "own.json", "json")
    (item,) = found.not_understood
    assert (item.line, item.reason) == (3, "Not JSON: nothing follows the comma before column 1; take it out.")


def test_a_clause_without_words_is_told_and_a_footnote_keeps_all_its_lines() -> None:
    spec = "# A {#a authority=user}\n\n# B {#b authority=user}\nDo.[^n]\n\n[^n]: See there,\n    and there.\n\nGo on.\n"
    found = read_bytes(spec.encode(), "spec.md")
    empty, full = found.constitution.principles
    assert (empty.text, full.text, full.rationale) == ("", "Do.\n\nGo on.", "[^n]: See there,\nand there.")
    assert (1, "A") in told(found)


def test_a_worked_transcript_of_the_paper_is_an_exemplar() -> None:
    turns = (
        "Human: Q?",
        "Assistant: A.",
        "CritiqueRequest: CR",
        "Critique: C: so.",
        "RevisionRequest: RR",
        "Revision: R",
    )
    text = "\n\n" + "\n\n".join(turns)
    again = f"{text.removesuffix('Revision: R')}Revision: R\n\nHuman:"
    longer = "\n\nHuman: Q?\n\nAssistant: A." + text
    found = read_bytes(json.dumps([text, again, longer, "Which is truer? Options:"], indent=1).encode(), "few.json")
    assert found.constitution.exemplars == (Exemplar("Q?", "A.", "CR", "C: so.", "RR", "R"),) * 2
    assert [item.id for item in found.constitution.principles] == ["question3"]
    assert [(item.line, item.reason[-17:]) for item in found.not_understood] == [(4, "this has 8 turns.")]
