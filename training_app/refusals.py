"""What a verb says when it will not be done: one clear sentence, nothing written."""

from __future__ import annotations

from training_app.core.paper_traces import Misread


class Refused(Exception):
    """A verb was refused before anything was changed. `str(error)` is the sentence a person reads."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


class LaunchRefused(Refused):
    """A run cannot be launched as asked; `field` names the form field it is about, or is empty."""

    def __init__(self, sentence: str, *, field: str = "") -> None:
        super().__init__(sentence)
        self.field = field


class SteeringRefused(Refused):
    """A run cannot be cancelled or resumed in the state it is in."""


class AuditRefused(Refused):
    """A verdict is incomplete or contradicts itself; `field` names the form field it is about, or is empty."""

    def __init__(self, sentence: str, *, field: str = "") -> None:
        super().__init__(sentence)
        self.field = field


class ReleaseRefused(Refused):
    """A checkpoint cannot be signed off or promoted as asked."""


class ChatRefused(Refused):
    """A question cannot be asked as it was sent."""


class BuildRefused(Refused):
    """A dataset cannot be built from what the run holds."""


class PromptFileRefused(Refused):
    """A prompt file has bad lines. `problems` holds a sentence per line, each naming the line and the reason."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        super().__init__(f"{problems[0]}{more} Nothing was loaded.")
        self.problems = problems


class TraceFileRefused(Refused):
    """A file of traces was not understood whole. `places` says which line, what stands there, and why."""

    def __init__(self, places: tuple[Misread, ...]) -> None:
        super().__init__(f"{places[0].sentence} Nothing was imported.")
        self.places = places


class PairFileRefused(Refused):
    """A file of annotated pairs was not understood whole."""


class AuditFileRefused(Refused):
    """A file of audits was not understood whole. `problems` holds a sentence a place, each naming it and why."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__(f"{problems[0]} Nothing was imported.")
        self.problems = problems


class JudgeFileRefused(Refused):
    """A file cannot measure a judge. `problems` holds a sentence per bad line, or one about `field`."""

    def __init__(self, problems: tuple[str, ...], *, field: str = "file") -> None:
        super().__init__(f"{problems[0]} Nothing was started.")
        self.problems = problems
        self.field = field


class QueueRefused(Refused):
    """A queue cannot be made as asked, or an item cannot be had from it; `field` names the form field, or is empty."""

    def __init__(self, sentence: str, *, field: str = "") -> None:
        super().__init__(sentence)
        self.field = field


class ModelRefused(Refused):
    """A folder cannot serve as a base model; the message says why and what to do."""


class ViewRefused(Refused):
    """A view of the explorer cannot be kept as it was named."""


class ExportRefused(Refused):
    """A file cannot be written as asked; `field` names the form field it is about, or is empty."""

    def __init__(self, sentence: str, *, field: str = "") -> None:
        super().__init__(sentence)
        self.field = field
