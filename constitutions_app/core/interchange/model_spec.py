"""OpenAI's Model Spec Markdown: clauses with anchors and levels of authority, and footnoted test prompts.

A heading such as `## Title {#anchor authority=root tags=under_18}` opens a clause. A clause with a level of authority
becomes a principle (root, platform and system are strict, the levels below are defaults), and so does one without a
level that a footnote ties to test prompts. Commentary blocks become the rationale. What stands before the first clause
is background and becomes the preamble; later sections without a level are reported.

Examples become scenarios (`model_spec_examples.py`): those written into a clause, and those of the file
`examples/<tag>.md` for every footnote `[^tag]` in its words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from constitutions_app.core.interchange.documents import Document, document
from constitutions_app.core.interchange.imported import Found, Provenance
from constitutions_app.core.interchange.model_spec_examples import Example, scenarios_of
from constitutions_app.core.interchange.naming import MAX_ARTICLE, MAX_DOCUMENT, MAX_TAG, MAX_TITLE, Ids, short
from constitutions_app.core.principles import Principle, Source, normalise
from constitutions_app.core.scenarios import Scenario

STRICT_LEVELS = ("root", "platform", "system")
LEVELS = (*STRICT_LEVELS, "developer", "user", "guideline")

_MAX_TAGS = 2000

_HEADING = re.compile(r"(#{1,6})[ \t]+(.*)")
_ATTRIBUTE = re.compile(r"#(?P<anchor>[^\s}]+)|(?P<name>[\w-]+)=(?P<value>\"[^\"]*\"|'[^']*'|\S+)|(?P<other>\S+)")
_FENCE = re.compile(r" {0,3}(~{3,}|`{3,})(.*)")
_EXAMPLE = re.compile(r"\*\*Example(?::\*\*|\*\*:?)[ \t]*(.*)")
_ADMONITION = re.compile(r"(?:!!!|\?\?\?\+?)[ \t]+\w+.*")
_FOOTNOTE = re.compile(r"\[\^([A-Za-z0-9_-]{1,64})\](?!:)")
_DEFINITION = re.compile(r"\[\^([A-Za-z0-9_-]{1,64})\]:[ \t]*(.*)")


@dataclass
class Section:
    """A heading with its anchor and attributes, and what stands below it up to the next such heading."""

    line: int
    depth: int
    title: str
    anchor: str = ""
    authority: str = ""
    tags: list[str] = field(default_factory=list)
    text: list[str] = field(default_factory=list)
    commentary: list[str] = field(default_factory=list)
    examples: list[Example] = field(default_factory=list)
    footnotes: dict[str, int] = field(default_factory=dict)
    """Each footnote's tag and the line where it first stands."""

    @property
    def is_clause(self) -> bool:
        """Whether the section states a rule: it has a level of authority, or test prompts are tied to it."""
        return bool(self.authority or self.footnotes)


class _Heading(NamedTuple):
    depth: int
    title: str
    attributes: str


def looks_like(document: Document) -> bool:
    """Whether a heading outside fenced blocks carries an anchor or a level of authority."""
    return any(
        (heading := _heading(line)) and re.search(r"(^|\s)(#\S+|authority=)", heading.attributes)
        for _, line, fenced in _with_fences(document)
        if not fenced
    )


def read(document: Document) -> Found:
    """What the document says; the rest stands in its remarks."""
    sections = _sections(document)
    if not any(section.is_clause for section in sections):
        document.remarks.add(
            1, document.name, "No heading of this file has a level of authority, as in {#anchor authority=user}."
        )
    principles, provenance, owners = _principles(document, sections)
    return Found(
        preamble=_preamble(sections),
        principles=tuple(principles),
        scenarios=tuple(_scenarios(document, sections, owners)),
        provenance=provenance,
    )


def read_examples(document: Document) -> list[Example]:
    """The examples of a document that holds nothing else, such as `examples/<tag>.md`."""
    whole = Section(line=1, depth=0, title="")
    _fill(document, whole, list(enumerate(document.lines, start=1)))
    return whole.examples


def _with_fences(document: Document) -> Iterator[tuple[int, str, bool]]:
    """Every line with its number and whether it belongs to a fenced block."""
    fence = ""
    for number, line in enumerate(document.lines, start=1):
        mark = _FENCE.fullmatch(line)
        if fence:
            yield number, line, True
            if mark and mark[1].startswith(fence) and not mark[2].strip():
                fence = ""
        else:
            fence = mark[1] if mark else ""
            yield number, line, bool(mark)


def _sections(document: Document) -> list[Section]:
    """The document cut at the headings that carry attributes; the first section may be untitled."""
    sections = [Section(line=1, depth=0, title="")]
    body: list[tuple[int, str]] = []
    for number, line, fenced in _with_fences(document):
        heading = None if fenced else _heading(line)
        if heading is None:
            body.append((number, line))
            continue
        _fill(document, sections[-1], body)
        body = []
        sections.append(_opened(document, number, heading))
    _fill(document, sections[-1], body)
    return [section for section in sections if section.title or any(line.strip() for line in section.text)]


