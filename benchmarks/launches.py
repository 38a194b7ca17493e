"""Every training algorithm from the launch form to a verified checkpoint, on the bundled model, as small as can be.

The form is sent as a browser sends it, three times: GRPO and DPO from the same SL-CAI, RLOO, PPO; SL-CAI and a reward
model are trained in each. A run does all of its stages as the programs they are. Then every checkpoint is verified as
`manage.py verify_checkpoint` does, and held against the database. What is learnt with so little is nothing; whether an
algorithm learns is measured by `benchmarks/algorithms.py`.

Results: seconds of each run; the checkpoints stand in the notes. A run that does not succeed, or a checkpoint that does
not verify, ends the command with an error.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # so that it runs as a file, too

from benchmarks import _measuring as measuring
from benchmarks._own_app import app_in, follow, seconds_of, somebody

LAUNCHES: Mapping[str, Mapping[str, Any]] = {
    "grpo and dpo": {"method": "both", "rl.algorithm": "grpo"},
    "rloo": {"method": "rl", "rl.algorithm": "rloo"},
    "ppo": {"method": "rl", "rl.algorithm": "ppo"},
}
SMALL: Mapping[str, Any] = {
    "max_prompts": 8, "heldout_fraction": 0.25, "revise.rounds": 1, "rl.steps": 2, "rl.generations": 2,
    "rl.prompts_per_step": 2, "rl.max_completion_length": 12,
    **{f"{stage}.sampling.max_new_tokens": 16 for stage in ("generate", "revise", "sample", "evaluate")},
}  # fmt: skip


class NotAsItShould(Exception):
    """A launch was refused, a run failed or a checkpoint does not verify; the message says which."""


def launch(name: str, options: Mapping[str, Any]) -> Any:
    """The run that the form launches with these options over the smallest ones. Raises NotAsItShould."""
    from django.test import Client

    from training_app.core.base_model import BUNDLED_NAME
    from training_app.forms import values_of_preset
    from training_app.models import PromptSet, Run

    values = {**values_of_preset("demo"), **SMALL, **options}
    values |= {"version": "harmless-assistant@1", "base_model": BUNDLED_NAME, "preset": "demo", "seed": 7, "name": name}
    for one in PromptSet.objects.all():
        values.setdefault(one.kind, []).append(one.slug)
    key = uuid4()
    sent = {field: "" if value is None else value for field, value in values.items() if value is not False}
    browser = Client(headers={"host": "localhost"})
    browser.force_login(somebody())
    answer = browser.post("/runs/new/", {**sent, "idempotency_key": str(key)})
    if answer.status_code != 302:
        raise NotAsItShould(f"{name}: the form was answered with {answer.status_code}.")
    return Run.objects.get(pk=key)


def checked(run: Any) -> list[str]:
    """A sentence for every checkpoint of a run that succeeded. Raises NotAsItShould."""
    from training_app import lineage
    from training_app.core.manifest import verify
    from training_app.models import Checkpoint
    from training_app.models.run import RunState

    run.refresh_from_db()
    if run.state != RunState.SUCCEEDED:
        raise NotAsItShould(f"{run.name}: {run.state}. {run.reason}")
    told = []
    for checkpoint in Checkpoint.objects.filter(run=run).select_related("version").order_by("pk"):
        found, agreement = verify(checkpoint.folder), lineage.database_agrees(checkpoint)
        if not found.ok or not agreement.ok:
            raise NotAsItShould(f"{run.name}, {checkpoint.stage}: {[*found.problems, agreement.sentence][0]}")
        told.append(
            f"{run.name}: {checkpoint.stage} verifies ({len(found.checked)} checks), sha256 {checkpoint.digest}"
        )
    return told


def main() -> None:
    """Launch, follow, verify, report."""
    parser = measuring.options("launches", (__doc__ or "").split("\n\n")[0])
    parser.add_argument("--folder", type=Path, default=None, help="where the app's data stay (default: thrown away)")
    said = parser.parse_args()
    report = measuring.Report("launches", measuring.machine(rounds=1), measuring.versions(["django", "trl"]))
    with tempfile.TemporaryDirectory(prefix="launches-") as scratch, app_in(said.folder or Path(scratch)):
        from django.core.management import call_command

        call_command("load_starter", verbosity=0)
        for name, options in LAUNCHES.items():
            run = launch(name, options)
            follow([run])
            report.notes += checked(run)
            report.results[name] = measuring.Figure.of([seconds_of(run)], "s")
    report.print()
    report.write(said.json)


if __name__ == "__main__":
    main()
