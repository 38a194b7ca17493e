"""Weights on disk: published whole or not at all, and resume states that are verified before anything of them is read.

* **Publishing.** The folder is written aside (`checkpoint.partial`), stamped, listed in its manifest, synced, renamed.
  The weights are saved in float32: bfloat16 has 8 bits of mantissa, so a step of 1e-6 on a weight of 0.1 (one RL step)
  rounds to nothing, and the checkpoint would equal its parent. The price is 4 bytes a parameter, 540 MB for 135M.
* **Resuming.** The trainer's own checkpoints are not written atomically, hold pickles, and are taken by their number
  alone; of seven ways to damage the newest one, four crash and three continue silently. So each gets a seal, written
  last: a checksum of every file. Only a state whose seal holds is read; anything else is deleted and the next older
  one is tried. The seal guards against kills and bad disks, not against somebody who may write in the run's folder.

What is left out: sharded weights of several GPUs (FSDP, DeepSpeed), and retention once a run is over.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import xxhash

from training_app.core.digests import digest_file, digest_model_folder
from training_app.core.errors import LOWER_RATE, BadInput, NotFinite, StageError
from training_app.core.events import package_versions
from training_app.core.job import Job, ModelRef
from training_app.core.manifest import (
    CONSTITUTION,
    MANIFEST,
    dataset_digests,
    manifest_text,
    read_manifest,
    verify,
    write_manifest,
)
from training_app.core.provenance import code_version, hardware

if TYPE_CHECKING:
    import torch

PUBLISHED = "checkpoint"
PARTIAL = "checkpoint.partial"
REPLACED = "checkpoint.old"
TRAINER = "trainer"
SEAL = "sealed.json"
REMAKE = "remake.json"
KEEP = 2
"""Resume states kept: the newest, and the one to fall back to."""


class NothingLearnt(StageError):
    """Training ended with the weights it started from."""

    kind = "bad_input"


# Did the weights move?


@dataclass(frozen=True)
class WeightsMoved:
    """How many of a model's parameters (single numbers) differ from those it started with, and by how much at most."""

    changed: int
    of: int
    max_abs: float


def weights_moved(model: Any, start: Path, fresh: Mapping[str, torch.Tensor]) -> WeightsMoved:
    """Compare `model` with the folder it was loaded from, one tensor at a time, in float32.

    `fresh` holds the starting values of parameters that the folder has not (a new head); see `fresh_parameters`.
    Raises NotFinite when a parameter is no number, NothingLearnt when none has moved.
    """
    import torch

    changed = of = 0
    largest = 0.0
    with _Weights(start) as stored:
        for name, parameter in model.named_parameters():
            now = parameter.detach().to("cpu", torch.float32)
            before = (fresh[name] if name in fresh else stored.tensor(name)).to(torch.float32)
            change = (now - before).abs()
            if not bool(torch.isfinite(change).all()):
                raise NotFinite(f"The weights {name} are no longer finite.", LOWER_RATE)
            changed += int(torch.count_nonzero(change))
            of += change.numel()
            largest = max(largest, float(change.max()) if change.numel() else 0.0)
    if changed == 0:
        raise NothingLearnt(
            "No weight moved: training ended with exactly the weights it started from.",
            "Look at the dataset build (is there anything to learn?) and at the learning rate, and launch again.",
        )
    return WeightsMoved(changed, of, largest)


def fresh_parameters(model: Any, start: Path) -> dict[str, torch.Tensor]:
    """Copies of the parameters that are not in the folder the model was loaded from, before training moves them."""
    with _Weights(start) as stored:
        return {
            name: parameter.detach().to("cpu", copy=True)
            for name, parameter in model.named_parameters()
            if not stored.has(name)
        }


class _Weights:
    """The tensors of a model folder by name, read one at a time without loading the rest."""

    def __init__(self, folder: Path) -> None:
        from safetensors import safe_open

        self._files: list[Any] = [safe_open(path, framework="pt") for path in sorted(folder.glob("*.safetensors"))]
        self._of = {name: file for file in self._files for name in file.keys()}  # noqa: SIM118 (not a mapping)

    def __enter__(self) -> _Weights:
        return self

    def __exit__(self, *_: object) -> None:
        self._of.clear()
        self._files.clear()

    def has(self, name: str) -> bool:
        return name in self._of

    def tensor(self, name: str) -> torch.Tensor:
        value: torch.Tensor = self._of[name].get_tensor(name)
        return value


# Publishing


@dataclass(frozen=True)
class Published:
    """A checkpoint folder that is on the disk, whole: `digest` is the sha256 of its manifest.json."""

    path: Path
    digest: str
    constitution_digest: str | None
    files: int
    weights_moved: Mapping[str, Any]
    results: Mapping[str, Any]


