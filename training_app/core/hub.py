"""A checkpoint as a hub keeps models: the stage program ``push``. A folder, and where asked for, one commit on a hub.

The folder has the layout of Hugging Face: weights (safetensors), configuration, tokenizer, `README.md` (model card),
`manifest.json`, `constitution.json`, and the signature where there is one. It is a copy, so that whoever edits it harms
no checkpoint, and it is verified before it gets its name. A push is one commit through `huggingface_hub`, pinned by its
id; files of an earlier checkpoint that this one has not are taken out in the same commit.

The token is read from a file, goes to the configured hub alone (`_only_to`), and stands in no job, event or log. For
that guarantee everything goes through the package's own HTTP client: its second way of sending large files (Xet), which
has a client of its own, is switched off.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from training_app.core.checkpoints import sync_path
from training_app.core.digests import SIGNATURE
from training_app.core.errors import BadInput, StageError, Stopped
from training_app.core.events import EventLog
from training_app.core.job import Job
from training_app.core.manifest import MANIFEST, verify

if TYPE_CHECKING:
    from huggingface_hub import HfApi

CARD = "README.md"
FOLDER = "folder"
"""What the copy is called within the job's own folder."""
PARTIAL = f"{FOLDER}.partial"
"""And what it is called until it is whole."""
NAME = re.compile(r"[\w][\w.-]*/[\w][\w.-]*", re.ASCII)
"""ORG/NAME, as hubs name repositories."""
LONGEST_NAME = 200
KEPT_BY_HUBS = frozenset({".gitattributes"})


@dataclass(frozen=True)
class PushParams:
    """Where it goes. An empty `repository`: nowhere, only the folder is written."""

    repository: str = ""
    endpoint: str = ""
    token_file: str = ""
    private: bool = True
    message: str = ""


def is_name(text: str) -> bool:
    """Whether this names a repository of a hub."""
    return len(text) <= LONGEST_NAME and NAME.fullmatch(text) is not None and ".." not in text


def reason_against(endpoint: str) -> str:
    """Why a token must not be sent there, in a sentence; empty where it may be."""
    parts = urlsplit(endpoint)
    if parts.scheme == "https" and parts.hostname and not parts.username:
        return ""
    if parts.scheme == "http" and parts.hostname in ("127.0.0.1", "localhost", "::1"):
        return ""
    return "The hub's address has to begin with https://, or be on this machine."


def run(job: Job, events: EventLog, should_stop: Callable[[], bool]) -> None:
    """Copy the folder of ``model`` with the card of ``inputs.card``, verify it, and push it where the job says.

    Progress counts files: each once when it is copied and once when it is uploaded. Raises BadInput, StageError.
    """
    params = job.params(PushParams)
    card = job.input_path("card")
    target = job.out / FOLDER
    names = _names(job.model.path)
    total = (len(names) + 1) * (2 if params.repository else 1)
    events.started(device="", dtype="", total=total, unit="files", resumed_at=0)
    _copy(job, names, card, target, events, should_stop)
    commit = ""
    if params.repository:
        commit = _push(params, target, events, should_stop)
    events.finished(outputs={}, summary={"commit": commit, "files": len(names) + 1})


def _names(folder: Path) -> list[str]:
    """The files that go along. Raises BadInput where the folder does not verify."""
    found = verify(folder)
    if not found.ok:
        problem = found.problems[0].sentence
        raise BadInput(f"The checkpoint does not verify, so it goes nowhere: {problem}", "Verify the checkpoint first.")
    signed = [SIGNATURE] if (folder / SIGNATURE).is_file() else []
    return [*sorted((found.manifest or {}).get("files", {})), MANIFEST, *signed]


