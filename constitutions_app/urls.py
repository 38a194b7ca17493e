"""Addresses of constitutions, the ledger and people. Each says what it shows; only people's carry a database id."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, include, path

from constitutions_app import converters
from constitutions_app.views import (
    activity,
    aliases,
    blame,
    branches,
    compare,
    constitutions,
    draft_parts,
    drafts,
    exporting,
    graph,
    hints,
    importing,
    ledger,
    notifications,
    people,
    publishing,
    reviews,
    scenarios,
    search,
    threads,
    together,
    versions,
)

converters.register()

# /constitutions/<slug>/draft/ and /constitutions/<slug>@<branch>/draft/
draft_urls = [
    path("", drafts.draft, name="draft"),
    path("preamble/", draft_parts.preamble, name="draft_preamble"),
    path("exemplars/", draft_parts.exemplars, name="draft_exemplars"),
    path("exemplars/add/", draft_parts.add_exemplar, name="add_exemplar"),
    path("exemplars/<number:number>/remove/", draft_parts.remove_exemplar, name="remove_exemplar"),
    path("principles/", drafts.add, name="add_principle"),
    path("principles/<slug:key>/", drafts.edit, name="draft_principle"),
    path("principles/<slug:key>/sent/", hints.sent, name="sent"),
    path("principles/<slug:key>/hints/dismiss/", hints.dismiss, name="dismiss_hint"),
    path("principles/<slug:key>/hints/recall/", hints.recall, name="recall_hint"),
    path("principles/<slug:key>/counts/", hints.declare, name="declare_edit"),
    path("principles/<slug:key>/move/", drafts.move, name="move_principle"),
    path("principles/<slug:key>/duplicate/", drafts.duplicate, name="duplicate_principle"),
    path("principles/<slug:key>/retire/", drafts.retire, name="retire_principle"),
    path("principles/<slug:key>/remove/", drafts.remove, name="remove_principle"),
    path("removed/<number:seq>/restore/", drafts.restore, name="restore_removed"),
    path("principles/<slug:key>/history/", blame.draft, name="draft_blame"),
    path("here/", together.here, name="here"),
    path("undo/", drafts.undo, name="undo"),
    path("redo/", drafts.redo, name="redo"),
    path("publish/", publishing.publish, name="publish"),
    path("export/<slug:format>/", exporting.draft, name="export_draft"),
    path("merge/", branches.merge_in, name="merge"),
    path("close/", branches.close, name="close_branch"),
    path("reopen/", branches.reopen, name="reopen_branch"),
    path("principles/<slug:key>/threads/", threads.of_principle, name="principle_threads"),
    path("review/", reviews.review, name="review"),
    path("review/ask/", reviews.ask, name="request_review"),
    path("review/withdraw/", reviews.withdraw, name="withdraw_review"),
    path("review/verdict/", reviews.verdict, name="verdict"),
    path("review/<number:pk>/", reviews.past, name="past_review"),
    path("threads/", threads.index, name="threads"),
    path("threads/new/", threads.begin, name="open_thread"),
    path("threads/preamble/", threads.of_preamble, name="preamble_threads"),
    path("threads/exemplars/", threads.of_exemplars, name="exemplar_threads"),
    path("threads/<number:pk>/", threads.thread, name="thread"),
    path("threads/<number:pk>/reply/", threads.reply, name="reply"),
    path("threads/<number:pk>/resolve/", threads.resolve, name="resolve_thread"),
    path("threads/<number:pk>/reopen/", threads.reopen, name="reopen_thread"),
    path("suggestions/<number:pk>/apply/", threads.apply, name="apply_suggestion"),
    path("suggestions/<number:pk>/decline/", threads.decline, name="decline_suggestion"),
]

# /constitutions/<slug>/v<number>/
version_urls = [
    path("", versions.version, name="version"),
    path("constitution.json", versions.canonical, name="canonical"),
    path("export/<slug:format>/", exporting.version, name="export_version"),
    path("restore/", publishing.restore, name="restore_version"),
    path("branch/", branches.start, name="start_branch"),
    path("fork/", branches.fork, name="fork"),
    path("principles/<slug:key>/", versions.principle, name="principle"),
    path("principles/<slug:key>/history/", blame.version, name="blame"),
]

# /constitutions/<slug>/scenarios/
scenario_urls = [
    path("", scenarios.index, name="scenarios"),
    path("new/", scenarios.create, name="create_scenario"),
    path("<slug:key>/", scenarios.scenario, name="scenario"),
    path("<slug:key>/edit/", scenarios.edit, name="edit_scenario"),
    path("<slug:key>/retire/", scenarios.retire, name="retire_scenario"),
    path("<slug:key>/restore/", scenarios.restore, name="restore_scenario"),
]

# /constitutions/
constitution_urls: list[URLPattern | URLResolver] = [
    path("", constitutions.index, name="list"),
    path("new/", constitutions.create, name="create"),
    path("import/", importing.upload, name="import"),
    path("import/<uuid:upload_id>/", importing.preview, name="import_preview"),
    path("import/<uuid:upload_id>/more/", importing.more, name="import_more"),
    path("import/<uuid:upload_id>/links/", importing.links, name="import_links"),
    path("import/<uuid:upload_id>/discard/", importing.discard, name="import_discard"),
    path("<slug:slug>/", constitutions.detail, name="detail"),
    path("<place:slug>/draft/", include(draft_urls)),
    path("<slug:slug>/v<number:number>/", include(version_urls)),
    path("<slug:slug>/activity/", activity.index, name="activity"),
    path("<slug:slug>/imports/<number:number>/", importing.record, name="import_record"),
    path("<slug:slug>/scenarios/", include(scenario_urls)),
    path("<slug:slug>/versions/", graph.versions, name="versions"),
    path("<slug:slug>/aliases/", aliases.move, name="move_alias"),
    path("<slug:slug>/@<slug:alias>/", aliases.follow, name="alias"),
    path("<slug:slug>/@<slug:alias>/<path:rest>", aliases.follow, name="alias_part"),
    path("<slug:slug>/rules/", reviews.rules, name="publishing_rules"),
    path("<slug:slug>/compare/", compare.choose, name="choose_compare"),
    path("<slug:slug>/compare/<state:old>..<state:new>/", compare.show, name="compare"),
]

urlpatterns = [
    path("", constitutions.home, name="home"),
    path("constitutions/", include((constitution_urls, "constitutions"))),
    path("search/", search.index, name="search"),
    path("ledger/", ledger.index, name="ledger"),
    path("ledger/<number:seq>/", ledger.entry, name="ledger_entry"),
    path("people/", people.index, name="people"),
    path("people/invite/", people.invite, name="invite"),
    path("people/<number:pk>/link/", people.link, name="person_link"),
    path("people/<number:pk>/role/", people.role, name="person_role"),
    path("people/<number:pk>/deactivate/", people.deactivate, name="person_deactivate"),
    path("people/<number:pk>/reactivate/", people.activate, name="person_reactivate"),
    path("account/", people.account, name="account"),
    path("notifications/", notifications.index, name="notifications"),
    path("notifications/count/", notifications.count, name="notification_count"),
    path("notifications/read/", notifications.read, name="read_notifications"),
    path("notifications/<number:pk>/", notifications.follow, name="follow_notification"),
]
