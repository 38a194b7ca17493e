"""The verbs. Pages, API, commands and tests call these and nothing else changes a row.

Each takes keywords only, is one transaction, and writes one ledger entry in it. A verb that finds nothing to change
writes nothing.
"""

from __future__ import annotations

from constitutions_app.actions.aliases import move_alias
from constitutions_app.actions.branching import (
    close_branch,
    fork_constitution,
    merge_version,
    reason_against_merging,
    reopen_branch,
    start_branch,
)
from constitutions_app.actions.discussing import (
    WordsChanged,
    apply_suggestion,
    decline_suggestion,
    open_thread,
    reopen_thread,
    reply,
    resolve_thread,
)
from constitutions_app.actions.draft_parts import (
    add_exemplar,
    edit_exemplars,
    edit_preamble,
    exemplar_fields,
    remove_exemplar,
    text_revision,
)
from constitutions_app.actions.drafting import (
    Conflict,
    Gone,
    Refused,
    add_principle,
    duplicate_principle,
    edit_principle,
    move_principle,
    remove_principle,
)
from constitutions_app.actions.hints import dismiss_hint, recall_hint
from constitutions_app.actions.imported_files import AlreadyWritten, ImportedFile
from constitutions_app.actions.importing import (
    add_to_upload,
    choose_links,
    discard_upload,
    import_into_draft,
    keep_upload,
)
from constitutions_app.actions.notifications import choose_mail, mark_read
from constitutions_app.actions.origins import NOWHERE, Origin
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
from constitutions_app.actions.publishing import NO_NOTE, PublishRefused, declare_edits, publish_version
from constitutions_app.actions.reviewing import (
    change_rules,
    give_verdict,
    request_review,
    withdraw_review,
)
from constitutions_app.actions.scenarios import (
    SCENARIO_FIELDS,
    Result,
    ScenarioConflict,
    create_scenario,
    edit_scenario,
    record_scenario_result,
    record_scenario_results,
    restore_scenario,
    retire_scenario,
)
from constitutions_app.actions.starting import check_start, create_constitution, start_draft_from_version
from constitutions_app.actions.undoing import Undone, redo, restore_removed, undo

__all__ = [
    "NOWHERE",
    "NO_NOTE",
    "SCENARIO_FIELDS",
    "AlreadyWritten",
    "Conflict",
    "Gone",
    "ImportedFile",
    "Invitation",
    "Origin",
    "PublishRefused",
    "Refused",
    "Result",
    "ScenarioConflict",
    "Undone",
    "WordsChanged",
    "add_exemplar",
    "add_principle",
    "add_to_upload",
    "apply_suggestion",
    "change_password",
    "change_rules",
    "check_start",
    "choose_links",
    "choose_mail",
    "close_branch",
    "create_constitution",
    "create_scenario",
    "deactivate_person",
    "declare_edits",
    "decline_suggestion",
    "discard_upload",
    "dismiss_hint",
    "duplicate_principle",
    "edit_exemplars",
    "edit_preamble",
    "edit_principle",
    "edit_scenario",
    "exemplar_fields",
    "fork_constitution",
    "give_verdict",
    "import_into_draft",
    "invite_person",
    "keep_upload",
    "make_sign_in_link",
    "mark_read",
    "merge_version",
    "move_alias",
    "move_principle",
    "open_thread",
    "publish_version",
    "reactivate_person",
    "reason_against_merging",
    "recall_hint",
    "record_scenario_result",
    "record_scenario_results",
    "redo",
    "remove_exemplar",
    "remove_principle",
    "rename_person",
    "reopen_branch",
    "reopen_thread",
    "reply",
    "request_review",
    "resolve_thread",
    "restore_removed",
    "restore_scenario",
    "retire_scenario",
    "set_role",
    "start_branch",
    "start_draft_from_version",
    "text_revision",
    "undo",
    "withdraw_review",
]