def _heading(line: str) -> _Heading | None:
    """A heading that ends in attributes, such as `## Title {#anchor authority=user}`; None for any other line."""
    match = _HEADING.fullmatch(line)
    if match is None or not (rest := match[2].rstrip(" \t#")).endswith("}") or "{" not in rest:
        return None
    title, _, attributes = rest[:-1].rpartition("{")
    return _Heading(len(match[1]), title.strip(), attributes)


def _opened(document: Document, number: int, heading: _Heading) -> Section:
    section = Section(line=number, depth=heading.depth, title=heading.title)
    for attribute in _ATTRIBUTE.finditer(heading.attributes):
        value = (attribute["value"] or "").strip("\"'")
        if attribute["anchor"]:
            section.anchor = section.anchor or attribute["anchor"]
        elif attribute["name"] == "authority":
            section.authority = value.lower()
            if section.authority not in LEVELS:
                reason = (
                    f"{value!r} is no known level of authority ({', '.join(LEVELS)}); the clause was kept as a default."
                )
                document.remarks.add(number, section.title, reason)
        elif attribute["name"] in ("tags", "tag"):
            section.tags += [tag for tag in value.split(",") if tag]
        else:
            document.remarks.add(
                number, attribute.group(), "A heading carries an anchor, a level of authority and tags only."
            )
    return section


def _fill(document: Document, section: Section, body: list[tuple[int, str]]) -> None:
    """Sort the lines below a heading into words of the rule, commentary and examples."""
    at = 0
    while at < len(body):
        number, line = body[at]
        if example := _EXAMPLE.fullmatch(line):
            at = _take_example(document, section, body, at, example[1])
        elif _FENCE.fullmatch(line):
            end = _fence_end(body, at)
            block = body[at:end]
            if _is_dialogue(block):
                section.examples.append(Example(number, "", tuple(block[1:-1])))
            else:
                section.text += [text for _, text in block]
            _check_closed(document, body, at, end)
            at = end
        elif _ADMONITION.fullmatch(line):
            at = _take_indented(section.commentary, body, at + 1)
        elif definition := _DEFINITION.fullmatch(line):
            section.commentary.append(f"[^{definition[1]}]: {definition[2]}")
            at += 1
            while at < len(body) and body[at][1].startswith(("    ", "\t")) and body[at][1].strip():
                section.commentary.append(body[at][1].strip())
                at += 1
        else:
            for tag in _FOOTNOTE.findall(line):
                section.footnotes.setdefault(tag, number)
            section.text.append(_FOOTNOTE.sub("", line))
            at += 1


def _take_example(document: Document, section: Section, body: list[tuple[int, str]], at: int, title: str) -> int:
    """Read `**Example**: title` and the fenced dialogue below it; without one the lines stay words of the rule."""
    number, line = body[at]
    after = at + 1
    # A long title goes on in the next lines; where more than a few follow, they are a paragraph.
    while after < min(len(body), at + 4) and body[after][1].strip() and not _FENCE.fullmatch(body[after][1]):
        title += " " + body[after][1].strip()
        after += 1
    while after < len(body) and not body[after][1].strip():
        after += 1
    if after == len(body) or not _FENCE.fullmatch(body[after][1]):
        document.remarks.add(
            number, line, "No fenced dialogue follows this example; it was left among the words of the rule."
        )
        section.text.append(line)
        return at + 1
    end = _fence_end(body, after)
    _check_closed(document, body, after, end)
    section.examples.append(Example(number, title.strip(), tuple(body[after + 1 : end - 1])))
    return end


def _fence_end(body: list[tuple[int, str]], at: int) -> int:
    """The index after the line that closes the fence opened at `at`; the end of the body when nothing closes it."""
    opening = _FENCE.fullmatch(body[at][1])
    mark = opening[1] if opening else "~~~"
    for index in range(at + 1, len(body)):
        closing = _FENCE.fullmatch(body[index][1])
        if closing and closing[1].startswith(mark) and not closing[2].strip():
            return index + 1
    return len(body)


def _check_closed(document: Document, body: list[tuple[int, str]], at: int, end: int) -> None:
    number, line = body[at]
    closing = _FENCE.fullmatch(body[end - 1][1]) if end - 1 > at else None
    if closing is None or closing[2].strip():
        document.remarks.add(number, line, "This fence is never closed.")


def _is_dialogue(block: list[tuple[int, str]]) -> bool:
    return any(re.match(r"<(comparison|user|assistant|developer|system)\b", line) for _, line in block[1:])


