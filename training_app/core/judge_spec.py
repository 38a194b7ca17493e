"""Who judges, as one unit with one digest: model, revision, template, aggregation, order policy, and how it computes.

The number format belongs to it: in bfloat16 the same model and the same words give p(A) that differ by up to 0.03 with
the shape of the batch. So do the backend, the layout of its forwards, and, where a server gives no log-probabilities,
how many votes were drawn and how.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any

ADDED_LATER = {"backend": "local", "layout": "", "sampling": "", "manner": ""}
"""Parts a digest leaves out while they are as every judge was before they existed: old digests stay what they are."""


@dataclass(frozen=True)
class JudgeSpec:
    """Everything that decides what a judge answers. `model_digest` is the revision: of the weights, or a server's."""

    model_name: str
    model_digest: str
    template: str
    dtype: str
    aggregation: str = "mean of both orders"
    order_policy: str = "both orders"
    backend: str = "local"
    layout: str = ""
    sampling: str = ""
    """Empty: log-probabilities read from one forward. Else how votes were drawn, e.g. "8 votes at temperature 1"."""
    manner: str = ""
    """How it is asked beside the template (asking.py): worked comparisons, thoughts, "neither"."""

    @property
    def digest(self) -> str:
        """sha256 over the parts as canonical JSON; the model's name is left out, its digest counts."""
        parts = {
            name: value
            for name, value in asdict(self).items()
            if name != "model_name" and value != ADDED_LATER.get(name, object())
        }
        return hashlib.sha256(json.dumps(parts, sort_keys=True, separators=(",", ":")).encode()).hexdigest()

    @property
    def name(self) -> str:
        """How people read it: "SmolLM2-135M-Instruct, paper template, bfloat16"."""
        how = self.dtype if self.backend == "local" else f"{self.backend} server"
        votes = f", {self.sampling}" if self.sampling else ""
        manner = f", {self.manner}" if self.manner else ""
        return f"{self.model_name}, {self.template} template{manner}, {how}{votes}"[:200]

    def as_data(self) -> dict[str, Any]:
        """As reports show it: every part, the name people read and the digest."""
        return {"name": self.name, "digest": self.digest, **asdict(self)}