def publish(
    model: Any, tokenizer: Any, job: Job, *, moved: WeightsMoved, device: str, results: Mapping[str, Any]
) -> Published:
    """Write model, tokenizer, constitution and manifest to ``out/checkpoint``: whole, or not there."""
    partial = job.out / PARTIAL
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    content = manifest_content(job, device=device) | {"weights_moved": asdict(moved), "results": dict(results)}
    model.save_pretrained(partial)
    tokenizer.save_pretrained(partial)
    stamp_weights(
        partial,
        {
            "constitution_digest": job.constitution_digest() or "",
            "dataset_digests": ",".join(dataset_digests(content)),
            "run": job.run,
            "stage": job.stage,
        },
    )
    if job.constitution_ref is not None:
        job.constitution()  # its digest is verified once more before it is copied
        shutil.copyfile(job.constitution_ref.path, partial / CONSTITUTION)
    write_or_take_up(partial, content, job.out)
    sync_tree(partial)
    _swap_in(partial, job.out / PUBLISHED)
    published = find_published(job)
    if published is None:
        raise StageError("The checkpoint that was just written does not verify.", "The disk may be failing; run again.")
    return published


def write_or_take_up(folder: Path, content: Mapping[str, Any], out: Path) -> None:
    """Write the manifest; where a published checkpoint was lost and made again, the very manifest it had.

    `out`/remake.json is the lost checkpoint's manifest, with the digest its file had (the worker writes it before it
    starts the stage again). Raises StageError when the files are not the same again: then the arithmetic of this
    machine does not repeat, and these weights must not pass for those.
    """
    lost = out / REMAKE
    if not lost.is_file():
        write_manifest(folder, content)
        return
    known = json.loads(lost.read_text(encoding="utf-8"))
    text = manifest_text(known["manifest"])
    (folder / MANIFEST).write_text(text, encoding="utf-8", newline="")
    problems = verify(folder).problems
    if problems or digest_file(folder / MANIFEST) != known["digest"]:
        reason = problems[0].sentence if problems else "its manifest reads otherwise"
        raise StageError(
            f"The checkpoint that was lost was made again, but it is not the same: {reason}",
            "Restore the old folder from a backup, or launch a new run.",
        )
    lost.unlink()


def find_published(job: Job) -> Published | None:
    """The checkpoint this very job published before it was killed, unable to say so; None when it does not verify."""
    folder = job.out / PUBLISHED
    if not folder.is_dir():
        return None
    found = verify(folder)
    manifest = found.manifest or {}
    if not found.ok or manifest.get("job_digest") != job.digest or found.manifest_digest is None:
        return None
    return Published(
        folder,
        found.manifest_digest,
        found.constitution_digest,
        len(manifest["files"]) + 1,
        manifest.get("weights_moved") or {},
        manifest.get("results") or {},
    )


def stamp_weights(folder: Path, metadata: Mapping[str, str]) -> None:
    """Put `metadata` into the header of every safetensors file of `folder`; the tensors stay as they are."""
    from safetensors.torch import load_file, save_file

    for path in sorted(folder.glob("*.safetensors")):
        stamped = path.with_suffix(".stamped")
        save_file(load_file(path), stamped, metadata={"format": "pt", **metadata})
        stamped.chmod(0o644)
        stamped.replace(path)


def manifest_content(job: Job, *, device: str) -> dict[str, Any]:
    """Everything a manifest says but the digests of the files."""
    parent = read_manifest(job.model.path)
    constitution = job.constitution_ref
    return {
        "stage": job.stage,
        "run": job.run,
        "created_at": datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "constitution": {"slug": constitution.slug, "number": constitution.number, "digest": constitution.digest}
        if constitution
        else None,
        "datasets": _datasets(job),
        "parent": None if parent is None else _named(job.model),
        "base_model": (parent or {}).get("base_model") or _named(job.model),
        "models": {role: _named(ref) for role, ref in sorted(job.models.items())},
        "parents": dict(job.parents),
        "config": dict(job.raw_params),
        "seed": job.seed,
        "job_digest": job.digest,
        "code": code_version(),
        "packages": package_versions(),
        "hardware": hardware(device),
    }


def _named(ref: ModelRef) -> dict[str, str]:
    """A model by name and digest: that of a checkpoint's manifest, or of a plain folder's files."""
    manifest = ref.path / MANIFEST
    found = digest_file(manifest) if manifest.is_file() else digest_model_folder(ref.path)
    return {"name": ref.name, "digest": ref.digest or found}


def _datasets(job: Job) -> list[dict[str, Any]]:
    """The job's inputs with digest and rows, under the name of their build, then the builds its parents learnt from."""
    named = [entry for entry in job.parents.get("datasets") or [] if isinstance(entry, dict) and entry.get("digest")]
    builds = {str(entry["digest"]): entry for entry in named}
    entries: list[dict[str, Any]] = []
    for role, ref in sorted(job.inputs.items()):
        digest = digest_file(ref.path)
        rows = ref.rows if ref.rows is not None else _count_rows(ref.path)
        entries.append({"name": str(builds.get(digest, {}).get("name", role)), "digest": digest, "rows": rows})
    own = {entry["digest"] for entry in entries}
    further = (
        {"name": str(entry.get("name", "")), "digest": digest, "rows": entry.get("rows")}
        for digest, entry in builds.items()
        if digest not in own
    )
    return [*entries, *further]


