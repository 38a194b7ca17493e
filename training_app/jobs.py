"""A stage of a run as a job file: rows in, `job.json` and the files it names out, the same bytes every time.

The run's folder holds all that a stage reads, apart from the base model, and everything names it by relative path, so
the folder can be carried away and any stage run again by hand:

    <run>/constitution.json        the version's canonical JSON
    <run>/inputs/*.jsonl           prompts of the training side and of the held-out side
    <run>/builds/*.jsonl           dataset builds
    <run>/03-sft/job.json          what the stage is told; beside it what it says and makes
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from django.conf import settings

from constitutions_app.core.principles import digest_of_text
from training_app import builds, other_models
from training_app.base_models import folder_of
from training_app.configuration import config_from
from training_app.core.config import RunConfig
from training_app.core.datasets import canonical_jsonl, write_text
from training_app.core.exemplars import exemplar_rows
from training_app.core.job import SCHEMA
from training_app.models import Checkpoint, Comparison, DatasetBuild, Run, RunStage
from training_app.prompts import RunPrompts, human_key, prompts_of, prompts_whole

Part = dict[str, Any]

JOB = "job.json"
NAMES = {"sft": "sl-cai", "reward": "reward model", "rl": "rl-cai", "dpo": "dpo-cai"}
"""How the models that stages make are called in jobs and manifests."""


class JobImpossible(Exception):
    """What the stage needs is not there; the message is one sentence."""


@dataclass(frozen=True)
class WrittenJob:
    """A job file on disk; `digest` is the sha256 of its bytes."""

    path: Path
    digest: str


def write_job(run: Run, stage: RunStage, *, hold: Callable[[], None] = lambda: None) -> WrittenJob:
    """Write the job of one stage and the files it reads; builds the stage's dataset the first time.

    `hold` is called inside the transactions that write rows. Raises JobImpossible, BuildRefused, OSError.
    """
    stage.run = run
    folder = stage.folder
    folder.mkdir(parents=True, exist_ok=True)
    write_text(run.folder / "constitution.json", run.version.canonical)
    text = json.dumps(_Writer(run, stage, hold).job(), indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    write_text(folder / JOB, text + "\n")
    return WrittenJob(folder / JOB, digest_of_text(text + "\n"))


class _Writer:
    """Puts one stage's job together. Looks things up when the stage needs them and not before."""

    def __init__(self, run: Run, stage: RunStage, hold: Callable[[], None]) -> None:
        self.run = run
        self.stage = stage
        self.hold = hold

    @cached_property
    def config(self) -> RunConfig:
        """The pipeline's configuration; a run of another kind has none."""
        return config_from(self.run.config)

    def job(self) -> Part:
        slug = self.stage.slug
        parts: Part = getattr(self, f"_{slug}")()
        return {
            "schema": SCHEMA,
            "stage": slug,
            "run": str(self.run.pk),
            "seed": self.run.seed,
            "out": ".",
            "constitution": self._constitution(),
            "params": self._options() | parts.pop("params", {}),
            "parents": {"constitution": self.run.version.digest, "datasets": [], "checkpoint": None}
            | parts.pop("parents", {}),
            **parts,
        }

    def _options(self) -> Part:
        slug = self.stage.slug
        return dict(self.run.config[slug]) if slug == "write" else self.config.params_for(slug)

    # -- the stages, in their order ------------------------------------------------------------------------------

    def _generate(self) -> Part:
        return {"model": self._model("generator"), "inputs": {"prompts": self._prompts("train", self._split().train)}}

    def _revise(self) -> Part:
        return {
            "model": self._model("generator"),
            "inputs": {"responses": self._output("generate", "responses")} | self._exemplars("generator"),
        }

    def _sft(self) -> Part:
        (build,) = self._builds()
        return {"model": self._base(), "inputs": {"train": self._built(build)}, "parents": _parents(None, [build])}

    def _sample(self) -> Part:
        return {
            "model": self._checkpoint("sft"),
            "inputs": {"prompts": self._prompts("red-team-train", self._split().red_team())},
        }

    def _label(self) -> Part:
        return {
            "model": self._model("judge"),
            "inputs": {"comparisons": self._output("sample", "comparisons")} | self._human() | self._exemplars("judge"),
            "params": {"judge": self._judge()},
        }

    def _human(self) -> Part:
        """The human comparisons that are judged too, the first of the run's sets; nothing where none are wanted."""
        wanted = self.config.label.human_comparisons
        chosen = Comparison.objects.filter(prompt_set__runs=self.run, source=Comparison.Source.HUMAN)
        found = chosen.select_related("prompt_set").order_by("pk")[:wanted]
        rows = [
            {
                "id": human_key(one),
                "prompt": one.prompt_text,
                "response_a": one.response_a,
                "response_b": one.response_b,
                **({"messages": one.messages} if one.messages else {}),
            }
            for one in found
        ]
        return {"human": self._prompts("human-comparisons", rows)} if rows else {}

    def _reward(self) -> Part:
        made = self._builds()
        sft = self._made("sft")
        return {
            "model": self._checkpoint("sft"),
            "inputs": dict(zip(("train", "heldout"), map(self._built, made), strict=False)),
            "parents": _parents(sft, made),
        }

    def _rl(self) -> Part:
        learnt = [*builds.existing(self.run.records, "sft"), *builds.existing(self.run, "reward")]
        prompts = {"prompts": self._prompts("train", self._split().train)}
        judged: Part = {
            "models": {"judge": self._model("judge")},
            "inputs": {"responses": self._output("generate", "responses")},
            "params": {"judge": self._judge()},
        }
        scored: Part = {"models": {"reward": self._checkpoint("reward")}} if self._has("reward") else judged
        return {
            "model": self._checkpoint("sft"),
            "models": {"reference": self._checkpoint("sft")} | scored["models"],
            "inputs": prompts | scored.get("inputs", {}),
            "params": scored.get("params", {}),
            "parents": _parents(self._made("sft"), learnt),
        }

    def _dpo(self) -> Part:
        made = self._builds()
        return {
            "model": self._checkpoint("sft"),
            "models": {"reference": self._checkpoint("sft")},
            "inputs": dict(zip(("train", "heldout"), map(self._built, made), strict=False)),
            "parents": _parents(self._made("sft"), [*builds.existing(self.run.records, "sft"), *made]),
        }

    def _evaluate(self) -> Part:
        """Every model of the run: SL-CAI is always among them, so that what follows it is never seen alone."""
        roles = {"sl_cai": "sft", "rl_cai": "rl", "dpo_cai": "dpo", "reward": "reward"}
        made = {role: self._checkpoint(slug) for role, slug in roles.items() if self._has(slug)}
        return {
            "models": {"base": self._base(), "judge": self._model("judge")} | made,
            "inputs": {"prompts": self._prompts("heldout", self._split().heldout)},
            "params": {"judge": self._judge()},
        }

    def _write(self) -> Part:
        """No stage of the pipeline: new prompts after those of the run's seed sets."""
        return {"model": self._base(), "inputs": {"seeds": self._prompts("seeds", prompts_whole(self.run))}}

    # -- what they are made of -----------------------------------------------------------------------------------

    def _constitution(self) -> Part:
        version = self.run.version
        return {
            "path": "../constitution.json",
            "digest": version.digest,
            "slug": version.constitution.slug,
            "number": version.number,
        }

    def _base(self) -> Part:
        model = self.run.base_model
        return {"path": str(folder_of(model)), "digest": model["digest"], "name": model["name"]}

    def _model(self, role: str) -> Part:
        """The model of a role: a server where one was chosen, else the base model."""
        return other_models.model_for(self.run, role) or self._base()

    def _judge(self) -> Part:
        """The judge as labels cite it; the number format is chosen where the stage runs."""
        return {**other_models.judge_parts(self.run), "template": self.config.label.template}

    def _exemplars(self, role: str) -> Part:
        """The worked examples for the base model's family, where the run has some and the base model plays `role`.

        Else the constitution's own are read: a server's family is not known.
        """
        chosen = None if other_models.model_for(self.run, role) else self.run.exemplars
        return {"exemplars": self._prompts("exemplars", exemplar_rows(chosen.to_core()))} if chosen else {}

    def _made(self, slug: str) -> Checkpoint:
        of_run = {one.run_id: one for one in Checkpoint.objects.filter(run__in=self._runs(), stage=slug)}
        checkpoint = of_run.get(self.run.pk) or of_run.get(self.run.records.pk)
        if checkpoint is None:
            raise JobImpossible(
                f"The stage {self.stage.slug} needs the checkpoint of the stage {slug}, which is not there."
            )
        return checkpoint

    def _checkpoint(self, slug: str) -> Part:
        made = self._made(slug)
        return {"path": self._relative(made.folder), "digest": made.digest, "name": NAMES[slug]}

    def _runs(self) -> tuple[Run, Run]:
        """The run and the one it goes on from, which may be itself."""
        return self.run, self.run.records

    def _has(self, slug: str) -> bool:
        """Whether the run has this stage; which it has was fixed when it was launched."""
        return slug in self.config.stages

    def _output(self, slug: str, name: str) -> Part:
        found = {one.run_id: one for one in RunStage.objects.filter(run__in=self._runs(), slug=slug)}
        source = found.get(self.run.pk) or found[self.run.records.pk]
        source.run = self.run if source.run_id == self.run.pk else self.run.records
        if name not in source.outputs:
            raise JobImpossible(f"The stage {slug} left no {name}, which the stage {self.stage.slug} needs.")
        output = source.outputs[name]
        return {
            "path": self._relative(source.folder / output["path"]),
            "digest": output["digest"],
            "rows": output["rows"],
        }

    def _builds(self) -> Sequence[DatasetBuild]:
        """The stage's own dataset builds: those already made, else made now."""
        slug = self.stage.slug
        return builds.existing(self.run, slug) or builds.build(run=self.run, stage=slug, actor=None, hold=self.hold)

    def _built(self, build: DatasetBuild) -> Part:
        path = Path(settings.ARTIFACT_ROOT) / build.path
        return {"path": self._relative(path), "digest": build.digest, "rows": build.rows}

    def _split(self) -> RunPrompts:
        return prompts_of(self.run, self.config)

    def _prompts(self, name: str, rows: Sequence[Mapping[str, Any]]) -> Part:
        if not rows:
            raise JobImpossible(f"No prompt is left for the stage {self.stage.slug}. Choose a larger prompt set.")
        text = canonical_jsonl(rows)
        path = self.run.folder / "inputs" / f"{name}.jsonl"
        write_text(path, text)
        return {"path": self._relative(path), "digest": digest_of_text(text), "rows": len(rows)}

    def _relative(self, path: Path) -> str:
        return Path(os.path.relpath(path, self.stage.folder)).as_posix()


def _parents(checkpoint: Checkpoint | None, made: Sequence[DatasetBuild]) -> Part:
    return {
        "checkpoint": checkpoint.digest if checkpoint else None,
        "datasets": [{"name": build.name, "digest": build.digest, "rows": build.rows} for build in made],
    }
