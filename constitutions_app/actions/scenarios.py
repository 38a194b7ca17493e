"""Verbs on scenarios: written, edited, retired and restored by people; their results told by whoever ran them.

A scenario is no part of the digested constitution: changing one changes no version. What a judge said of it stays with
the digests of the words it was said of, so an edited scenario or an edited principle has no result until it is run.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import count
from typing import Any

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone
from django.utils.text import slugify

from constitutions_app.actions.drafting import Refused
from constitutions_app.core import scenarios as core
from constitutions_app.core.principles import normalise
from constitutions_app.ledger import record
from constitutions_app.models import Constitution, Scenario, ScenarioResult

SCENARIO_FIELDS = frozenset({"title", "principles", "prompt", "response_a", "response_b", "expected", "note"})
MAX_SCENARIO_TEXT = 200_000
"""Most characters of a prompt or response: a long conversation fits, a book does not."""


class ScenarioConflict(Exception):
    """Somebody saved the scenario in between. `current` is the row as it stands now; nothing was changed."""

    def __init__(self, current: Scenario) -> None:
        super().__init__("Somebody else saved this scenario in the meantime; nothing was changed.")
        self.current = current


@dataclass(frozen=True)
class Result:
    """What a judge said of one scenario under one principle ("" stands for the whole constitution).

    `p_expected` is the probability, in [0, 1], of the expected response, averaged over both orders.
    """

    scenario: Scenario
    principle: str
    p_expected: float


def create_scenario(
    *,
    user: User,
    constitution: Constitution,
    prompt: str,
    title: str = "",
    principles: Sequence[str] = (),
    response_a: str = "",
    response_b: str = "",
    expected: str = "",
    note: str = "",
    origin: Mapping[str, object] | None = None,
) -> Scenario:
    """A new scenario. `origin` says what it was made from: {"kind": "label", "id": 7, ..}, with plain JSON values.

    Raises Refused, in one sentence, for an empty prompt or a part that does not fit.
    """
    value = core.Scenario(
        id="",
        title=title,
        principles=tuple(principles),
        prompt=prompt,
        response_a=response_a,
        response_b=response_b,
        expected=expected,
        note=note,
    )
    with transaction.atomic():
        row = scenario_rows(user, constitution, [value], origin or {"kind": "written"})[0]
        row.save()
        record(actor=user, verb="scenario.create", obj=constitution, data=_told(row) | {"origin": row.origin})
    return row


def edit_scenario(*, user: User, scenario: Scenario, revision: int, changes: Mapping[str, Any]) -> Scenario:
    """Save some fields. `revision` is the one they were read at. Raises ScenarioConflict, Refused."""
    if unknown := set(changes) - SCENARIO_FIELDS:
        raise Refused(f"A scenario has no field {sorted(unknown)[0]!r} that can be edited.")
    with transaction.atomic():
        row = _locked(scenario)
        wanted = {name: new for name, value in changes.items() if (new := _plain(value)) != getattr(row, name)}
        if not wanted:
            return row
        if row.revision != revision:
            raise ScenarioConflict(row)
        for name, value in wanted.items():
            setattr(row, name, value)
        _check(row)
        row.revision += 1
        row.updated_by = user
        row.save()
        data = {**_named(row), "revision": row.revision, "set": wanted}
        record(actor=user, verb="scenario.edit", obj=row.constitution, data=data)
    return row


def retire_scenario(*, user: User, scenario: Scenario) -> Scenario:
    """Take a scenario out of use; it and its results stay readable, and `restore_scenario` brings it back."""
    return _set_retired(user, scenario, retired=True)


def restore_scenario(*, user: User, scenario: Scenario) -> Scenario:
    """Bring a retired scenario back into use."""
    return _set_retired(user, scenario, retired=False)


def record_scenario_result(
    *,
    user: User | None,
    scenario: Scenario,
    principle: str,
    p_expected: float,
    constitution_digest: str,
    judge_digest: str,
    judge_name: str,
) -> ScenarioResult:
    """Keep one result. See `record_scenario_results`."""
    return record_scenario_results(
        user=user,
        constitution=scenario.constitution,
        results=[Result(scenario, principle, p_expected)],
        constitution_digest=constitution_digest,
        judge_digest=judge_digest,
        judge_name=judge_name,
    )[0]


def record_scenario_results(
    *,
    user: User | None,
    constitution: Constitution,
    results: Sequence[Result],
    constitution_digest: str,
    judge_digest: str,
    judge_name: str,
) -> list[ScenarioResult]:
    """Keep what one judge said of some scenarios under the text with `constitution_digest`; one ledger entry for all.

    Each result also names the scenario's own words by their digest. Raises Refused, nothing written, for a digest that
    is none, a probability outside [0, 1], a principle the scenario is not attached to, or one that cannot be judged.
    """
    for digest in (constitution_digest, judge_digest):
        if len(digest) != 64 or set(digest) - set("0123456789abcdef"):
            raise Refused("A digest is 64 hexadecimal digits.")
    for result in results:
        _check_result(constitution, result)
    with transaction.atomic():
        rows = [
            ScenarioResult(
                scenario=result.scenario,
                scenario_digest=core.digest(result.scenario.to_core()),
                constitution_digest=constitution_digest,
                principle=result.principle,
                judge_digest=judge_digest,
                judge_name=normalise(judge_name)[:200],
                p_expected=result.p_expected,
            )
            for result in results
        ]
        rows = ScenarioResult.objects.bulk_create(rows)
        data = {
            "digest": constitution_digest,
            "judge": {"digest": judge_digest, "name": normalise(judge_name)[:200]},
            "results": [[row.scenario.key, row.principle, row.p_expected] for row in rows],
        }
        record(actor=user, verb="scenario.record_results", obj=constitution, data=data)
    return rows


def scenario_rows(
    user: User, constitution: Constitution, values: Iterable[core.Scenario], origin: Mapping[str, object]
) -> list[Scenario]:
    """Unsaved rows with free keys, for verbs that store scenarios along with something else. Raises Refused.

    The constitution's row is locked, so that two people who write at once do not get the same key.
    """
    Constitution.objects.select_for_update(no_key=True).get(pk=constitution.pk)
    taken = set(Scenario.objects.filter(constitution=constitution).values_list("key", flat=True))
    rows = []
    for value in values:
        row = Scenario(
            constitution=constitution,
            key=_free_key(value.id or value.title or value.prompt, taken),
            **{name: _plain(part) for name, part in asdict(value).items() if name in SCENARIO_FIELDS},
            origin=dict(origin),
            created_by=user,
            updated_by=user,
        )
        _check(row)
        taken.add(row.key)
        rows.append(row)
    return rows


def _set_retired(user: User, scenario: Scenario, *, retired: bool) -> Scenario:
    with transaction.atomic():
        row = _locked(scenario)
        if bool(row.retired_at) == retired:
            return row
        row.retired_at = timezone.now() if retired else None
        row.revision += 1
        row.updated_by = user
        row.save()
        verb = "scenario.retire" if retired else "scenario.restore"
        record(actor=user, verb=verb, obj=row.constitution, data=_named(row))
    return row


def _locked(scenario: Scenario) -> Scenario:
    rows = Scenario.objects.select_related("constitution", "updated_by")
    return rows.select_for_update(of=("self",)).get(pk=scenario.pk)


def _check(row: Scenario) -> None:
    """Raises Refused naming the part that does not fit."""
    if not row.prompt:
        raise Refused("A scenario needs a prompt.")
    for name in ("prompt", "response_a", "response_b", "note"):
        if len(getattr(row, name)) > MAX_SCENARIO_TEXT:
            raise Refused(f"The {name.replace('_', ' ')} has more than {MAX_SCENARIO_TEXT:,} characters; shorten it.")
    try:
        row.clean_fields()
    except ValidationError as error:
        name, sentences = next(iter(error.message_dict.items()))
        raise Refused(f"Scenario “{row}”, {name.replace('_', ' ')}: {sentences[0]}") from error


def _check_result(constitution: Constitution, result: Result) -> None:
    scenario = result.scenario
    if scenario.constitution_id != constitution.pk:
        raise Refused(f"“{scenario}” belongs to another constitution.")
    if not scenario.is_complete:
        raise Refused(f"“{scenario}” lacks a response or what is expected, so no judge can have been asked.")
    if result.principle and result.principle not in scenario.principles:
        raise Refused(f"“{scenario}” is not attached to the principle {result.principle!r}.")
    if not 0 <= result.p_expected <= 1:
        raise Refused(f"The probability {result.p_expected} lies outside 0 and 1.")


def _plain(value: Any) -> Any:
    """Texts normalised as principles are; lists of keys without repetitions."""
    if isinstance(value, str):
        return normalise(value)
    return list(dict.fromkeys(map(normalise, value)))


def _named(row: Scenario) -> dict[str, Any]:
    """What every entry about a scenario says. The only principle is named, so that its activity shows the entry."""
    only = {"principle": row.principles[0]} if len(row.principles) == 1 else {"principles": list(row.principles)}
    return {"scenario": row.key, "title": str(row)} | only


def _told(row: Scenario) -> dict[str, Any]:
    """The whole scenario, so that the ledger can show what was written."""
    return _named(row) | {"set": {name: getattr(row, name) for name in sorted(SCENARIO_FIELDS)}}


def _free_key(wanted: str, taken: set[str]) -> str:
    stem = slugify(wanted[:200])[:60].strip("-_") or f"scenario-{secrets.token_hex(4)}"
    if stem not in taken | {"new"}:  # the address of a page
        return stem
    return next(key for number in count(2) if (key := f"{stem}-{number}") not in taken)
