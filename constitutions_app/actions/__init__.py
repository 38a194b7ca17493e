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
from constitutions_app.actions.imported_files import ImportedFile
from constitutions_app.actions.importing import (
    add_to_upload,
    choose_links,
    discard_upload,
    import_into_draft,
    keep_upload,
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
from constitutions_app.actions.publishing import NO_NOTE, PublishRefused, declare_edits, publish_version
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
from constitutions_app.actions.starting import create_constitution, start_draft_from_version

__all__ = [
    "NO_NOTE",
    "SCENARIO_FIELDS",
    "Conflict",
    "Gone",
    "ImportedFile",
    "Invitation",
    "PublishRefused",
    "Refused",
    "Result",
    "ScenarioConflict",
    "add_exemplar",
    "add_principle",
    "add_to_upload",
    "change_password",
    "choose_links",
    "close_branch",
    "create_constitution",
    "create_scenario",
    "deactivate_person",
    "declare_edits",
    "discard_upload",
    "edit_exemplars",
    "edit_preamble",
    "edit_principle",
    "edit_scenario",
    "fork_constitution",
    "import_into_draft",
    "invite_person",
    "keep_upload",
    "make_sign_in_link",
    "merge_version",
    "move_alias",
    "move_principle",
    "publish_version",
    "reactivate_person",
    "reason_against_merging",
    "record_scenario_result",
    "record_scenario_results",
    "remove_exemplar",
    "remove_principle",
    "rename_person",
    "reopen_branch",
    "restore_removed",
    "restore_scenario",
    "retire_scenario",
    "set_role",
    "start_branch",
    "start_draft_from_version",
    "text_revision",
]
