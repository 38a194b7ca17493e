"""The secret key of an installation that was given none: made once, kept for its owner alone."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def secret_key_of(var: Path) -> str:
    """Reads `var/secret_key`, making it the first time. Of several processes that make it at once, one wins for all."""
    path = var / "secret_key"
    if not path.exists():
        var.mkdir(mode=0o700, parents=True, exist_ok=True)
        mine = path.with_name(f"secret_key.{os.getpid()}")
        descriptor = os.open(mine, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(64))
        try:
            os.link(mine, path)  # fails where another process was first
        except FileExistsError:
            pass
        finally:
            mine.unlink()
    return path.read_text(encoding="ascii").strip()
