"""What the process imports from which warm programs are forked (tests/warm.py), in the way a stage does: offline."""

from __future__ import annotations

import os

from training_app.core import stage as program

os.environ["OMP_NUM_THREADS"] = "1"
program.stay_offline()
program.wait_asleep()
import trl.trainer.grpo_trainer  # noqa: E402  # the environment first; imported for whoever is forked
import trl.trainer.reward_trainer  # noqa: E402
import trl.trainer.sft_trainer  # noqa: E402, F401
