"""The addresses of training's pages. Every item has one that does not change."""

from __future__ import annotations

from django.urls import path

from constitutions_app import converters
from training_app.views import (
    aggregate,
    audit,
    auditor_settings,
    bias,
    blindness,
    changes,
    chat,
    checkpoints,
    compare_runs,
    exemplars,
    explorer,
    explorer_export,
    exports,
    import_audits,
    import_traces,
    judges,
    labels,
    launch,
    launch_files,
    live,
    models,
    numbers,
    prompt_sets,
    queue_items,
    queues,
    releases,
    run_groups,
    run_queue,
    runs,
    scenarios,
    second_opinions,
    signatures,
    stale,
    traces,
    write_prompts,
)

app_name = "training"
converters.register()

run_urls = [
    path("runs/", runs.runs, name="runs"),
    path("runs/new/", launch.launch, name="launch"),
    path("runs/compare/", compare_runs.compare_runs, name="compare_runs"),
    path("runs/queue/", run_queue.steer_queue, name="steer_queue"),
    path("runs/compared/", run_groups.run_groups, name="run_groups"),
    path("runs/compared/<uuid:group_id>/", run_groups.run_group, name="run_group"),
    path("runs/<uuid:run_id>/", runs.run, name="run"),
    path("runs/<uuid:run_id>/compare/", run_groups.compare, name="compare"),
    path("runs/<uuid:run_id>/run.yaml", launch_files.run_file, name="run_file"),
    path("runs/<uuid:run_id>/place/", run_queue.order_run, name="order_run"),
    path("runs/<uuid:run_id>/events/", live.run_events, name="run_events"),
    path("runs/<uuid:run_id>/stop/", runs.stop_run, name="stop_run"),
    path("runs/<uuid:run_id>/resume/", runs.resume_run_now, name="resume_run"),
    path("runs/<uuid:run_id>/targets/", aggregate.aggregate, name="aggregate"),
    path("runs/<uuid:run_id>/export/<slug:what>/<slug:form>/", exports.export_feedback, name="export_feedback"),
    path("runs/<uuid:run_id>/export/", exports.ask_run_export, name="ask_run_export"),
    path("runs/<uuid:run_id>/stages/<slug:slug>/", runs.stage, name="stage"),
    path("runs/<uuid:run_id>/stages/<slug:slug>/log/", runs.stage_log, name="stage_log"),
    path("status/", live.status, name="status"),
]

audit_urls = [
    path("audit/", audit.audit, name="audit"),
    path("audit/explore/", explorer.explore, name="explore"),
    path("audit/explore/counts/", explorer.explore_counts, name="explore_counts"),
    path("audit/explore/export/", explorer_export.export, name="explore_export"),
    path("audit/explore/file/", exports.ask_export, name="ask_export"),
    path("audit/exports/", exports.exports, name="exports"),
    path("audit/exports/<uuid:pk>/cancel/", exports.cancel, name="cancel_export"),
    path("audit/exports/<uuid:pk>/file/", exports.export_file, name="export_file"),
    path("audit/explore/scenarios/", explorer.make_scenarios, name="explore_scenarios"),
    path("audit/explore/views/", explorer.keep, name="keep_view"),
    path("audit/explore/views/<int:pk>/remove/", explorer.remove, name="remove_view"),
    path("audit/traces/", traces.traces, name="traces"),
    path("audit/traces/import/", import_traces.import_traces_page, name="import_traces"),
    path("audit/traces/<int:pk>/", traces.trace, name="trace"),
    path("audit/steps/<int:pk>/", traces.audit_step, name="audit_step"),
    path("audit/steps/<int:pk>/scenario/", scenarios.from_step, name="scenario_from_step"),
    path("audit/labels/<int:pk>/scenario/", scenarios.from_label, name="scenario_from_label"),
    path("audit/steps/<int:pk>/look/", blindness.look_at_step, name="look_at_step"),
    path("audit/labels/<int:pk>/look/", blindness.look_at_label, name="look_at_label"),
    path("audit/labels/", labels.labels, name="labels"),
    path("audit/labels/<int:pk>/", labels.label, name="label"),
]

queue_urls = [
    path("audit/bias/", bias.bias, name="bias"),
    path("audit/settings/", auditor_settings.auditor_settings, name="auditor_settings"),
    path("audit/queues/", queues.queues, name="queues"),
    path("audit/queues/new/", queues.new_queue, name="new_queue"),
    path("audit/queues/<int:pk>/", queues.queue, name="queue"),
    path("audit/queues/<int:pk>/close/", queues.close, name="close_queue"),
    path("audit/queues/<int:pk>/people/", queues.assign, name="assign_queue"),
    path("audit/queues/<int:pk>/next/", queue_items.next_item, name="queue_next"),
    path("audit/queues/<int:pk>/take/", queue_items.take, name="queue_take"),
    path("audit/queues/<int:pk>/undo/", queue_items.take_back, name="queue_undo"),
    path("audit/queues/<int:pk>/items/<int:position>/", queue_items.item, name="queue_item"),
    path("audit/queues/<int:pk>/items/<int:position>/choose/", queue_items.choose, name="queue_choose"),
    path("audit/queues/<int:pk>/items/<int:position>/keep/", queue_items.keep, name="queue_keep"),
    path("audit/queues/<int:pk>/items/<int:position>/refuse/", queue_items.refuse, name="queue_refuse"),
    path("audit/queues/<int:pk>/items/<int:position>/show/", queue_items.show, name="queue_show"),
]

