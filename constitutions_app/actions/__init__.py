"""The verbs. Pages, API, commands and tests call these and nothing else changes a row.

Each takes keywords only, is one transaction, and writes one ledger entry in it. A verb that finds nothing to change
writes nothing.
"""

from __future__ import annotations

from constitutions_app.actions.drafting import (
    Conflict,
    Gone,
    Refused,
    add_exemplar,
    add_principle,
    edit_exemplars,
    edit_preamble,
    edit_principle,
    move_principle,
    remove_exemplar,
    remove_principle,
    restore_removed,
    text_revision,
)
from constitutions_app.actions.people import (
    Invitation,
    change_password,
    deactivate_person,
    invite_person,
    make_sign_in_link,
    reactivate_person,
    rename_person,
    set_role,
)
from constitutions_app.actions.publishing import PublishRefused, publish_version
from constitutions_app.actions.starting import create_constitution, start_draft_from_version

__all__ = [
    "Conflict",
    "Gone",
    "Invitation",
    "PublishRefused",
    "Refused",
    "add_exemplar",
    "add_principle",
    "change_password",
    "create_constitution",
    "deactivate_person",
    "edit_exemplars",
    "edit_preamble",
    "edit_principle",
    "invite_person",
    "make_sign_in_link",
    "move_principle",
    "publish_version",
    "reactivate_person",
    "remove_exemplar",
    "remove_principle",
    "rename_person",
    "restore_removed",
    "set_role",
    "start_draft_from_version",
    "text_revision",
]