def _take_indented(kept: list[str], body: list[tuple[int, str]], at: int) -> int:
    """Collect the lines indented below an admonition, without their indentation."""
    if kept:
        kept.append("")
    while at < len(body) and (not body[at][1].strip() or body[at][1].startswith(("    ", "\t"))):
        line = body[at][1]
        kept.append(line[4:] if line.startswith("    ") else line.lstrip("\t"))
        at += 1
    return at


def _principles(
    document: Document, sections: list[Section]
) -> tuple[list[Principle], dict[str, Provenance], list[tuple[Section, str]]]:
    """The clauses as principles, what is known of each, and which section became which principle."""
    ids = Ids()
    principles: list[Principle] = []
    provenance: dict[str, Provenance] = {}
    owners: list[tuple[Section, str]] = []
    anchors: set[str] = set()
    seen_clause = False
    for section in sections:
        if not section.is_clause:
            if seen_clause and any(line.strip() for line in [*section.text, *section.commentary]):
                reason = "This section has no level of authority and no test prompts; it is no rule and was left out."
                document.remarks.add(section.line, section.title, reason)
            for example in section.examples:
                document.remarks.add(
                    example.line, example.title, "This example stands outside any rule and tests none."
                )
            continue
        seen_clause = True
        if section.anchor in anchors:
            document.remarks.add(
                section.line, section.anchor, "This anchor stands here a second time; the id got a number."
            )
        anchors |= {section.anchor} - {""}
        principle = _principle(document, section, ids)
        if not principle.text:
            reason = "This clause has a level of authority but no words of its own; write them before you publish."
            document.remarks.add(section.line, section.title, reason)
        principles.append(principle)
        owners.append((section, principle.id))
        provenance[principle.id] = {"line": section.line, "anchor": section.anchor, "authority": section.authority}
    return principles, provenance, owners


def _principle(document: Document, section: Section, ids: Ids) -> Principle:
    tags = [f"authority:{section.authority}"] if section.authority else []
    return Principle(
        id=ids.keep(section.anchor, "") if section.anchor else ids.from_text(section.title, f"line-{section.line}"),
        title=short(normalise(section.title), MAX_TITLE),
        text=_joined(section.text),
        rationale=_joined(section.commentary),
        source=Source(
            document=short(document.name, MAX_DOCUMENT),
            article=short(f"#{section.anchor}" if section.anchor else section.title, MAX_ARTICLE),
        ),
        tags=tuple(dict.fromkeys(short(normalise(tag), MAX_TAG) for tag in [*tags, *section.tags])),
        strict=section.authority in STRICT_LEVELS,
    )


def _preamble(sections: list[Section]) -> str:
    """The background before the first clause, with its headings."""
    parts: list[str] = []
    for section in sections:
        if section.is_clause:
            break
        body = "\n\n".join(part for part in (_joined(section.text), _joined(section.commentary)) if part)
        heading = [f"{'#' * section.depth} {section.title}"] if section.title else []
        parts += [*heading, body] if body else []
    return normalise("\n\n".join(parts))


def _joined(lines: list[str]) -> str:
    return re.sub(r"\n{3,}", "\n\n", normalise("\n".join(line.rstrip() for line in lines)))


def _scenarios(document: Document, sections: list[Section], owners: list[tuple[Section, str]]) -> Iterator[Scenario]:
    ids = Ids()
    by_anchor = {section.anchor: principle_id for section, principle_id in owners if section.anchor}
    by_tag: dict[str, list[str]] = {}
    lines: dict[str, int] = {}
    for section, principle_id in owners:
        for example in section.examples:
            yield from scenarios_of(document, example, principle_id, (principle_id,), by_anchor, ids)
        for tag, line in section.footnotes.items():
            by_tag.setdefault(tag, []).append(principle_id)
            lines.setdefault(tag, line)
    for tag in list(by_tag)[_MAX_TAGS:]:
        document.remarks.add(lines[tag], f"[^{tag}]", f"Only the first {_MAX_TAGS} footnotes are followed.")
        del by_tag[tag]
    for tag, principle_ids in by_tag.items():
        yield from _footnoted(document, tag, lines[tag], tuple(principle_ids), by_anchor, ids)


def _footnoted(
    source: Document, tag: str, line: int, principle_ids: tuple[str, ...], by_anchor: dict[str, str], ids: Ids
) -> Iterator[Scenario]:
    """The scenarios of the example file that a footnote names; its problems are told at the footnote's line."""
    path = f"examples/{tag}.md"
    data = source.beside(path)
    if data is None:
        source.remarks.add(line, f"[^{tag}]", f"There is no file {path} beside this one.")
        return
    file = document(data, path)
    examples = read_examples(file)
    for example in examples:
        yield from scenarios_of(file, example, tag, principle_ids, by_anchor, ids)
    if not examples:
        file.remarks.add(0, tag, "no example was found.")
    for remark in file.remarks.items:
        source.remarks.add(line, remark.text or f"[^{tag}]", f"{path}, line {remark.line}: {remark.reason}")
