from __future__ import annotations

import numpy as np
import pytest

from training_app.core.calibration import calibrate
from training_app.core.statistics import expected_calibration_error


def test_a_calibrated_judge_has_a_small_error_and_an_overconfident_one_a_large_one() -> None:
    rng = np.random.default_rng(4)
    said = rng.uniform(0, 1, 5000)
    chosen = rng.uniform(0, 1, 5000) < said
    good, bad = (
        calibrate(said.tolist(), chosen.tolist()),
        calibrate((said > 0.5).astype(float).tolist(), chosen.tolist()),
    )
    assert good.ece.value is not None and good.ece.value < 0.03
    assert bad.ece.value is not None and bad.ece.value > 0.2
    assert [bin.chosen.n for bin in bad.bins] == [int((said <= 0.5).sum()), int((said > 0.5).sum())]


@pytest.mark.xdist_group("scipy")
def test_figures_are_those_of_the_house_and_of_scikit_learn() -> None:
    from sklearn.metrics import brier_score_loss

    rng = np.random.default_rng(5)
    said = rng.uniform(0, 1, 300)
    chosen = rng.uniform(0, 1, 300) < 0.4
    found = calibrate(said.tolist(), chosen.tolist())
    assert found.ece.value == pytest.approx(
        expected_calibration_error(said.tolist(), chosen.astype(float).tolist()), abs=1e-12
    )
    assert found.brier.value == pytest.approx(brier_score_loss(chosen, said), abs=1e-12)
    assert found.brier.interval is not None and found.brier.value is not None
    low, high = found.brier.interval
    assert low < found.brier.value < high < 0.6


def test_p_of_one_belongs_to_the_last_bin() -> None:
    [bin] = calibrate([1.0, 0.95], [True, True]).bins
    assert (bin.low, bin.high, bin.chosen.n) == (0.9, 1.0, 2)
    assert bin.mean == pytest.approx(0.975)


def test_nothing_is_explained_and_few_items_are_marked() -> None:
    nothing = calibrate([], [])
    assert (nothing.bins, nothing.ece.value) == ((), None)
    assert "no item" in nothing.brier.note
    assert "chance" in calibrate([0.3], [True]).ece.note
    with pytest.raises(ValueError, match="2 probabilities and 1 choices"):
        calibrate([0.1, 0.2], [True])
