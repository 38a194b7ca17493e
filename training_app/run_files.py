"""A run's configuration as a YAML file: taken away from one run, read into the launch form for the next.

The file holds what a launch is told and no more: who answers, which words and prompts, and every option by its stage.
Digests say which words, weights and prompts were meant, so that a name that means something else here is noticed.
Reading never stops at the first fault: every line that says something unusable is named, the others count.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from training_app.options import Option, all_options

LARGEST = 100_000
"""Characters; a whole file has some 3,000."""

NAMED = ("version", "base_model", "generator", "judge", "preset", "arms")
"""What is chosen by name. A file may also say `also` (versions to compare with), `expects` (of which side what),
`prompt_sets`, `seed`, `seeds`, `name`, `digests` and `options`."""

TOP = (*NAMED, "also", "expects", "prompt_sets", "seed", "seeds", "name", "digests", "options")
NUMBERS = {"seed": (0, 2**31 - 1), "seeds": (1, 16)}
"""Whole numbers, with the least and the most they may be."""


@dataclass(frozen=True)
class Fault:
    """One thing in a file that cannot be used, and why. Lines count from 1; `key` is "" for the file as a whole."""

    line: int
    key: str
    words: str


@dataclass(frozen=True)
class Offered:
    """What can be chosen here: names by key of the file, and the digests of prompt sets and versions by name."""

    names: Mapping[str, Collection[str]]
    prompt_sets: Mapping[str, str]
    versions: Mapping[str, str]


@dataclass
class RunFile:
    """What a file says as far as it can be used: choices by key, options by path ("rl.beta"), and its faults."""

    choices: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    base_model_digest: str = ""
    base_model_line: int = 0


def write_run_file(
    choices: Mapping[str, Any], config: Mapping[str, Any], digests: Mapping[str, Any], *, title: str
) -> str:
    """The file's text: choices by key, a configuration as plain data, and the digests of what was chosen."""
    data: dict[str, Any] = {key: choices[key] for key in TOP if choices.get(key) not in (None, "", [])}
    data |= {"digests": dict(digests), "options": dict(config)}
    head = f"# {title}\n# The launch form reads it under “As a file”.\n"
    return head + yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=100)


def read_run_file(text: str, offered: Offered) -> RunFile:
    """What the text says, and every fault of it in the order of its lines. Never raises for what people typed."""
    read = RunFile()
    try:
        top = _root(text)
    except _Unreadable as error:
        read.faults.append(error.fault)
        return read
    known = {option.path: option for option in all_options()}
    said = dict(_pairs(top, "", read.faults))
    digests = said.pop("digests", None)
    for key, node in said.items():
        if key == "options":
            _read_options(node, "", known, read)
        elif key in TOP:
            _read_choice(key, node, offered, read)
        else:
            read.faults.append(Fault(_line(node), key, f"There is no such key; known are {', '.join(TOP)}."))
    if digests is not None:  # last, for they are held against what was chosen
        _check_digests(digests, offered, read)
    read.faults.sort(key=lambda fault: fault.line)
    return read


class _Unreadable(Exception):
    def __init__(self, line: int, words: str) -> None:
        super().__init__(words)
        self.fault = Fault(line, "", words)


def _root(text: str) -> yaml.MappingNode:
    if len(text) > LARGEST:
        raise _Unreadable(1, f"The file has more than {LARGEST:,} characters; a run's configuration is far shorter.")
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise _Unreadable(mark.line + 1 if mark else 1, f"This is not YAML: {error.problem}.") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise _Unreadable(1, "This is not YAML that can be read.") from error
    if not isinstance(node, yaml.MappingNode):
        raise _Unreadable(1, "The file should say “key: value” line by line, such as “seed: 7”.")
    return node


def _pairs(node: yaml.Node, path: str, faults: list[Fault]) -> Iterator[tuple[str, yaml.Node]]:
    """The keys of a mapping with what they say; one that stands twice counts once, the first time."""
    if not isinstance(node, yaml.MappingNode):
        faults.append(Fault(_line(node), path, "This should hold keys of its own, each with a value."))
        return
    seen: set[str] = set()
    for key_node, value in node.value:
        key = key_node.value if isinstance(key_node, yaml.ScalarNode) else ""
        if not key or not _is_text(key):
            faults.append(Fault(_line(key_node), path, "A key should be a word."))
        elif key in seen:
            faults.append(Fault(_line(key_node), _join(path, key), "This stands twice; the first one counts."))
        else:
            seen.add(key)
            yield key, value


def _read_options(node: yaml.Node, path: str, known: Mapping[str, Option], read: RunFile) -> None:
    for key, value in _pairs(node, path or "options", read.faults):
        where = _join(path, key)
        if where in known:
            said, words = _scalar(value)
            words = words or _wrong(known[where], said)
            if words:
                read.faults.append(Fault(_line(value), where, words))
            else:
                read.options[where] = float(said) if isinstance(said, str) and known[where].kind is float else said
        elif any(option.startswith(f"{where}.") for option in known):
            _read_options(value, where, known, read)
        else:
            read.faults.append(Fault(_line(value), where, "There is no such option."))


