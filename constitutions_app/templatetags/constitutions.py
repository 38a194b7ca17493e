"""Small helps for the pages about constitutions: people, links, words for verbs, numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import template
from django.contrib.auth.models import AnonymousUser, User

from constitutions_app import access
from constitutions_app.ledger import name_of
from constitutions_app.templatetags.diffs import spelled

register = template.Library()

VERB_WORDS = {
    "alias.move": "moved an alias",
    "alias.remove": "removed an alias",
    "audit.adjudicate": "settled what people disagreed about",
    "audit.choose": "chose before seeing the AI's choice",
    "audit.record": "judged what the AI did",
    "audits.import": "imported verdicts given elsewhere",
    "branch.close": "closed a branch",
    "branch.reopen": "reopened a branch",
    "branch.start": "started a branch",
    "chat.answered": "had a question answered",
    "chat.ask": "asked a checkpoint",
    "chat.not_answered": "could not have a question answered",
    "chat.send": "sent two answers to be judged",
    "checkpoint.cancel_push": "cancelled the handing-on of a checkpoint",
    "checkpoint.cancel_sign": "cancelled the signing of a checkpoint",
    "checkpoint.delete_weights": "deleted weights that nothing rests on",
    "checkpoint.not_pushed": "could not hand a checkpoint on",
    "checkpoint.not_signed": "could not have a checkpoint signed",
    "checkpoint.promote": "moved an alias of a checkpoint",
    "checkpoint.publish": "published a checkpoint",
    "checkpoint.push": "asked for a checkpoint to be handed on",
    "checkpoint.pushed": "handed a checkpoint on",
    "checkpoint.sign": "asked for a checkpoint to be signed",
    "checkpoint.sign_off": "signed a checkpoint off or refused it",
    "checkpoint.signed": "signed a checkpoint with this installation's key",
    "constitution.change_release_rules": "changed the release rules",
    "constitution.change_rules": "changed the publishing rules",
    "constitution.create": "created the constitution",
    "constitution.fork": "forked the constitution",
    "dataset.build": "built a dataset",
    "draft.add_exemplar": "added an exemplar",
    "draft.add_principle": "added a principle",
    "draft.declare_edits": "said how edits count",
    "draft.dismiss_hint": "dismissed a hint",
    "draft.edit_exemplars": "edited the exemplars",
    "draft.edit_preamble": "edited the preamble",
    "draft.edit_principle": "edited a principle",
    "draft.import": "imported a file into the draft",
    "draft.merge": "merged a version into the draft",
    "draft.move_principle": "moved a principle",
    "draft.recall_hint": "took a hint back",
    "draft.remove_exemplar": "removed an exemplar",
    "draft.remove_principle": "removed a principle",
    "draft.restore_exemplar": "restored an exemplar",
    "draft.restore_principle": "restored a principle",
    "draft.start_from_version": "started the draft anew from a version",
    "exemplars.save": "saved a set of examples",
    "export.ask": "asked for a file of what was judged",
    "export.cancel": "cancelled an export",
    "export.not_written": "could not write an export",
    "export.written": "wrote an export",
    "judge.cancel": "cancelled a measurement of a judge",
    "judge.measure": "asked for a judge to be measured",
    "judge.measured": "measured a judge",
    "judge.not_measured": "could not measure a judge",
    "judge.register": "registered a judge",
    "model.register": "listed a base model",
    "pairs.import": "imported annotated pairs",
    "person.change_auditing": "changed how they judge",
    "person.change_password": "changed their password",
    "person.choose_mail": "chose what they get by e-mail",
    "person.deactivate": "deactivated a person",
    "person.invite": "invited a person",
    "person.make_link": "made a sign-in link",
    "person.reactivate": "reactivated a person",
    "person.rename": "changed their name",
    "person.set_role": "changed a role",
    "prompt_set.load": "loaded prompts",
    "queue.assign": "said whom a queue is for",
    "queue.calibrate": "judged an item whose answer is known",
    "queue.close": "closed a queue",
    "queue.create": "made a queue",
    "queue.look": "looked before judging",
    "queue.prefer": "chose between two answers",
    "queue.refuse": "refused an item",
    "queue.undo": "took a decision back",
    "review.request": "asked for a review",
    "review.verdict": "gave a verdict",
    "review.withdraw": "withdrew a review",
    "run.cancel": "stopped a run",
    "run.cancelled": "saw a run stopped",
    "run.continue": "went on from a run",
    "run.failed": "saw a run fail",
    "run.launch": "launched a run",
    "run.lost": "lost sight of a run",
    "run.move": "moved a run in the queue",
    "run.prioritise": "gave a run another priority",
    "run.requeue": "put a lost run back in the queue",
    "run.rerun_stage": "did a stage again",
    "run.resume": "resumed a run",
    "run.succeeded": "finished a run",
    "runs.compare": "launched runs to compare",
    "scenario.create": "wrote a scenario",
    "scenario.edit": "edited a scenario",
    "scenario.record_results": "recorded scenario results",
    "scenario.restore": "restored a scenario",
    "scenario.retire": "retired a scenario",
    "suggestion.apply": "applied a suggestion",
    "suggestion.decline": "declined a suggestion",
    "thread.mention": "mentioned somebody in a thread",
    "thread.open": "opened a thread",
    "thread.reopen": "reopened a thread",
    "thread.reply": "replied in a thread",
    "thread.resolve": "resolved a thread",
    "traces.import": "imported traces",
    "version.publish": "published a version",
    "view.keep": "kept a view of the explorer",
    "view.remove": "removed a view of the explorer",
}
"""What stands after a person's name, for every verb of both apps: the ledger is one, and its readers are people."""


@register.filter
def person(user: User | None) -> str:
    """A person as named everywhere: the full name, else the sign-in name. No hidden marks in it are obeyed."""
    return spelled(name_of(user)) if user else "system"


@register.filter
def is_writer(user: User | AnonymousUser) -> bool:
    """Whether the person may edit drafts and publish. No query after the view asked for the role."""
    return access.can_write(user)


@register.filter
def is_engineer(user: User | AnonymousUser) -> bool:
    """Whether the person may launch runs. No query after the view asked for the role."""
    return access.has_role(user, access.Role.ENGINEER)


@register.filter
def writes_scenarios(user: User | AnonymousUser) -> bool:
    """Whether the person may write scenarios. No query after the view asked for the role."""
    return access.can_write_scenarios(user)


@register.filter
def verb_words(verb: str) -> str:
    """A ledger verb in words; one that has none yet reads "label override" for "label.override"."""
    return VERB_WORDS.get(verb, verb.replace(".", " ").replace("_", " "))


@register.filter
def web_address(url: str) -> str:
    """The address if a link may lead there (http, https), else nothing: sources are written by people."""
    return url if url.startswith(("https://", "http://")) else ""


@register.filter
def field_words(name: str) -> str:
    """A field's name as people read it: "critique request" for "critique_request"."""
    return name.replace("_", " ")


@register.filter
def first_word(name: str) -> str:
    """The first word of a field's name: "critique" for "critique_request"."""
    return name.partition("_")[0]


@register.filter
def next_of(index: int, items: Sequence[Any]) -> Any:
    """The item after the one at `index`, for a list that shows each with its neighbour."""
    return items[index + 1]


@register.filter
def plainly(value: Any) -> str:
    """A value of a principle in words: yes and no, lists with commas, numbers without needless zeros."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    if hasattr(value, "document"):
        return ", ".join(filter(None, (value.document, value.article, value.url))) or "none"
    return str(value)
