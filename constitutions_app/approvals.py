"""Read side: who approved a version before it was published, and whether that is what the rules ask for."""

from __future__ import annotations

from collections.abc import Iterable

from constitutions_app.core import principles as core
from constitutions_app.core.approval import altered
from constitutions_app.models import PublishingRules, Verdict, Version


def approvals_of(versions: Iterable[Version]) -> dict[int, tuple[Verdict, ...]]:
    """The approvals each version was published with, by primary key: the last word of each reviewer, if it is one.

    What was said of words with another meaning is none, nor what somebody said who had asked for the review. One query
    for all of them, and two more where words were put right between an approval and publishing: texts are read only
    to compare them.
    """
    rows = {version.pk: version for version in versions}
    last: dict[tuple[int, int], Verdict] = {}
    spoken = Verdict.objects.filter(review__version__in=rows).exclude(word=Verdict.Word.COMMENT)
    for verdict in spoken.select_related("person", "review__draft__constitution").defer("body"):
        version_id = verdict.review.version_id
        if version_id is not None and verdict.person_id != verdict.review.requested_by_id:
            last[version_id, verdict.person_id] = verdict
    found: dict[int, tuple[Verdict, ...]] = {}
    given = [(pk, verdict) for (pk, _), verdict in last.items() if verdict.word == Verdict.Word.APPROVE]
    strange = _of_other_meaning([(pk, verdict) for pk, verdict in given if verdict.digest != rows[pk].digest])
    for pk, verdict in given:
        if verdict.pk not in strange:
            found[pk] = (*found.get(pk, ()), verdict)
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


def _of_other_meaning(pairs: list[tuple[int, Verdict]]) -> frozenset[int]:
    """Of verdicts with the version each would count for: those said of words that mean something else. Two queries."""
    if not pairs:
        return frozenset()
    versions = Version.objects.filter(pk__in={pk for pk, _ in pairs}).values_list("pk", "canonical")
    now = {pk: core.from_json(text) for pk, text in versions}
    said = dict(Verdict.objects.filter(pk__in=[verdict.pk for _, verdict in pairs]).values_list("pk", "body"))
    return frozenset(verdict.pk for pk, verdict in pairs if altered(core.from_json(said[verdict.pk]), now[pk]))