def _read_choice(key: str, node: yaml.Node, offered: Offered, read: RunFile) -> None:
    if key in ("prompt_sets", "also"):
        _read_names(key, node, offered, read)
        return
    if key == "expects":
        _read_lines(key, node, read)
        return
    said, words = _scalar(node)
    if key in NUMBERS:
        least, most = NUMBERS[key]
        whole = isinstance(said, int) and not isinstance(said, bool) and least <= said <= most
        words = words or ("" if whole else f"It should be a whole number from {least} to {most}.")
    else:
        said = "" if said is None else str(said)
        if key == "name":
            words = words or ("" if len(said) <= 200 else "A name has at most 200 characters.")
        elif not words and said not in offered.names[key]:
            words = f"{said!r} is not here. {_choices(offered.names[key])}"
    if words:
        read.faults.append(Fault(_line(node), key, words))
        return
    read.choices[key] = said
    if key == "base_model":
        read.base_model_line = _line(node)


def _read_names(key: str, node: yaml.Node, offered: Offered, read: RunFile) -> None:
    """The names of prompt sets, or of the versions to compare with."""
    known, what, advice = offered.versions, "version", "Choose another."
    if key == "prompt_sets":
        known, what, advice = offered.prompt_sets, "prompt set", "Load it, or choose another."
    if not isinstance(node, yaml.SequenceNode):
        read.faults.append(Fault(_line(node), key, "This should be a list of names, “- everyday” a line."))
        return
    found: list[str] = []
    for one in node.value:
        said, words = _scalar(one)
        if words or str(said) not in known:
            words = words or f"There is no {what} {str(said)!r} here. {advice}"
            read.faults.append(Fault(_line(one), key, words))
        elif str(said) not in found:
            found.append(str(said))
    read.choices[key] = found


def _read_lines(key: str, node: yaml.Node, read: RunFile) -> None:
    """Lines of text, which the form reads when it is sent."""
    if not isinstance(node, yaml.SequenceNode):
        read.faults.append(Fault(_line(node), key, "This should be a list, “- 'side: more warmth'” a line."))
        return
    read.choices[key] = []
    for one in node.value:
        said, words = _scalar(one)
        if words or not isinstance(said, str):
            words = words or "This should be a text in quotes, such as “'side: more warmth'”."
            read.faults.append(Fault(_line(one), key, words))
        else:
            read.choices[key].append(" ".join(said.split()))


def _check_digests(node: yaml.Node, offered: Offered, read: RunFile) -> None:
    """Hold what was meant against what has the name here."""
    for key, value in _pairs(node, "digests", read.faults):
        if key == "prompt_sets":
            for slug, digest in _pairs(value, "digests.prompt_sets", read.faults):
                _compare(f"digests.prompt_sets.{slug}", digest, offered.prompt_sets.get(slug), "prompts", read)
        elif key == "version":
            chosen = read.choices.get("version", "")
            _compare("digests.version", value, offered.versions.get(chosen), "words", read)
        elif key == "base_model":
            said, _ = _scalar(value)
            read.base_model_digest, read.base_model_line = str(said or ""), _line(value)
        else:
            read.faults.append(Fault(_line(value), f"digests.{key}", "There is no such digest."))


def _compare(key: str, node: yaml.Node, here: str | None, what: str, read: RunFile) -> None:
    said, _ = _scalar(node)
    if here is not None and said != here:
        read.faults.append(
            Fault(_line(node), key, f"Under this name other {what} stand here than the file was written with.")
        )


def _scalar(node: yaml.Node) -> tuple[Any, str]:
    """A plain value and "", or None and what is wrong."""
    if not isinstance(node, yaml.ScalarNode):
        return None, "This should be one plain value."
    try:
        value = yaml.SafeLoader("").construct_object(node)
    except (yaml.YAMLError, ValueError, OverflowError):
        return None, "This value cannot be read."
    if isinstance(value, bytes) or not _is_text(node.value):
        return None, "This value cannot be read."
    return value, ""


def _is_text(value: str) -> bool:
    """Whether UTF-8 can hold it: YAML can spell half of a surrogate pair, which is no character."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _wrong(option: Option, said: Any) -> str:
    """Why a value cannot be an option's, "" when it can."""
    if said is None:
        return "" if option.optional else "It is empty, and has to say something."
    if option.kind is bool:
        return "" if isinstance(said, bool) else "It should be true or false."
    if option.choices:
        return "" if said in option.choices else f"It should be one of {', '.join(option.choices)}."
    if option.kind is str:
        return "" if isinstance(said, str) and len(said) <= 4000 else "It should be words, at most 4000 characters."
    number = _number(said, option.kind)
    if number is None:
        return "It should be a whole number." if option.kind is int else "It should be a number."
    if option.at_least is not None and number < option.at_least:
        return f"It should be at least {option.at_least:g}."
    if option.at_most is not None and number > option.at_most:
        return f"It should be at most {option.at_most:g}."
    return ""


def _number(said: Any, kind: type) -> float | None:
    """`said` as a number; "1e-5" too, which YAML 1.1 takes for a word."""
    if isinstance(said, bool) or (kind is int and not isinstance(said, int)):
        return None
    try:
        number = float(said)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _choices(names: Collection[str]) -> str:
    some = sorted(name for name in names if name)
    if not some:
        return "Nothing can be chosen for it here."
    return f"Here {'is' if len(some) == 1 else 'are'} {', '.join(some[:8])}{' and others' if len(some) > 8 else ''}."


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1
