"""The verbs of training. Pages, API and commands call these and nothing else writes on a person's behalf.

Each verb takes keyword arguments, is one transaction with one ledger entry, and raises a `Refused` (refusals.py) with
one clear sentence, nothing written, when it cannot be done. Who may call it is decided before, by `access.py`.
"""

from __future__ import annotations

from training_app.actions.adjudicate import adjudicate
from training_app.actions.ask_for_numbers import ask_for_numbers
from training_app.actions.build_dataset import build_dataset
from training_app.actions.cancel_asked import cancel_export, cancel_judge, cancel_push, cancel_signature
from training_app.actions.cancel_run import cancel_run
from training_app.actions.chat import ask_checkpoints, make_scenario_of_chat
from training_app.actions.continue_run import continue_run
from training_app.actions.create_queue import assign_queue, close_queue, create_queue
from training_app.actions.export import export_items, export_run
from training_app.actions.import_audits import import_audits
from training_app.actions.import_pairs import import_pairs
from training_app.actions.import_traces import import_traces
from training_app.actions.judge_in_queue import (
    choose_blind,
    decide,
    give_back_item,
    look_first,
    refuse_item,
    take_next,
    undo,
)
from training_app.actions.keep_view import keep_view, remove_view
from training_app.actions.launch_group import compare_verdicts, launch_group
from training_app.actions.launch_run import launch_run
from training_app.actions.load_prompt_set import load_prompt_set
from training_app.actions.make_scenario import make_scenario
from training_app.actions.measure_judge import measure_judge
from training_app.actions.order_queue import move_run, pause_queue, prioritise_run, reopen_queue
from training_app.actions.prune_weights import prune_weights
from training_app.actions.push import push_checkpoint
from training_app.actions.record_audit import record_audit
from training_app.actions.register_judge import register_judge
from training_app.actions.register_model import register_model
from training_app.actions.release import change_release_rules, promote_checkpoint, sign_off, withdraw_alias
from training_app.actions.resume_run import resume_run
from training_app.actions.save_exemplars import save_exemplars
from training_app.actions.send_answers import send_answers
from training_app.actions.sign import sign_checkpoint
from training_app.actions.write_prompts import write_prompts

__all__ = [
    "adjudicate",
    "ask_checkpoints",
    "ask_for_numbers",
    "assign_queue",
    "build_dataset",
    "cancel_export",
    "cancel_judge",
    "cancel_push",
    "cancel_run",
    "cancel_signature",
    "change_release_rules",
    "choose_blind",
    "close_queue",
    "compare_verdicts",
    "continue_run",
    "create_queue",
    "decide",
    "export_items",
    "export_run",
    "give_back_item",
    "import_audits",
    "import_pairs",
    "import_traces",
    "keep_view",
    "launch_group",
    "launch_run",
    "load_prompt_set",
    "look_first",
    "make_scenario",
    "make_scenario_of_chat",
    "measure_judge",
    "move_run",
    "pause_queue",
    "prioritise_run",
    "promote_checkpoint",
    "prune_weights",
    "push_checkpoint",
    "record_audit",
    "refuse_item",
    "register_judge",
    "register_model",
    "remove_view",
    "reopen_queue",
    "resume_run",
    "save_exemplars",
    "send_answers",
    "sign_checkpoint",
    "sign_off",
    "take_next",
    "undo",
    "withdraw_alias",
    "write_prompts",
]
