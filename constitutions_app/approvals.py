"""Read side: who approved a version before it was published, and whether that is what the rules ask for."""

from __future__ import annotations

from collections.abc import Iterable

from constitutions_app.core import principles as core
from constitutions_app.core.approval import altered
from constitutions_app.models import PublishingRules, Verdict, Version


def approvals_of(versions: Iterable[Version]) -> dict[int, tuple[Verdict, ...]]:
    """The approvals each version was published with, by primary key: the last word of each reviewer, if it is one.

    What was said of words with another meaning is none, nor what somebody said who had asked for the review. One query
    for all of them.
    """
    rows = {version.pk: version for version in versions}
    last: dict[tuple[int, int], Verdict] = {}
    spoken = Verdict.objects.filter(review__version__in=rows).exclude(word=Verdict.Word.COMMENT)
    for verdict in spoken.select_related("person", "review__draft__constitution"):
        version_id = verdict.review.version_id
        if version_id is not None and verdict.person_id != verdict.review.requested_by_id:
            last[version_id, verdict.person_id] = verdict
    found: dict[int, tuple[Verdict, ...]] = {}
    for (version_id, _), verdict in last.items():
        if verdict.word == Verdict.Word.APPROVE and _is_of(verdict, rows[version_id]):
            found[version_id] = (*found.get(version_id, ()), verdict)
    return found


def missing_approvals(version: Version) -> str:
    """Why a version may not be called approved, as one sentence; empty when it may, or when no rule asks for it."""
    rules = PublishingRules.objects.filter(constitution_id=version.constitution_id).first()
    required = rules.required_approvals if rules else 0
    given = len(approvals_of([version]).get(version.pk, ())) if required else 0
    if given >= required:
        return ""
    asked = f"{required} approval{'' if required == 1 else 's'}"
    return f"{version} was published with {given} of the {asked} that the rules ask for, so it is not approved."


def _is_of(verdict: Verdict, version: Version) -> bool:
    """Whether a verdict was said of what the version says, slips aside."""
    return verdict.digest == version.digest or not altered(core.from_json(verdict.body), version.to_core())
