"""What finished stages leave, in a storage that all workers reach, when they do not share one artifact folder.

With `ARTIFACT_STORAGE` unset the artifact folder is the storage, and nothing here copies anything. Otherwise the worker
that finished a stage puts its files there, the index (`stored.json`: name → sha256) last, before the stage counts as
finished; a worker that lacks them fetches them when it takes the run up, each verified against the index before it
gets its name. Files are addressed by run and stage alone, never by anything a person typed.

What is left out: the state of a stage that is not finished. On another machine it begins again, and what it recorded is
kept. Only its log is stored when it fails or stops, so that the pages can show it.
"""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import IO, Any, NoReturn

from django.conf import settings
from django.core.files import File
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage, Storage, storages

from training_app import logs
from training_app.core.checkpoints import PARTIAL, REPLACED, TRAINER, sync_path
from training_app.core.digests import digest_file
from training_app.models import Checkpoint, DatasetBuild, Run, RunStage
from training_app.models.run import StageState

INDEX = "stored.json"
LEFT_OUT = frozenset({TRAINER, PARTIAL, REPLACED, INDEX})
UNDER_WAY = (StageState.WAITING, StageState.RUNNING)

log = logging.getLogger(__name__)


class StorageFailed(Exception):
    """The storage does not answer, or what it holds is not what was put there; the message is one sentence."""


def storage() -> Storage:
    """The storage of artifacts, as the settings name it."""
    return storages["artifacts"]


def is_elsewhere() -> bool:
    """Whether artifacts have to be copied at all: not where the artifact folder is the storage."""
    found = storage()
    here = Path(settings.ARTIFACT_ROOT)
    return not (isinstance(found, FileSystemStorage) and Path(found.location).resolve() == here.resolve())


def put(folder: Path) -> None:
    """Put the files of a folder under ARTIFACT_ROOT into the storage. Raises StorageFailed."""
    if is_elsewhere():
        _put(folder)


def get(folder: Path, *names: str) -> None:
    """Get what the storage holds of a folder (or these files of it), as far as it is not here. Raises StorageFailed."""
    if is_elsewhere():
        _get(folder, names)


def publish_builds(run: Run) -> None:
    """Put the dataset builds a run has so far into the storage, before a stage reads them. Raises StorageFailed."""
    put(run.folder / "builds")


def fetch(run: Run) -> None:
    """Get what finished stages of this run, and of the run it goes on from, left. Raises StorageFailed."""
    if not is_elsewhere():
        return
    for one in filter(None, (run.source, run)):
        for stage in RunStage.objects.filter(run=one, state=StageState.SUCCEEDED):
            stage.run = one
            _get(stage.folder)
        if DatasetBuild.objects.filter(run=one).exists():
            _get(one.folder / "builds")


def fetch_checkpoint(checkpoint: Checkpoint, *names: str) -> None:
    """Get a checkpoint's files (or those named), as far as they are not here. Raises StorageFailed."""
    stage_folder = checkpoint.folder.parent
    get(stage_folder, *(f"{checkpoint.folder.name}/{name}" for name in names))


def stored_of(checkpoint: Checkpoint) -> frozenset[str]:
    """The names of a checkpoint's files that the storage holds; none where the folder is it. Raises StorageFailed."""
    if not is_elsewhere():
        return frozenset()
    inside = f"{checkpoint.folder.name}/"
    return frozenset(name.removeprefix(inside) for name in _index(checkpoint.folder.parent) if name.startswith(inside))


def delete_stored(checkpoint: Checkpoint, names: Collection[str]) -> None:
    """Delete these files of a checkpoint from the storage, and then from its index. Raises StorageFailed.

    The index comes last: what failed half-way is still listed, and can be deleted again.
    """
    if not is_elsewhere() or not names:
        return
    folder = checkpoint.folder.parent
    gone = {f"{checkpoint.folder.name}/{name}" for name in names}
    index = _index(folder)
    try:
        for name in sorted(gone & index.keys()):
            storage().delete(f"{_name(folder)}/{name}")
        left = {name: digest for name, digest in index.items() if name not in gone}
        _save(f"{_name(folder)}/{INDEX}", ContentFile(json.dumps(left, sort_keys=True).encode()))
    except Exception as error:
        _give_up("could not be deleted", folder, error)


def forget(folder: Path) -> None:
    """Delete a folder under ARTIFACT_ROOT here and in the storage, as far as they are there. Raises StorageFailed."""
    if is_elsewhere():
        index = _index(folder)
        try:
            for name in (*sorted(index), *([INDEX] if index else [])):
                storage().delete(f"{_name(folder)}/{name}")
        except Exception as error:
            _give_up("could not be deleted", folder, error)
    if folder.is_dir():
        shutil.rmtree(folder)


