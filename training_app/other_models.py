"""Who judges and who writes in a run, where that is not the run's own base model: a model server by its name.

Choosing pins: the row keeps the server's name and the digest of what decides its answers, never its address, which only
the settings of the machine know (core/servers.py).
"""

from __future__ import annotations

import logging
from typing import Any

from training_app.core.errors import BadInput
from training_app.core.servers import allowed_servers, server_named
from training_app.models import Run

ROLES = ("generator", "judge")

log = logging.getLogger(__name__)


def server_choices() -> list[tuple[str, str]]:
    """The servers a person may choose, by name and in words; none when the setting cannot be read, which is logged."""
    try:
        return [(name, f"{name}: {server.model}") for name, server in allowed_servers().items()]
    except BadInput as error:
        log.error("No model server can be chosen: %s", error.message)
        return []


def pinned(name: str) -> dict[str, Any]:
    """The server as a row and a job name it. Raises BadInput for one that is not allowed."""
    server = server_named(name)
    return {"backend": "openai", "name": name, "model": server.model, "digest": server.digest}


def model_for(run: Run, role: str) -> dict[str, Any] | None:
    """What the run asks in a role besides its base model, as a job names it; None for the base model itself."""
    chosen = run.other_models.get(role)
    return {part: chosen[part] for part in ("backend", "name", "digest")} if chosen else None


def judge_parts(run: Run) -> dict[str, Any]:
    """The judge's model as labels cite it: name, digest, backend."""
    chosen = run.other_models.get("judge")
    if not chosen:
        return {"name": run.base_model["name"], "digest": run.base_model["digest"], "backend": "local"}
    return {"name": f"{chosen['model']} on {chosen['name']}", "digest": chosen["digest"], "backend": chosen["backend"]}
