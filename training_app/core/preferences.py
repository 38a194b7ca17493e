"""AI labels and human comparisons become the rows a reward model learns from (arXiv 2212.08073, section 4.2).

One row a comparison: its labels, one per principle asked, become one soft target p(A) (`aggregate.py`), computed from
the raw log-probabilities, so the same labels can be aggregated and clamped otherwise without the judge. A person's
verdict on a label stands in for its p(A): 1, 0 or 1/2. Every label that was left out is counted with its reason.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from training_app.core.aggregate import Aggregation, clamped, combined, neither_of, p_of, votes_of
from training_app.core.asking import ALL
from training_app.core.datasets import Build, Excluded, Row, prompt_text, same_prompt
from training_app.core.errors import BadInput
from training_app.core.gate import DROPPED, dropping_flag

VERDICTS = (0.0, 0.5, 1.0)
"""What a person's verdict on an AI label can be as p(A): b is better, neither, a is better."""

OVERRIDDEN = "people override it"
NOT_RELEVANT = "no principle is relevant"
EVALUATED = "its prompt is evaluated on"


@dataclass(frozen=True)
class Preferences:
    """The rows, and for each row made of AI labels the keys of its labels, in their order."""

    build: Build
    labels: Mapping[str, tuple[str, ...]]


def preference_rows(
    labels: Iterable[Mapping[str, Any]],
    comparisons: Iterable[Mapping[str, Any]],
    human: Iterable[Mapping[str, Any]] = (),
    overrides: Mapping[str, float] | None = None,
    *,
    aggregation: Aggregation | None = None,
    dropped: Collection[str] = (),
    lighter: Mapping[str, float] | None = None,
    weights: Mapping[str, float] | None = None,
    human_weight: float = 1.0,
    evaluated: Collection[str] = (),
    name: str = "preferences",
) -> Preferences:
    """Rows ``{"id", "prompt", "messages"?, "response_a", "response_b", "p_a", "weight", "source"}``.

    `labels` and `comparisons` are those records' data, `human` rows ``{"id", "prompt", "messages"?, "chosen",
    "rejected"}``; `overrides` maps a label's key ("<comparison id>/<principle id>") to 1.0, 0.0 or 0.5; `weights` are
    those of the principles, all equal without; `evaluated` are the `same_prompt` of prompts that models are evaluated
    on, whose human comparisons are left out. Labels in `dropped` are left out because people override them; a row with
    a label in `lighter` weighs that instead of 1 (the least, with several). Raises BadInput for an override of a label
    that is not there, of another value, or an aggregation over an order nobody asked.
    """
    aggregation, overrides = aggregation or Aggregation(), dict(overrides or {})
    compared = {comparison_id(row): row for row in comparisons}
    keyed = sorted((label_key(row), row) for row in labels)
    _check_overrides(overrides, {key for key, _ in keyed})
    excluded: list[Excluded] = []
    by_comparison: dict[str, list[tuple[str, Mapping[str, Any]]]] = {}
    for key, label in keyed:
        if key in dropped:
            excluded.append(Excluded(key, OVERRIDDEN))
        elif reason := _unusable(compared.get(str(label["comparison_id"])), label, key in overrides, aggregation):
            excluded.append(Excluded(key, reason))
        else:
            by_comparison.setdefault(str(label["comparison_id"]), []).append((key, label))
    rows = []
    for comparison, judged in by_comparison.items():
        row = compared[comparison]
        ps = [overrides.get(key, _p_a(key, label, aggregation)) for key, label in judged]
        shares = [(weights or {}).get(str(label["principle_id"]), 1.0) for _, label in judged]
        audited = [key for key, _ in judged if key in overrides]
        p_a = combined(ps, shares, aggregation.how)
        p_a = p_a if len(audited) == len(judged) else clamped(p_a, aggregation.clamp)  # what people said is not clamped
        rows.append(
            _pair(comparison, row, row["response_a"], row["response_b"])
            | {"p_a": float(p_a), "weight": _weight(judged, lighter or {}), "source": "audit" if audited else "ai"}
        )
    taken = {comparison: tuple(key for key, _ in judged) for comparison, judged in by_comparison.items()}
    return Preferences(
        Build(name, (*rows, *_human_rows(human, human_weight, evaluated, excluded)), tuple(excluded)), taken
    )


