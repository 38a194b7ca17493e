"""What the rules are, as rows: constitutions, drafts, frozen versions, review, scenarios, and the ledger."""

from __future__ import annotations

from constitutions_app.models.constitution import MAIN, Constitution, Draft, DraftPrinciple, EditKind
from constitutions_app.models.hint import DismissedHint
from constitutions_app.models.ledger import LedgerEntry
from constitutions_app.models.review import (
    Comment,
    MailChoice,
    Notification,
    Presence,
    PublishingRules,
    Review,
    Suggestion,
    Thread,
    Verdict,
)
from constitutions_app.models.scenario import Import, Scenario, ScenarioResult, Upload
from constitutions_app.models.vector import TextVector
from constitutions_app.models.version import Alias, Change, PrincipleVersion, Version

__all__ = [
    "MAIN",
    "Alias",
    "Change",
    "Comment",
    "Constitution",
    "DismissedHint",
    "Draft",
    "DraftPrinciple",
    "EditKind",
    "Import",
    "LedgerEntry",
    "MailChoice",
    "Notification",
    "Presence",
    "PrincipleVersion",
    "PublishingRules",
    "Review",
    "Scenario",
    "ScenarioResult",
    "Suggestion",
    "TextVector",
    "Thread",
    "Upload",
    "Verdict",
    "Version",
]
