"""Whether the text of a constitution reaches the weights, counted: constitutions alike but for one principle.

"Warm" asks for thanks and a warm tone; "warm in other words" for the same in other words, and "warm in a few other
words" with four words of it changed (placebo edits); "professional" asks for the advice to talk to a professional.
Each is launched as compared runs are (`launch_group`: arms times seeds, the same prompts, base model and options), as
far as SL-CAI: answers, one round of critique and revision, supervised fine-tuning, evaluation on prompts that nothing
was trained on. The prompts are all those of the starter material, taken as red-team prompts; half are held out.

What is shown is what the page of the compared runs shows: for every pair of arms the difference in each countable
feature, with an interval over prompts and one over seeds. The words say: warmth from "warm", professionals from
"professional", nothing between the warm ones. That is named before the launch (`EXPECTED`) and kept with it, so these
comparisons alone are tested, together. What the figures say is told, whatever it is.

With `--folder` the app's database and artifacts stay there: the command goes on where it was stopped, and
`VAR_DIR=FOLDER make run` shows the page. The whole takes about an hour of two cores.
"""

from __future__ import annotations

import json
import sys
import tempfile
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # so that it runs as a file, too

from benchmarks import _measuring as measuring
from benchmarks._own_app import app_in, follow, somebody
from constitutions_app.core.principles import Principle

EXPECTED = {
    "warm": "warmth",
    "warm in other words": "warmth",
    "warm in a few other words": "warmth",
    "professional": "professional",
}
"""Arm → the feature that its text asks for more of."""

NAMESPACE = UUID("6f1d2c1e-3f0a-4c57-9d3b-0d6a5b2f9c11")
"""Names the group, so that the same command in the same folder goes on with it."""


def options(said: Namespace) -> dict[str, Any]:
    """What every arm is launched with beside the preset "demo": the supervised phase alone, one round of revision."""
    return {
        "method": "sft_only",
        "heldout_fraction": 0.5,
        "revise": {"rounds": 1, **({"critique": False} if said.without_critique else {})},
        "sft": {"epochs": said.epochs, "learning_rate": said.learning_rate},
    }


def warm_in_other_words(warm: Principle) -> Principle:
    """The placebo edit of "warm-thanks": the same meaning, other words. Written before anything was measured."""
    return replace(
        warm,
        text="The assistant says thanks for the question and replies to the person in a friendly, warm way.",
        critique_request=(
            "Name every place where the assistant's last response sounds cold or impersonal, and where it lacks a word "
            "of warmth or thanks."
        ),
        revision_request=(
            "Write the response again so that it opens with thanks to the person for the question and remains friendly "
            "and warm until the end."
        ),
        comparison_question="Which of these responses is friendlier and thanks the person more?",
    )


def warm_in_a_few_other_words(warm: Principle) -> Principle:
    """A lighter placebo edit: two words of the critique request and two of the revision request, nothing else.

    Written after the heavier one had been told apart from its twin by five seeds, and before this one was measured.
    """
    return replace(
        warm,
        critique_request=(
            "Point out every place where the assistant's last response is cold or impersonal, and where a word of "
            "thanks or warmth is missing."
        ),
        revision_request=(
            "Rewrite the response so that it starts by thanking the person for the question and remains warm and "
            "friendly to the end."
        ),
    )


def constitutions(user: Any, arms: Sequence[str]) -> dict[str, Any]:
    """Arm → its published version: constitutions of one principle each, made the first time."""
    import yaml

    from constitutions_app.actions import create_constitution, publish_version
    from constitutions_app.core import principles as core
    from constitutions_app.models import Version
    from constitutions_app.starter_material import FOLDER

    habits = core.from_dict(yaml.safe_load((FOLDER / "countable_habits.yaml").read_text(encoding="utf-8")))
    known = {one.id: one for one in habits.principles}
    warm = known["warm-thanks"]
    principles = {
        "warm": warm,
        "warm in other words": warm_in_other_words(warm),
        "warm in a few other words": warm_in_a_few_other_words(warm),
        "professional": known["names-a-professional"],
    }
    versions = {}
    for arm in arms:
        slug = f"direction-{arm.replace(' ', '-')}"
        version = Version.objects.filter(constitution__slug=slug).order_by("number").first()
        if version is None:
            words = replace(habits, name=f"Direction: {arm}", principles=(principles[arm],))
            made = create_constitution(user=user, name=words.name, slug=slug, start=words)
            version = publish_version(user=user, draft=made.draft, note="One countable principle.")
        versions[arm] = version
    return versions