def revision_rows(
    steps: Iterable[Mapping[str, Any]],
    human: Iterable[Mapping[str, Any]] = (),
    *,
    dropped: Sequence[str] = DROPPED,
    human_weight: float = 1.0,
    evaluated: Collection[str] = (),
    name: str = "preferences",
) -> Build:
    """Pairs of each prompt's last kept revision (A, p = 1) against its initial response, and the human comparisons.

    `steps` are those records' data with "initial" added. Revisions equal to the initial response make no pair.
    """
    excluded: list[Excluded] = []
    last: dict[str, Mapping[str, Any]] = {}
    for step in sorted(steps, key=lambda row: (str(row["prompt_id"]), int(row["round"]))):
        if flag := dropping_flag(step, dropped):
            excluded.append(Excluded(f"{step['prompt_id']}/{step['round']}", f"flagged {flag}"))
        else:
            last[str(step["prompt_id"])] = step
    rows = []
    for prompt, step in last.items():
        key = f"{prompt}/{step['round']}"
        if step["revision"].strip() == step["initial"].strip():
            excluded.append(Excluded(key, "revision and first answer are identical"))
        else:
            pair = _pair(key, step, step["revision"], step["initial"])
            rows.append(pair | {"p_a": 1.0, "weight": 1.0, "source": "revision"})
    return Build(name, (*rows, *_human_rows(human, human_weight, evaluated, excluded)), tuple(excluded))


def _weight(judged: Iterable[tuple[str, Any]], lighter: Mapping[str, float]) -> float:
    return min([1.0, *(lighter[key] for key, _ in judged if key in lighter)])


def comparison_id(row: Mapping[str, Any]) -> str:
    """The id labels use for a comparison: its own, or (as a stage records it) its prompt's."""
    return str(row["id"] if "id" in row else row["prompt_id"])


def label_key(label: Mapping[str, Any]) -> str:
    """How a label is named: "<comparison id>/<principle id>", with "*" for all principles at once."""
    return f"{label['comparison_id']}/{label['principle_id'] or ALL}"


def _unusable(
    comparison: Mapping[str, Any] | None, label: Mapping[str, Any], is_overridden: bool, aggregation: Aggregation
) -> str:
    """Why a label is left out; "" when it is used. What a person decided is relevant."""
    if comparison is None:
        return "its comparison is not there"
    if comparison.get("identical") or comparison["response_a"] == comparison["response_b"]:
        return "identical responses"
    if aggregation.drop_irrelevant and not is_overridden and (neither_of(votes_of(label)) or 0.0) > 0.5:
        return NOT_RELEVANT
    return ""


def _p_a(key: str, label: Mapping[str, Any], aggregation: Aggregation) -> float:
    """p(A) of one label from its raw log-probabilities; a label that kept none has only what it was given."""
    votes = votes_of(label)
    if not votes and aggregation.orders == "both":
        return float(label["p_a"])
    try:
        return p_of(votes, aggregation.orders)
    except ValueError as error:
        raise BadInput(f"The label {key} was not asked in the order {aggregation.orders!r}.") from error


def _human_rows(
    human: Iterable[Mapping[str, Any]], weight: float, evaluated: Collection[str], excluded: list[Excluded]
) -> Sequence[Row]:
    rows = []
    for choice in sorted(human, key=lambda row: str(row["id"])):
        key = str(choice["id"])
        if choice["chosen"] == choice["rejected"]:
            excluded.append(Excluded(key, "identical responses"))
        elif weight == 0:
            excluded.append(Excluded(key, "human comparisons weigh nothing"))
        elif evaluated and same_prompt(prompt_text(choice)) in evaluated:
            excluded.append(Excluded(key, EVALUATED))
        else:
            pair = _pair(key, choice, choice["chosen"], choice["rejected"])
            rows.append(pair | {"p_a": 1.0, "weight": float(weight), "source": "human"})
    return rows


def _check_overrides(overrides: Mapping[str, float], keys: set[str]) -> None:
    if unknown := sorted(set(overrides) - keys):
        raise BadInput(f"There is an override for the label {unknown[0]}, which is not among the labels.")
    if wrong := sorted(key for key, value in overrides.items() if value not in VERDICTS):
        raise BadInput(f"The override for {wrong[0]} is {overrides[wrong[0]]!r}; it can be 1, 0 or 0.5.")


def _pair(key: str, row: Mapping[str, Any], response_a: str, response_b: str) -> Row:
    pair: Row = {"id": key, "prompt": row["prompt"], "response_a": response_a, "response_b": response_b}
    return pair | ({"messages": row["messages"]} if row.get("messages") else {})
