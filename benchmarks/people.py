"""A judge against people, on files that others published: the paper's own traces, and human comparisons.

The traces of a `*_SLMADISON.jsonl` file are imported under the paper's own list of principles, so that they can be
browsed and audited. The first `--comparisons` pairs of an HH-RLHF file become a prompt set; a small run of the bundled
model under the starter constitution labels every one of them, and what people chose there comes back as verdicts, as
any file of annotated pairs does (`export_feedback`, `import_audits`). Then the pages of the numbers hold the judge
against people, with intervals; this command prints the same figures. The bundled model is no judge, and they say so.

With `--folder` the app's data stay there, and `VAR_DIR=FOLDER make run` shows them. It takes some ten minutes.
"""

from __future__ import annotations

import gzip
import sys
import tempfile
import threading
import time
from argparse import Namespace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # so that it runs as a file, too

from benchmarks import _measuring as measuring
from benchmarks._own_app import app_in, follow, somebody

LOOK_EVERY_S = 1.0
NAME = "Judge against people"
PEOPLE = "the people of hh-rlhf"
PROMPTS = (
    "How do I keep basil alive on a windowsill?", "What is a good way to learn the names of trees?",
    "Explain to a child why the sky is blue.", "How long should bread rise in a cold kitchen?",
    "Suggest a short walk for a rainy afternoon.", "How do I write a kind note to a neighbour who moved away?",
    "What should I look at first when I buy a used bicycle?", "Why do leaves change their colour in autumn?",
)  # fmt: skip
"""What the small run answers itself, so that it can be trained a little before it judges."""


def import_traces(data: Path) -> None:
    """The paper's list of principles, published, and its traces under it; nothing where they are there."""
    from django.core.management import call_command

    from constitutions_app.actions import publish_version
    from constitutions_app.models import Constitution
    from training_app.models import TraceImport

    if TraceImport.objects.exists():
        return
    paper = data / "cai-paper"
    call_command(
        "import_constitution", paper / "prompts" / "CritiqueRevisionInstructions.json", user=somebody().username
    )
    made = Constitution.objects.latest("pk")
    version = publish_version(user=somebody(), draft=made.draft, note="As the paper has it.")
    traces = paper / "samples" / "PALMS_SLMADISON.jsonl"
    call_command("import_traces", traces, constitution=f"{made.slug}@{version.number}", licence="MIT")


def labelled(said: Namespace) -> Any:
    """The run whose judge labelled the comparisons, stopped once it has: nothing is to be trained on them."""
    from constitutions_app import starter_material
    from constitutions_app.models import Version
    from training_app.actions import launch_run, load_prompt_set
    from training_app.core.base_model import BUNDLED_NAME
    from training_app.models import Run

    if run := Run.objects.filter(name=NAME).first():
        return brought_to_its_labels(run)
    starter_material.load()
    file = said.data / "hh-rlhf" / "harmless-base-test-first-half.jsonl.gz"
    pairs = b"\n".join(gzip.decompress(file.read_bytes()).splitlines()[: said.comparisons])
    sets = [
        load_prompt_set(user=somebody(), content=pairs, kind="comparisons", slug="hh-harmless", name="HH-RLHF harmless",
                        licence="MIT"),
        load_prompt_set(user=somebody(), content="\n".join(PROMPTS).encode(), kind="red_team", slug="everyday",
                        name="Everyday questions", file_name="everyday.txt"),
    ]  # fmt: skip
    run = launch_run(
        user=somebody(), version=Version.objects.get(constitution__slug="harmless-assistant", number=1),
        base_model=BUNDLED_NAME, prompt_sets=sets, preset="demo", name=NAME, seed=said.seed,
        overrides={"method": "dpo", "label": {"human_comparisons": said.comparisons}},
    )  # fmt: skip
    return brought_to_its_labels(run)


def brought_to_its_labels(run: Any) -> Any:
    """Work on the run until its labels are there, then stop it and keep what it made."""
    from django.db import connection

    from training_app.actions import cancel_run
    from training_app.models.run import ENDED_STATES, StageState

    def stop() -> None:
        while not run.stages.filter(slug="label", state=StageState.SUCCEEDED).exists():
            time.sleep(LOOK_EVERY_S)
        cancel_run(user=somebody(), run=run)
        connection.close()

    if run.state not in ENDED_STATES:
        threading.Thread(target=stop, daemon=True).start()
        follow([run])
    return run


def bring_back(run: Any, folder: Path) -> None:
    """What people chose in the comparisons, written as annotated pairs and imported as their verdicts."""
    from django.core.management import call_command

    pairs = folder / "pairs.json"
    call_command("export_feedback", run.number, pairs, format="icai")
    call_command("import_audits", pairs, run=run.number, source=PEOPLE)


def told(report: measuring.Report) -> None:
    """What the numbers say of the judge and people, with intervals; nothing where a figure is undefined."""
    from training_app.numbers.report import compute
    from training_app.numbers.scope import Scope

    data, _, _ = compute(Scope())
    whole = data["whole"]
    figures = {"raw agreement": whole["judge"]["raw"], "Cohen kappa": whole["judge"]["cohen"],
               "Gwet AC1": whole["judge"]["ac1"], "overridden": whole["overridden"],
               "ECE": data["calibration"]["ece"], "Brier": data["calibration"]["brier"]}  # fmt: skip
    for name, figure in figures.items():
        if figure["value"] is not None and figure["interval"]:
            low, high = figure["interval"]
            report.results[f"judge against people: {name}"] = measuring.Figure(figure["value"], low, high, "share")
        else:
            value = "undefined" if figure["value"] is None else f"{figure['value']:.3f}, without an interval"
            report.notes.append(f"{name}: {value}. {figure['note']}".rstrip())
    report.notes.append(f"{whole['judged']} labels that people judged; intervals of 95 %")


def main() -> None:
    """Import, label, bring back, tell."""
    parser = measuring.options("people", (__doc__ or "").split("\n\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="a folder with cai-paper/ and hh-rlhf/")
    parser.add_argument("--comparisons", type=int, default=200, help="human comparisons that are judged")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--folder", type=Path, default=None, help="where the app's data stay (default: thrown away)")
    said = parser.parse_args()
    report = measuring.Report("people", measuring.machine(rounds=said.rounds), measuring.versions())
    with tempfile.TemporaryDirectory(prefix="people-") as scratch, app_in(said.folder or Path(scratch)):
        import_traces(said.data)
        run = labelled(said)
        bring_back(run, Path(scratch))
        told(report)
    report.print()
    report.write(said.json)


if __name__ == "__main__":
    main()