number_urls = [
    path("audit/numbers/", numbers.overview, name="numbers"),
    path("audit/numbers/principles/", numbers.principles, name="numbers_principles"),
    path("audit/numbers/principles/<int:pk>/", numbers.principle, name="numbers_principle"),
    path("audit/numbers/people/", numbers.people, name="numbers_people"),
    path("audit/numbers/refresh/", numbers.refresh, name="numbers_refresh"),
]

second_opinion_urls = [
    path("audit/import/", import_audits.import_audits_page, name="import_audits"),
    path("audit/disagreements/", second_opinions.disagreements, name="disagreements"),
    path("audit/labels/<int:pk>/decide/", second_opinions.adjudicate_label, name="adjudicate_label"),
    path("audit/steps/<int:pk>/decide/", second_opinions.adjudicate_step, name="adjudicate_step"),
]

judge_urls = [
    path("judges/", judges.judge_evaluations, name="judge_evaluations"),
    path("judges/new/", judges.measure, name="measure_judge"),
    path("judges/<uuid:pk>/", judges.judge_evaluation, name="judge_evaluation"),
    path("judges/<uuid:pk>/cancel/", judges.cancel, name="cancel_judge"),
]

prompt_urls = [
    path("prompts/", prompt_sets.prompt_sets, name="prompt_sets"),
    path("load-prompts/", prompt_sets.load_prompts, name="load_prompts"),
    path("write-prompts/", write_prompts.write_prompts, name="write_prompts"),
    path("prompt-preview/", prompt_sets.prompt_preview, name="prompt_preview"),
    path("prompts/<slug:slug>/", prompt_sets.prompt_set, name="prompt_set"),
]

model_urls = [
    path("models/", models.base_models, name="base_models"),
    path("models/register/", models.register, name="register_model"),
]

checkpoint_urls = [
    path("checkpoints/", checkpoints.checkpoints, name="checkpoints"),
    path("checkpoints/<int:pk>/", checkpoints.checkpoint, name="checkpoint"),
    path("checkpoints/<int:pk>/files/<path:file>", checkpoints.checkpoint_file, name="checkpoint_file"),
    path("checkpoints/<int:pk>/release/", releases.release, name="release"),
    path("checkpoints/<int:pk>/alias/", releases.move_checkpoint_alias, name="move_checkpoint_alias"),
    path("checkpoints/<int:pk>/sign/", signatures.sign, name="sign"),
    path("checkpoints/<int:pk>/signature/", signatures.signature, name="signature"),
    path("checkpoints/<int:pk>/push/", signatures.push, name="push"),
    path("checkpoints/<int:pk>/hub/", signatures.hub, name="hub"),
    path("signatures/<uuid:pk>/cancel/", signatures.cancel_signing, name="cancel_signing"),
    path("hub-copies/<uuid:pk>/cancel/", signatures.cancel_handing_on, name="cancel_push"),
    path("checkpoints/<int:pk>/card/", releases.model_card, name="model_card"),
    path("checkpoints/<int:pk>/evidence/", releases.evidence, name="evidence"),
    path("chat/", chat.chat, name="chat"),
    path("chat/<uuid:pk>/", chat.chat_turn, name="chat_turn"),
    path("chat/<uuid:pk>/scenario/", chat.scenario_from_chat, name="scenario_from_chat"),
    path("chat/<uuid:pk>/send/", chat.send, name="send_chat"),
    path("chat/<uuid:pk>/look/", blindness.look_at_answers, name="look_at_chat"),
    path("release-rules/<slug:slug>/", releases.release_rules, name="release_rules"),
    path("stale/", stale.overview, name="stale"),
    path("stale/<slug:slug>/<state:state>/", stale.under, name="stale_under"),
    path("builds/<int:pk>/", checkpoints.build, name="build"),
    path("builds/<int:pk>/changes/", changes.changes, name="build_changes"),
    path("versions/<slug:slug>/<int:number>/examples/", exemplars.exemplars, name="exemplars"),
    path("versions/<slug:slug>/<int:number>/checkpoints/", checkpoints.version_checkpoints, name="version_checkpoints"),
    path(
        "versions/<slug:slug>/<int:number>/principles/<slug:key>/checkpoints/",
        checkpoints.principle_checkpoints,
        name="principle_checkpoints",
    ),
]

urlpatterns = [
    *run_urls,
    *audit_urls,
    *queue_urls,
    *number_urls,
    *second_opinion_urls,
    *judge_urls,
    *prompt_urls,
    *model_urls,
    *checkpoint_urls,
]
