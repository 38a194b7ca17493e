from __future__ import annotations

import math
from typing import Any

import pytest

from training_app.core.aggregate import Aggregation
from training_app.core.datasets import Build
from training_app.core.errors import BadInput
from training_app.core.preferences import preference_rows


def label(comparison: str, principle: str, p_a: float, **more: Any) -> dict[str, Any]:
    return {"comparison_id": comparison, "principle_id": principle, "p_a": p_a, "p_a_clamped": None} | more


def comparison(prompt_id: str, a: str = "yes", b: str = "no", **more: Any) -> dict[str, Any]:
    return {"prompt_id": prompt_id, "prompt": f"ask {prompt_id}", "response_a": a, "response_b": b} | more


def preferences(*args: Any, **options: Any) -> Build:
    return preference_rows(*args, **options).build


def asked(ab: float, ba: float) -> list[dict[str, Any]]:
    """Raw askings whose p(A) are these in the two orders."""
    return [{"order": order, "logp_a": math.log(p), "logp_b": math.log(1 - p)} for order, p in (("ab", ab), ("ba", ba))]


def test_labels_become_soft_targets_and_human_choices_certain_ones() -> None:
    human = [{"id": "hh-1", "prompt": "q", "chosen": "good", "rejected": "bad"}]
    build = preferences([label("c1", "kind", 0.7)], [comparison("c1")], human, human_weight=2.0)
    assert build.rows == (
        {"id": "c1", "prompt": "ask c1", "response_a": "yes", "response_b": "no", "p_a": 0.7, "weight": 1.0,
         "source": "ai"},
        {"id": "hh-1", "prompt": "q", "response_a": "good", "response_b": "bad", "p_a": 1.0, "weight": 2.0,
         "source": "human"},
    )  # fmt: skip


def test_an_override_replaces_the_label_and_says_so() -> None:
    labels = [label("c1", "kind", 0.7), label("c2", "kind", 0.6)]
    build = preferences(labels, [comparison("c1"), comparison("c2")], overrides={"c1/kind": 0.0})
    assert [(row["p_a"], row["source"]) for row in build.rows] == [(0.0, "audit"), (0.6, "ai")]
    assert build.digest != preferences(labels, [comparison("c1"), comparison("c2")]).digest


def test_an_override_of_nothing_or_with_another_value_is_refused() -> None:
    with pytest.raises(BadInput, match="c9/kind"):
        preferences([label("c1", "kind", 0.7)], [comparison("c1")], overrides={"c9/kind": 1.0})
    with pytest.raises(BadInput, match=r"1, 0 or 0\.5"):
        preferences([label("c1", "kind", 0.7)], [comparison("c1")], overrides={"c1/kind": 0.9})


def test_a_comparison_is_one_row_however_many_principles_judged_it() -> None:
    labels = [label("c1", name, p) for name, p in (("kind", 0.7), ("calm", 0.5), ("true", 0.6))]
    found = preference_rows([*labels, label("c2", "kind", 0.5)], [comparison("c1"), comparison("c2")])
    assert [(row["id"], round(row["p_a"], 6), row["weight"]) for row in found.build.rows] == [
        ("c1", 0.6, 1.0), ("c2", 0.5, 1.0),
    ]  # fmt: skip
    assert found.labels == {"c1": ("c1/calm", "c1/kind", "c1/true"), "c2": ("c2/kind",)}


@pytest.mark.parametrize(
    ("how", "weights", "expected"),
    [
        ("mean", None, 0.5),
        ("mean", {"true": 2.0}, 0.475),
        ("majority", None, 1.0),
        ("majority", {"true": 2.0}, 0.5),
        ("product", None, 0.6 * 0.5 * 0.4 / (0.6 * 0.5 * 0.4 * 2)),
    ],
)
def test_any_aggregation_is_made_of_the_same_labels(
    how: str, weights: dict[str, float] | None, expected: float
) -> None:
    ps = {"kind": 0.6, "calm": 0.5 if how != "majority" else 0.7, "true": 0.4}
    labels = [label("c1", name, 0.123, votes=asked(p, p)) for name, p in ps.items()]
    build = preferences(labels, [comparison("c1")], aggregation=Aggregation(how=how), weights=weights)
    assert build.rows[0]["p_a"] == pytest.approx(expected)


def test_targets_come_from_the_raw_askings_in_the_orders_wanted_and_are_clamped_last() -> None:
    labels, compared = [label("c1", "kind", 0.123, votes=asked(0.9, 0.3))], [comparison("c1")]

    def p_a(**how: Any) -> float:
        return float(preferences(labels, compared, aggregation=Aggregation(**how)).rows[0]["p_a"])

    assert p_a() == pytest.approx(0.6)
    assert p_a(orders="ab") == pytest.approx(0.9)
    assert p_a(orders="ba") == pytest.approx(0.3)
    assert p_a(orders="ab", clamp=(0.4, 0.6)) == 0.6
    with pytest.raises(BadInput, match="c1/kind was not asked in the order 'ba'"):
        preferences([label("c1", "kind", 0.5)], compared, aggregation=Aggregation(orders="ba"))


def test_what_is_likelier_neither_than_not_is_left_out_unless_a_person_decided() -> None:
    away = [{"order": order, "logp_a": -3.0, "logp_b": -4.0, "logp_neither": -0.1} for order in ("ab", "ba")]
    labels = [label("c1", "kind", 0.7, votes=away), label("c1", "calm", 0.7, votes=asked(0.7, 0.7))]
    build = preferences(labels, [comparison("c1")])
    assert (build.rows[0]["p_a"], build.reasons) == (pytest.approx(0.7), {"no principle is relevant": 1})
    kept = preferences(labels, [comparison("c1")], aggregation=Aggregation(drop_irrelevant=False))
    assert kept.rows[0]["p_a"] == pytest.approx((0.7 + 1 / (1 + math.exp(-1))) / 2)
    decided = preferences(labels[:1], [comparison("c1")], overrides={"c1/kind": 0.0})
    assert decided.rows[0]["p_a"] == 0.0


def test_what_people_said_is_not_clamped() -> None:
    narrow = Aggregation(clamp=(0.4, 0.6))
    build = preferences([label("c1", "kind", 0.9)], [comparison("c1")], overrides={"c1/kind": 1.0}, aggregation=narrow)
    assert build.rows[0]["p_a"] == 1.0


def test_equal_responses_and_lost_comparisons_are_left_out_and_counted() -> None:
    labels = [label("c1", "kind", 0.5), label("gone", "kind", 0.5), label("c3", "kind", 0.5)]
    build = preferences(labels, [comparison("c1", "same", "same"), comparison("c3", identical=True)])
    assert build.rows == ()
    assert build.reasons == {"identical responses": 2, "its comparison is not there": 1}


def test_human_comparisons_of_no_weight_are_left_out() -> None:
    human = [{"id": "hh-1", "prompt": "q", "chosen": "good", "rejected": "bad"}]
    assert preferences([], [], human, human_weight=0).reasons == {"human comparisons weigh nothing": 1}
