"""The texts of items beside their ids and figures, as further columns of the lines of an export.

What is needed to judge how harmful the texts of a line are (its prompt's tags, and whether it was written to provoke)
stands before the line, so that only lines whose texts are kept back must be read.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence

BLOCK = 2**18
"""Bytes handed on at once, at least."""
SEPARATOR = b"\x02"

Veiled = Callable[[Sequence[str], bool], tuple[int, bool]]
"""Tags of the prompt, and whether it was written to provoke → severity from 0 to 3, and whether texts are veiled."""

_CITED = (
    "principle.title AS principle_title, principle.text AS principle_text, constitution.slug AS constitution, "
    "version.number AS version_number"
)
_VERSIONS = (
    " LEFT JOIN constitutions_app_version AS version ON version.id = {version} "
    "LEFT JOIN constitutions_app_constitution AS constitution ON constitution.id = version.constitution_id"
)
_PROMPTS = (
    " LEFT JOIN training_app_prompt AS prompt ON prompt.id = {prompt} "
    "LEFT JOIN training_app_promptset AS prompts ON prompts.id = prompt.prompt_set_id"
)
_PAIR = "pair.prompt_text AS prompt, pair.messages, pair.response_a, pair.response_b"
_PAIR_JOINED = " JOIN training_app_comparison AS pair ON pair.id = item.comparison_id"
_BEFORE = (
    "coalesce(nullif((SELECT earlier.revision FROM training_app_tracestep AS earlier WHERE earlier.trace_id = "
    "{step}.trace_id AND earlier.round = {step}.round - 1), ''), trace.initial_response) AS before, "
    "{step}.critique, {step}.revision"
)
_THOUGHTS = (
    "(SELECT array_agg(vote ->> 'thoughts') FROM jsonb_array_elements(item.votes) AS vote WHERE vote ? 'thoughts') "
    "AS thoughts"
)
_IS_CHAT = "coalesce(pair.source = 'chat', false)"

COLUMNS = {
    "label": f"{_PAIR}, item.question, {_THOUGHTS}, {_CITED}",
    "step": f"prompt.text AS prompt, prompt.messages, {_BEFORE.format(step='item')}, {_CITED}",
    "comparison": "item.prompt_text AS prompt, item.messages, item.response_a, item.response_b, "
    "constitution.slug AS constitution, version.number AS version_number",
    "audit": "coalesce(pair.prompt_text, prompt.text) AS prompt, coalesce(pair.messages, prompt.messages) AS messages, "
    f"pair.response_a, pair.response_b, {_BEFORE.format(step='step')}, {_CITED}",
}
"""What stands in a line after the ids and figures of an item of a kind."""
JOINS = {
    "label": _PAIR_JOINED + _PROMPTS.format(prompt="pair.prompt_id") + _VERSIONS.format(version="run.version_id"),
    "step": _PROMPTS.format(prompt="trace.prompt_id") + _VERSIONS.format(version="principle.version_id"),
    "comparison": _PROMPTS.format(prompt="item.prompt_id") + _VERSIONS.format(version="run.version_id"),
    "audit": " LEFT JOIN training_app_ailabel AS label ON label.id = item.label_id "
    "LEFT JOIN training_app_run AS run ON run.id = label.run_id "
    "LEFT JOIN training_app_comparison AS pair ON pair.id = label.comparison_id "
    "LEFT JOIN training_app_tracestep AS step ON step.id = item.step_id "
    "LEFT JOIN training_app_trace AS trace ON trace.id = step.trace_id "
    "LEFT JOIN constitutions_app_principleversion AS principle "
    "ON principle.id = coalesce(label.principle_id, step.principle_id)"
    + _PROMPTS.format(prompt="coalesce(pair.prompt_id, trace.prompt_id)")
    + _VERSIONS.format(version="coalesce(principle.version_id, run.version_id)"),
}
"""Where they come from, beside what ids and figures need."""
_CHAT = {
    "label": _IS_CHAT,
    "step": "false",
    "comparison": "item.source = 'chat'",
    "audit": _IS_CHAT,
}
TEXTS = {
    "label": ("prompt", "messages", "response_a", "response_b", "thoughts"),
    "step": ("prompt", "messages", "before", "critique", "revision"),
    "comparison": ("prompt", "messages", "response_a", "response_b"),
    "audit": ("prompt", "messages", "response_a", "response_b", "before", "critique", "revision"),
}
"""The columns that are kept back where the prompt is veiled. What principles say and people comment stays."""


def harm_of(kind: str) -> str:
    """The column that says what is known of how harmful an item's texts are: ``[written to provoke, [tag, …]]``."""
    provokes = f"coalesce(prompts.kind = 'red_team', false) OR {_CHAT[kind]}"
    return f"json_build_array({provokes}, coalesce(prompt.tags, '{{}}'))::text"


def unveiled(kind: str, blocks: Iterable[bytes], veiled: Veiled) -> Iterator[bytes]:
    """Blocks of whole lines: each with its severity and whether its texts are veiled, and then without them."""
    kept, endings = bytearray(), dict[bytes, tuple[bytes, bool]]()
    for line in whole_lines(blocks):
        harm, _, told = line.partition(SEPARATOR)
        if harm not in endings:
            provokes, tags = json.loads(harm)
            severity, hides = veiled(tags, provokes)
            endings[harm] = f',"severity":{severity},"veiled":{json.dumps(hides)}}}\n'.encode(), hides
        ending, hides = endings[harm]
        kept += (_without_texts(kind, told) if hides else told).rstrip()[:-1] + ending
        if len(kept) >= BLOCK:
            yield bytes(kept)
            kept.clear()
    yield bytes(kept)


def whole_lines(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """The lines of blocks that break anywhere, each with its line break."""
    begun = b""
    for block in blocks:
        lines = (begun + block).split(b"\n")
        begun = lines.pop()
        yield from (line + b"\n" for line in lines)
    if begun:
        yield begun


def _without_texts(kind: str, line: bytes) -> bytes:
    row = json.loads(line)
    return json.dumps(row | dict.fromkeys(TEXTS[kind]), ensure_ascii=False, separators=(",", ":")).encode()