def _copy(
    job: Job, names: list[str], card: Path, target: Path, events: EventLog, should_stop: Callable[[], bool]
) -> None:
    partial = target.with_name(PARTIAL)
    for place in (target, partial):
        shutil.rmtree(place, ignore_errors=True)
    for done, name in enumerate([CARD, *names], start=1):
        if should_stop():
            raise Stopped
        copy = partial / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(card if name == CARD else job.model.path / name, copy)
        sync_path(copy)
        events.progress(done)
    copied = verify(partial)
    if not copied.ok or copied.manifest_digest != job.model.digest:
        raise BadInput("The copy is not the checkpoint that was asked for; nothing was pushed.")
    partial.replace(target)


def _push(params: PushParams, folder: Path, events: EventLog, should_stop: Callable[[], bool]) -> str:
    """One commit of the folder; returns its id."""
    if reason := reason_against(params.endpoint):
        raise BadInput(reason, "Mend HUB_ENDPOINT, then ask again.")
    token = _token(Path(params.token_file))
    import httpx2
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, constants, set_client_factory
    from huggingface_hub.errors import HfHubHTTPError

    # The one stage that speaks to a hub. Not by the environment: that is read only when the package is first imported.
    constants.HF_HUB_OFFLINE = False
    constants.HF_HUB_DISABLE_XET = True
    constants.HF_HUB_DISABLE_IMPLICIT_TOKEN = True
    set_client_factory(lambda: httpx2.Client(event_hooks={"request": [_only_to(params.endpoint)]}, timeout=60))
    api = HfApi(endpoint=params.endpoint, token=token)
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    files = [CommitOperationAdd(path.relative_to(folder).as_posix(), str(path)) for path in paths]
    try:
        api.create_repo(params.repository, private=params.private, exist_ok=True)
        for done, file in enumerate(files, start=events.done + 1):
            if should_stop():
                raise Stopped
            api.preupload_lfs_files(params.repository, additions=[file])
            events.progress(done)
        names = {one.path_in_repo for one in files}
        gone = [CommitOperationDelete(name) for name in _gone(api, params.repository, names)]
        made = api.create_commit(params.repository, [*files, *gone], commit_message=params.message)
    except (HfHubHTTPError, RuntimeError) as error:  # an upload that failed is wrapped
        refused = error if isinstance(error, HfHubHTTPError) else error.__cause__
        if not isinstance(refused, HfHubHTTPError):
            raise
        raise StageError(*_said_by_hub(refused, params)) from error
    except httpx2.TransportError as error:
        raise StageError(
            f"The hub at {params.endpoint} cannot be reached: {type(error).__name__}.",
            "The folder is kept. Look whether the workers may reach it, then ask again.",
        ) from error
    return str(made.oid)


def _gone(api: HfApi, repository: str, names: set[str]) -> Iterator[str]:
    """What lies in the repository and is no file of this checkpoint."""
    for name in api.list_repo_files(repository):
        if name not in names and name not in KEPT_BY_HUBS:
            yield name


def _token(file: Path) -> str:
    try:
        token = file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"The hub's token cannot be read from {file}.", "The folder is kept.") from error
    if not token:
        raise BadInput(f"There is no token in {file}.", "The folder is kept.")
    return token


def _only_to(endpoint: str) -> Callable[[Any], None]:
    """A hook that lets no request with a token go anywhere but to the hub itself, redirected or named by its answer."""
    home = _origin(endpoint)

    def guard(request: Any) -> None:
        if "authorization" in request.headers and _origin(str(request.url)) != home:
            raise BadInput("The hub sent the upload on to another host with the token; it was not sent.")

    return guard


def _origin(address: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(address)
    return parts.scheme, parts.hostname, parts.port or {"https": 443, "http": 80}.get(parts.scheme)


def _said_by_hub(error: Any, params: PushParams) -> tuple[str, str]:
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status in (401, 403):
        return (
            f"The hub does not let this token write to {params.repository}.",
            "The folder is kept. Use a token that may write there, then ask again.",
        )
    if status == 404:
        return f"The hub knows no {params.repository} that this token may write to.", "The folder is kept."
    return f"The hub refused the push to {params.repository} (status {status}).", "The folder is kept; ask again later."
