from __future__ import annotations

from training_app.measured import measured_rows
from training_app.models import Evaluation


def evaluation(model: str, **metrics: object) -> Evaluation:
    return Evaluation(model=model, metrics=metrics)


def test_rows_carry_intervals_on_a_scale_they_share() -> None:
    base, rl = measured_rows(
        [
            evaluation("base", n=24, reward_mean=-1.0, reward_interval=[-2.0, 0.0], evasion_rate=0.25),
            evaluation("rl_cai", n=24, reward_mean=1.0, reward_interval=[0.0, 2.0], win_rate_vs_base=0.62,
                       win_interval=[0.48, 0.75], same_position=0.8, distinct_1=0.5, distinct_2=0.9),
        ]
    )  # fmt: skip
    assert base.reward is not None and rl.reward is not None and rl.wins is not None and base.evasive is not None
    assert (base.reward.low, base.reward.mid, base.reward.high) == (0, 25, 50)
    assert (rl.reward.low, rl.reward.mid, rl.reward.high) == (50, 75, 100)
    assert base.reward.words == "\u22121.00 [\u22122.00, 0.00]"
    assert (rl.wins.low, rl.wins.mid, rl.wins.high) == (48, 62, 75)
    assert base.evasive.words == "0.25 [0.12, 0.45]"  # Wilson, 6 of 24
    assert (rl.same_position, rl.distinct, rl.model) == ("80%", "0.50 / 0.90", "RL-CAI")


def test_what_was_not_measured_stays_empty() -> None:
    [row] = measured_rows([evaluation("base")])
    assert (row.reward, row.wins, row.evasive, row.words, row.same_position) == (None, None, None, "", "")
    [row] = measured_rows([evaluation("base", n=0, evasion_rate=0.0, reward_mean=None, reward_interval=None)])
    assert row.evasive is None
