"""What a draft says after an import into it, as a value: so that it can be shown before anything is written.

Left out: merging words. A principle whose id the draft has already either keeps the draft's words or takes the file's.
"""

from __future__ import annotations

from dataclasses import replace

from constitutions_app.core.principles import Constitution

ADD, UPDATE, REPLACE = "add", "update", "replace"
WAYS = {
    ADD: "Add what is new, leave what the draft has already",
    UPDATE: "Add what is new, and take the file's words where the ids are the same",
    REPLACE: "Replace the whole draft by the file",
}


def joined(draft: Constitution, imported: Constitution, way: str) -> Constitution:
    """The draft after the import. The name is the draft's own. Raises ValueError for a `way` that is none of WAYS."""
    if way not in WAYS:
        raise ValueError(f"There is no way {way!r} to import; there are {', '.join(WAYS)}.")
    if way == REPLACE:
        return replace(imported, name=draft.name)
    theirs = {principle.id: principle for principle in imported.principles}
    present = {principle.id for principle in draft.principles}
    kept = draft.principles if way == ADD else tuple(theirs.get(item.id, item) for item in draft.principles)
    preamble = draft.preamble or imported.preamble
    return Constitution(
        name=draft.name,
        preamble=imported.preamble or preamble if way == UPDATE else preamble,
        principles=(*kept, *(item for item in imported.principles if item.id not in present)),
        exemplars=(*draft.exemplars, *(item for item in imported.exemplars if item not in draft.exemplars)),
    )
