"""What the rules are, as rows: constitutions, drafts, frozen versions, and the ledger of every verb."""

from __future__ import annotations

from constitutions_app.models.constitution import Constitution, Draft, DraftPrinciple
from constitutions_app.models.ledger import LedgerEntry
from constitutions_app.models.version import PrincipleVersion, Version

__all__ = ["Constitution", "Draft", "DraftPrinciple", "LedgerEntry", "PrincipleVersion", "Version"]
