"""Hugging Face's llm-swarm: `{"constitutions": [{"critic", "revision"}, ..], "system_chat": [[{role, content}, ..]]}`.

An older form is the bare list of pairs. A chat of six messages (question, answer, critic, critique, revision, revised
answer) is exactly an exemplar; other chats are reported. The format has no plain text for a rule: the revision request,
which says what is wanted, stands in for it, and the pair serves the revise stage only, as it did where it comes from.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from constitutions_app.core.interchange.documents import Document
from constitutions_app.core.interchange.imported import Found
from constitutions_app.core.interchange.located_json import Located, parse
from constitutions_app.core.interchange.naming import MAX_DOCUMENT, Ids, short, title_from
from constitutions_app.core.principles import Exemplar, Principle, Source, normalise

_TURNS = ("user", "assistant") * 3


def looks_like(value: Any) -> bool:
    """Whether parsed JSON has this format's shape."""
    pairs = value.get("constitutions") if isinstance(value, Mapping) else value
    if not isinstance(pairs, list):
        return False
    if isinstance(value, Mapping):
        return True
    return any(isinstance(pair, Mapping) and "critic" in pair and "revision" in pair for pair in pairs)


def read(document: Document) -> Found:
    """What the document says; the rest stands in its remarks."""
    located = parse(document)
    if located is None:
        return Found()
    remarks, value = document.remarks, located.value
    if not looks_like(value):
        remarks.add(1, value, "This is not llm-swarm's format: there is no list of critic and revision pairs.")
        return Found()
    inside: tuple[str, ...] = ("constitutions",) if isinstance(value, Mapping) else ()
    pairs = value["constitutions"] if isinstance(value, Mapping) else value
    chats: Any = value.get("system_chat") if isinstance(value, Mapping) else None
    if isinstance(value, Mapping):
        for name in value.keys() - {"constitutions", "system_chat"}:
            remarks.add(located.line(name), name, f"The llm-swarm format has no part {name!r}.")
    return Found(
        principles=_principles(document, located, pairs, inside),
        exemplars=_exemplars(document, located, chats),
    )


def _principles(
    document: Document, located: Located, pairs: list[Any], inside: tuple[str, ...]
) -> tuple[Principle, ...]:
    ids, found = Ids(), []
    for index, pair in enumerate(pairs):
        line = located.line(*inside, index)
        texts = {name: pair.get(name) for name in ("critic", "revision")} if isinstance(pair, Mapping) else {}
        if not texts or not all(isinstance(text, str) and normalise(text) for text in texts.values()):
            document.remarks.add(line, pair, 'A pair needs two texts, "critic" and "revision".')
            continue
        for name in pair.keys() - texts.keys():
            document.remarks.add(located.line(*inside, index, name), name, f"A pair has no field {name!r}.")
        critic, revision = normalise(str(texts["critic"])), normalise(str(texts["revision"]))
        found.append(
            Principle(
                id=ids.from_text(revision, f"pair-{index + 1}"),
                title=title_from(revision),
                text=revision,
                source=Source(document=short(document.name, MAX_DOCUMENT), article=f"constitutions[{index}]"),
                stages=("revise",),
                critique_request=critic,
                revision_request=revision,
            )
        )
    return tuple(found)


def _exemplars(document: Document, located: Located, chats: Any) -> tuple[Exemplar, ...]:
    if chats is None:
        return ()
    if not isinstance(chats, list):
        document.remarks.add(located.line("system_chat"), chats, '"system_chat" should be a list of chats.')
        return ()
    found = []
    for index, chat in enumerate(chats):
        exemplar = _exemplar(chat)
        if isinstance(exemplar, Exemplar):
            found.append(exemplar)
        else:
            document.remarks.add(located.line("system_chat", index), _first_words(chat), exemplar)
    return tuple(found)


def _exemplar(chat: Any) -> Exemplar | str:
    """The chat as an exemplar, or the reason why it is none."""
    if not isinstance(chat, list) or not all(isinstance(turn, Mapping) for turn in chat):
        return "A chat should be a list of messages with role and content."
    if tuple(turn.get("role") for turn in chat) != _TURNS:
        return (
            f"An exemplar is a chat of six messages, user and assistant in turn (question, answer, critique request, "
            f"critique, revision request, revision); this chat has {len(chat)} messages or other roles."
        )
    texts = [normalise(content) if isinstance(content := turn.get("content"), str) else "" for turn in chat]
    if not all(texts):
        return "A message of this chat has no text."
    prompt, response, critique_request, critique, revision_request, revision = texts
    return Exemplar(prompt, response, critique_request, critique, revision_request, revision)


def _first_words(chat: Any) -> Any:
    if isinstance(chat, list) and chat and isinstance(chat[0], Mapping):
        return chat[0].get("content", chat)
    return chat
