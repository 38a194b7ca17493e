"""The quality gate between revisions and training: which flags keep a step out, and the count of everything it did.

Public implementations train on every revision unseen (one ships an example whose revision is its critique).
The gate is a rule over the flags of `signals.py`, so everyone can see why a step was left out. The paper has none: it
trains on all revisions (section 3.1); dropping nothing but empty ones is that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from training_app.core.signals import FLAGS

DROPPED = ("empty", "critique_as_revision", "language_switch")
"""What is dropped by default: it teaches nothing, to criticise instead of to answer, or to switch the language."""

BY_PEOPLE = "overridden by people"


class LeftOut(Protocol):
    """An item that was not taken, and why."""

    @property
    def id(self) -> str: ...
    @property
    def reason(self) -> str: ...


def dropping_flag(step: Mapping[str, Any], dropped: Sequence[str] = DROPPED) -> str:
    """The flag that keeps a step out of training, the first in the order of `FLAGS`; "" when nothing does."""
    if not step["revision"].strip():
        return "empty"
    return next((flag for flag in FLAGS if flag in dropped and flag in step.get("flags", ())), "")


def gate_counts(
    steps: Sequence[tuple[str, Sequence[str]]],
    kept: Sequence[str],
    excluded: Sequence[LeftOut],
    dropped: Sequence[str],
) -> dict[str, Any]:
    """What the gate did: ``{"made", "kept", "dropped": {reason: n}, "flags": {flag: n}, "drops": [flag]}``.

    `steps` are all steps (key, flags) of the run, `kept` the ids of the rows of the build, `excluded` what the build
    left out. A step that is neither was dropped by people. Every step is counted once in kept + dropped.
    """
    taken, reasons = set(kept), {item.id: item.reason for item in excluded}
    why = Counter(reasons.get(key, BY_PEOPLE) for key, _ in steps if key not in taken)
    flags = Counter(flag for _, found in steps for flag in found)
    return {
        "made": len(steps),
        "kept": sum(key in taken for key, _ in steps),
        "dropped": dict(sorted(why.items(), key=lambda pair: (-pair[1], pair[0]))),
        "flags": dict(sorted(flags.items())),
        "drops": list(dropped),
    }