def _count_rows(path: Path) -> int:
    with path.open("rb") as file:
        return sum(1 for line in file if line.strip())


def _swap_in(partial: Path, target: Path) -> None:
    old = target.with_name(REPLACED)
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        target.rename(old)
    partial.rename(target)
    sync_path(target.parent)
    shutil.rmtree(old, ignore_errors=True)


# Resume states


def seal_state(state: Path, *, step: int, identity: str) -> None:
    """Sync a trainer checkpoint and write its seal last: a checksum of every file in it.

    It tells a file that is torn, rotten or another, while training waits: XXH3, a sixth of the time of a sha256 over
    weights and two moments each. Whoever could forge a file could write its seal anew, whatever the checksum.
    """
    sync_tree(state)
    files = {name: _checksum(state / name) for name in _names(state)}
    aside = state / f".{SEAL}.partial"
    with aside.open("w", encoding="utf-8") as file:
        json.dump({"step": step, "identity": identity, "files": files}, file, indent=2, sort_keys=True)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(state / SEAL)
    sync_path(state)
    sync_path(state.parent)


def seal_problem(state: Path, *, identity: str) -> str | None:
    """Why a trainer checkpoint may not be resumed from, in words, or None when it is exactly what was sealed."""
    try:
        seal = json.loads((state / SEAL).read_text(encoding="utf-8"))
        step, owner, files = int(seal["step"]), seal["identity"], dict(seal["files"])
    except FileNotFoundError:
        return "it was not finished"
    except (OSError, ValueError, KeyError, TypeError):
        return "its seal is damaged"
    if owner != identity:
        return "it belongs to another job"
    if state.name != f"checkpoint-{step}":
        return "its seal is of another step"
    present = _names(state)
    if missing := sorted(set(files) - set(present)):
        return f"{missing[0]} is missing"
    if extra := sorted(set(present) - set(files)):
        return f"{extra[0]} was added"
    return next((f"{name} was changed" for name in present if _checksum(state / name) != files[name]), None)


def _checksum(path: Path) -> str:
    """XXH3 of a file's bytes, 128 bits in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, xxhash.xxh3_128).hexdigest()


def newest_sound_state(trainer: Path, *, identity: str) -> tuple[Path | None, list[str]]:
    """The newest resume state whose seal holds, and a sentence for every newer one that was thrown away."""
    thrown: list[str] = []
    for step, state in sorted(_states(trainer), reverse=True):
        problem = seal_problem(state, identity=identity)
        if problem is None:
            return state, thrown
        shutil.rmtree(state)
        thrown.append(f"The resume state of step {step} was thrown away: {problem}.")
    return None, thrown


def prune_states(trainer: Path, *, keep: int = KEEP) -> None:
    """Delete all but the newest states; called once the newest is sealed, never before."""
    for _, state in sorted(_states(trainer), reverse=True)[keep:]:
        shutil.rmtree(state)


def drop_states(out: Path) -> None:
    """Delete everything that only a resume would need, once the checkpoint is published."""
    for name in (TRAINER, PARTIAL, REPLACED):
        shutil.rmtree(out / name, ignore_errors=True)


def _states(trainer: Path) -> Iterator[tuple[int, Path]]:
    for state in trainer.glob("checkpoint-*"):
        number = state.name.removeprefix("checkpoint-")
        if number.isdecimal() and state.is_dir() and not state.is_symlink():
            yield int(number), state


def _names(folder: Path) -> Sequence[str]:
    found = (path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())
    names = (path.relative_to(folder).as_posix() for path in found)
    return sorted(name for name in names if name not in (SEAL, f".{SEAL}.partial"))


# Onto the disk


def sync_tree(folder: Path) -> None:
    """Put every file of a folder, and the folder itself, on the disk."""
    for path in [*folder.rglob("*"), folder]:
        if not path.is_symlink():
            sync_path(path)


def sync_path(path: Path) -> None:
    """fsync one file or folder."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def refuse_unverified(ref: ModelRef, role: str) -> None:
    """Raise BadInput when a model the job names is one of our checkpoints and does not verify; other folders pass."""
    if not (ref.path / MANIFEST).is_file():
        return
    found = verify(ref.path)
    if not found.ok:
        problem = found.problems[0]
        raise BadInput(
            f"The {role} model {ref.name} is a checkpoint that does not verify: {problem.sentence}",
            "Restore the folder, or run the stage that made it again.",
        )
