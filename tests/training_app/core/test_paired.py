from __future__ import annotations

import random

import pytest

from training_app.core.paired import Paired, Verdict, crossed_mean, paired_difference, verdicts, whole_table


def test_the_difference_is_the_mean_over_prompts_and_seeds_of_what_both_measured() -> None:
    """Prompts 1 and 2 with seeds 7 and 8; prompt 3 was answered by one arm alone, seed 9 by one arm alone."""
    ours = {(1, 7): 3.0, (1, 8): 4.0, (2, 7): 2.0, (2, 8): 2.0, (3, 7): 9.0}
    theirs = {(1, 7): 1.0, (1, 8): 1.0, (2, 7): 1.0, (2, 8): 5.0, (1, 9): 4.0}
    found = paired_difference(ours, theirs)
    assert found.value == pytest.approx(0.75) and found.prompts == 2
    assert found.by_seed == pytest.approx((1.5, 0.0))


def test_the_interval_over_both_is_the_one_computed_by_hand() -> None:
    """d = [[1, 2], [3, 6]]: mean 3, prompts 1.5 and 4.5, seeds 2 and 4, so MS_q = 9, MS_s = 4.

    Its standard error is √(13 / 4) = 1.8028 with 13² / (81 + 16) = 1.7423 degrees of freedom, t = 4.9740 there.
    """
    found = crossed_mean({(1, 7): 1.0, (1, 8): 2.0, (2, 7): 3.0, (2, 8): 6.0})
    assert found.over_both == pytest.approx((3 - 4.97403 * 1.802776, 3 + 4.97403 * 1.802776), abs=1e-4)
    assert found.over_prompts is not None
    assert found.over_prompts[0] >= 1.5 and found.over_prompts[1] <= 4.5


def noisy(
    effect: float, start: int, *, prompts: int = 64, seeds: int = 3, run: float = 1.0
) -> dict[tuple[int, int], float]:
    """Prompts differ far more from each other than arms do; every run leans some way by chance; the rest is noise."""
    shared, own = random.Random(5), random.Random(start)
    of_prompt = [shared.gauss(0, 10) for _ in range(prompts)]
    leaning = [own.gauss(0, run) for _ in range(seeds)]
    return {
        (q, s): of_prompt[q] + effect + leaning[s] + own.gauss(0, 2) for q in range(prompts) for s in range(seeds)
    }  # fmt: skip


def test_pairing_finds_what_prompts_would_hide() -> None:
    found = paired_difference(noisy(3.0, 2, run=0.2), noisy(0.0, 1, run=0.2))
    assert found.over_both is not None and 0 < found.over_both[0] < 3.0 < found.over_both[1]
    assert verdicts([found]) == [Verdict.HIGHER]


def test_between_runs_of_one_text_only_the_interval_over_both_finds_nothing() -> None:
    """Placebos whose runs lean by chance: an interval over prompts alone is wrong about a third of them."""
    over_prompts = over_both = 0
    for start in range(10, 610, 2):
        found = paired_difference(noisy(0.0, start, run=0.5), noisy(0.0, start + 1, run=0.5), resamples=200)
        assert found.over_prompts and found.over_both
        over_prompts += not found.over_prompts[0] <= 0 <= found.over_prompts[1]
        over_both += not found.over_both[0] <= 0 <= found.over_both[1]
    assert over_prompts > 75
    assert over_both <= 26  # 5% of 300, and three standard errors of counting them


def test_what_is_called_a_difference_holds_for_all_figures_together() -> None:
    def of(p: float | None, value: float = 1.0) -> Paired:
        return Paired(value, (0.0, 0.0), (0.0, 0.0), (), 64, p)

    assert verdicts([of(0.03), of(0.001, -1.0), of(0.5), of(None)]) == [
        Verdict.CHANCE, Verdict.LOWER, Verdict.NONE, Verdict.UNTOLD
    ]  # fmt: skip
    assert verdicts([of(0.03)]) == [Verdict.HIGHER]
    assert verdicts([of(0.02), of(0.024), of(0.01)]) == [Verdict.HIGHER] * 3
    assert verdicts([]) == []


def test_a_run_that_is_still_being_evaluated_takes_no_prompts_away() -> None:
    whole = {(prompt, seed) for prompt in range(10) for seed in (1, 2)}
    assert whole_table(whole | {(0, 3), (1, 3)}) == (tuple(range(10)), (1, 2))
    assert whole_table(whole | {(prompt, 3) for prompt in range(9)}) == (tuple(range(9)), (1, 2, 3))
    assert whole_table(set()) == ((), ())


def test_what_cannot_be_told_is_said_in_words() -> None:
    nothing = paired_difference({(1, 7): 1.0}, {(1, 8): 1.0})
    assert nothing.value is None and "same seed" in nothing.note
    same = paired_difference({(1, 7): 1.0, (2, 7): 2.0}, {(1, 7): 1.0, (2, 7): 2.0})
    assert (same.value, same.over_prompts, same.over_both, same.at_most) == (0.0, (0.0, 0.0), None, None)
    assert "one seed" in same.note
    alike = crossed_mean({(q, s): 0.0 for q in range(3) for s in range(3)})
    assert (alike.over_both, alike.at_most, alike.note) == ((0.0, 0.0), 0.0, "it is the same everywhere")
    assert verdicts([nothing, same, alike]) == [Verdict.UNTOLD, Verdict.UNTOLD, Verdict.NONE]
    assert crossed_mean({}).note == "there is nothing to average"