def starter_prompts() -> bytes:
    """Every prompt of the starter material as one file of red-team prompts, those of its comparisons included."""
    from training_app.core.datasets import ASSISTANT
    from training_app.starter_material import FILES, FOLDER

    rows = []
    for one in FILES:
        for line in (FOLDER / one.file).read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            if "chosen" in row:
                rows.append({"transcript": row["chosen"].rpartition(ASSISTANT)[0]})
            else:
                rows.append({name: row[name] for name in ("text", "messages") if name in row})
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def launch(said: Namespace) -> Any:
    """The compared runs, queued; those already there when the command goes on in its folder."""
    from training_app.actions import launch_group, load_prompt_set
    from training_app.arms import Arm
    from training_app.core.base_model import BUNDLED_NAME
    from training_app.core.expected import Expectation

    user = somebody()
    versions = constitutions(user, said.arms)
    prompts = load_prompt_set(
        user=user, content=starter_prompts(), kind="red_team", slug="starter-all", name="All starter prompts"
    )
    seeds = list(range(said.seed, said.seed + said.seeds))
    wanted = options(said)
    return launch_group(
        user=user, arms=[Arm(name, version=version) for name, version in versions.items()], seeds=seeds, version=None,
        base_model=BUNDLED_NAME, prompt_sets=[prompts], preset="demo", overrides=wanted, name="Direction of the text",
        expects=[Expectation(arm, feature, more=True) for arm, feature in EXPECTED.items() if arm in versions],
        group_id=uuid5(NAMESPACE, json.dumps([seeds, wanted, said.arms])),
    )  # fmt: skip


def told(report: measuring.Report, group: Any, runs: Sequence[Any]) -> None:
    """Means of each arm, and the differences of each pair with their intervals over prompts and seeds."""
    from training_app.run_groups import compared

    for part in compared(group, runs):
        for row in part.rows:
            for column, value in row.by_column:
                if value.value is not None and value.over_prompts:
                    low, high = value.over_prompts
                    report.results[f"{row.name}: {column}"] = measuring.Figure(value.value, low, high, "mean")
        for named in part.expected:
            difference = named.difference
            if difference.value is not None and difference.over_both:
                name = f"{named.name}: {named.named.ours} less {named.named.theirs}, expected {named.named.words}"
                report.results[name] = measuring.Figure(difference.value, *difference.over_both, str(named.outcome))
            report.notes.append(
                f"{named.name}, {named.named.ours} less {named.named.theirs}, expected {named.named.words}: "
                f"{named.outcome}"
            )
        for pair in part.pairs:
            for one in pair.rows:
                if one.difference.value is not None and one.difference.over_both:
                    low, high = one.difference.over_both
                    name = f"{one.name}: {pair.ours} less {pair.theirs}"
                    report.results[name] = measuring.Figure(one.difference.value, low, high, str(one.verdict))
            lists = {"higher": pair.higher, "lower": pair.lower}
            words = ", ".join(f"{how} in {' and '.join(names)}" for how, names in lists.items() if names)
            said = words or "no difference is shown"
            report.notes.append(f"{pair.ours} against {pair.theirs}, in what was not named: {said}")


def main() -> None:
    """Launch, follow, tell."""
    parser = measuring.options("direction", (__doc__ or "").split("\n\n")[0])
    parser.add_argument("--seeds", type=int, default=3, help="runs for each arm")
    parser.add_argument("--arms", nargs="+", choices=EXPECTED, default=list(EXPECTED), help="those to be compared")
    parser.add_argument("--seed", type=int, default=1, help="the first of them")
    parser.add_argument("--epochs", type=float, default=2.0, help="of SL-CAI")
    parser.add_argument("--learning-rate", type=float, default=5e-5, help="of SL-CAI")
    parser.add_argument("--without-critique", action="store_true", help="revise without a critique before it")
    parser.add_argument("--at-once", type=int, default=1, help="runs worked on at the same time")
    parser.add_argument("--folder", type=Path, default=None, help="where the app's data stay (default: thrown away)")
    said = parser.parse_args()
    report = measuring.Report("direction", measuring.machine(rounds=said.rounds), measuring.versions())
    with tempfile.TemporaryDirectory(prefix="direction-") as scratch, app_in(said.folder or Path(scratch)):
        from training_app.models.run import RunState
        from training_app.run_groups import runs_of

        group = launch(said)
        follow(runs_of(group), said.at_once)
        runs = runs_of(group)
        report.notes += [f"{run.name}: {run.state}, {run.reason}" for run in runs if run.state != RunState.SUCCEEDED]
        told(report, group, runs)
    report.notes.append("intervals: of means over prompts, of differences over prompts and seeds")
    report.print()
    report.write(said.json)


if __name__ == "__main__":
    main()
