"""The ways a stage can end early, each with the sentence a person reads and what to do about it."""

from __future__ import annotations


class StageError(Exception):
    """A stage cannot go on, for a reason a person can act on. `kind` is the "error" of the failed event."""

    kind = "bug"

    def __init__(self, message: str, advice: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.advice = advice


class BadInput(StageError):
    """What the job names is missing, malformed or not what it was; nothing was written."""

    kind = "bad_input"


class NotFinite(StageError):
    """A loss, reward or weight became infinite or not a number."""

    kind = "not_finite"


LOWER_RATE = "Clone the run with a lower learning rate; resuming it as it is would come to the same."
"""What to do about weights or probabilities that became no numbers."""


class OutOfMemory(StageError):
    """Even the smallest batch does not fit the device's memory."""

    kind = "out_of_memory"


class DiskFull(StageError):
    """There is no room left where the stage writes."""

    kind = "disk_full"


class Stopped(Exception):
    """Raised by a stage at a safe place after `should_stop()` turned true; a later start goes on from there."""


NO_MEMORY = ("not enough memory", "can't allocate memory", "out of memory")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether torch or Python could not get memory, on the processor or on the GPU."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    words = str(error).lower()
    return isinstance(error, RuntimeError) and any(sign in words for sign in NO_MEMORY)