def publish_log(stage: RunStage) -> None:
    """Put the log of a stage that failed or stopped into the storage; where that fails, our own log says so."""
    path = stage.folder / logs.FILE
    if not is_elsewhere() or not path.is_file():
        return
    try:
        with path.open("rb") as content:
            _save(f"{_name(stage.folder)}/{logs.FILE}", File(content))
    except Exception as error:  # whatever the storage's client raises: the stage has ended, and why is kept in its row
        log.warning("The log of %s could not be stored: %s", _name(stage.folder), error)


def has_log(stage: RunStage) -> bool:
    """Whether there is a log to read: here, or most likely in the storage. Asks no storage."""
    return (stage.folder / logs.FILE).is_file() or (is_elsewhere() and stage.state not in UNDER_WAY)


def open_log(stage: RunStage) -> IO[bytes] | None:
    """A stage's log, open to read: the file that is here, else what its worker stored when it ended; None: neither."""
    return _open(stage.folder / logs.FILE) if has_log(stage) else None


def open_file(checkpoint: Checkpoint, name: str) -> IO[bytes] | None:
    """A file of a checkpoint, open to read, here or in the storage; None where it is neither here nor there.

    `name` comes from the checkpoint's manifest, never from an address.
    """
    return _open(checkpoint.folder / name)


def open_kept(path: Path) -> IO[bytes] | None:
    """A file under ARTIFACT_ROOT, open to read, here or in the storage; None where it is neither here nor there.

    `path` comes from a row, never from an address.
    """
    return _open(path)


def _open(path: Path) -> IO[bytes] | None:
    if path.is_file():
        return path.open("rb")
    if not is_elsewhere():
        return None
    name = _name(path)
    try:
        found: Any = storage().open(name) if storage().exists(name) else None
    except Exception as error:  # whatever the storage's client raises: a page shows the rest of what it has
        log.warning("%s could not be read: %s", name, error)
        return None
    opened: IO[bytes] | None = found
    return opened


def _put(folder: Path) -> None:
    files = {path.relative_to(folder).as_posix(): path for path in _files(folder)}
    digests = {name: digest_file(path) for name, path in files.items()}
    known = _index(folder)
    try:
        for name, path in files.items():
            if known.get(name) != digests[name]:
                with path.open("rb") as content:
                    _save(f"{_name(folder)}/{name}", File(content))
        if known != digests:
            _save(f"{_name(folder)}/{INDEX}", ContentFile(json.dumps(digests, sort_keys=True).encode()))
    except Exception as error:
        _give_up("could not be stored", folder, error)


def _save(name: str, content: File[Any]) -> None:
    """Write under exactly this name; a storage that would choose another one is told to make room first."""
    if storage().exists(name):
        storage().delete(name)
    storage().save(name, content)


def _get(folder: Path, names: tuple[str, ...] = ()) -> None:
    if names and all((folder / name).is_file() for name in names):
        return
    for name, digest in _index(folder).items():
        path = folder / name
        if path.is_file() or (names and name not in names):
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f"{path.name}.partial")
        try:
            with storage().open(f"{_name(folder)}/{name}") as source, partial.open("wb") as target:
                shutil.copyfileobj(source, target, 2**20)
        except Exception as error:
            _give_up("could not be fetched", folder, error)
        if digest_file(partial) != digest:
            partial.unlink()
            raise StorageFailed(f"{name} of {_name(folder)} is not what was stored: its digest differs.")
        sync_path(partial)
        partial.replace(path)


def _index(folder: Path) -> dict[str, str]:
    """Name → sha256 of what the storage holds of a folder; empty where it holds nothing whole."""
    name = f"{_name(folder)}/{INDEX}"
    try:
        if not storage().exists(name):
            return {}
        with storage().open(name) as file:
            index = json.loads(file.read())
    except Exception as error:
        _give_up("could not be looked up", folder, error)
    if not isinstance(index, dict) or not all(_is_plain(part) for part in index):
        raise StorageFailed(f"The index of {_name(folder)} is damaged.")
    return index


def _is_plain(name: str) -> bool:
    parts = Path(name).parts
    return bool(parts) and not Path(name).is_absolute() and ".." not in parts


def _files(folder: Path) -> Iterator[Path]:
    if not folder.is_dir():
        return
    for path in sorted(folder.rglob("*")):
        first = path.relative_to(folder).parts[0]
        if path.is_file() and not path.is_symlink() and first not in LEFT_OUT and not first.startswith("."):
            yield path


def _name(folder: Path) -> str:
    return folder.relative_to(settings.ARTIFACT_ROOT).as_posix()


def _give_up(what: str, folder: Path, error: Exception) -> NoReturn:
    if isinstance(error, StorageFailed):
        raise error
    raise StorageFailed(f"The files of {_name(folder)} {what}: {type(error).__name__}: {error}") from error
