"""`manifest.json`: which words, which data and which parent made these weights, in a form anybody can recompute.

A checkpoint folder holds weights (safetensors), configuration, tokenizer, `constitution.json` (canonical) and the
manifest, which lists the sha256 of every other file and of everything the weights were made from. The digests of the
constitution and of the dataset builds also stand in the header of every safetensors file, so that weights that travel
alone still say where they come from.

The manifest seals itself: `content_digest` is the sha256 of the document without that entry, in canonical JSON, and the
file's bytes must be exactly what `manifest_text` writes, so any flipped byte is found even where no database knows the
manifest's own digest. The seal shows damage and carelessness; against a forger who recomputes it stands the digest kept
in the database, or a signature (`signing.py`). Files named in `BESIDE` may lie in the folder unlisted: a signature is
made of the finished manifest, a model card says what was learnt later, a hub adds its own; nothing loads any of them.
What is left out: the question whether those digests are known here, which only the app can answer.
"""

from __future__ import annotations

import json
import os
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from constitutions_app.core.principles import digest_of_text
from training_app.core.digests import SIGNATURE, digest_file, digest_model_folder

__all__ = ["Verification", "digest_file", "digest_model_folder", "read_manifest", "verify", "write_manifest"]

SCHEMA = 1
MANIFEST = "manifest.json"
CONSTITUTION = "constitution.json"
BESIDE = frozenset({SIGNATURE, "README.md", ".gitattributes", ".cache"})
"""What may lie in a checkpoint's folder without being listed (`.cache`: what a hub's client notes of a download)."""
SEAL = "content_digest"
SIZE_LIMIT = 64 * 2**20
"""Bytes of a manifest or of a safetensors header beyond which it is not read: ours have a few thousand."""

_DIGEST = re.compile(r"[0-9a-f]{64}")
_KINDS: Mapping[str, tuple[type, ...]] = {
    "stage": (str,), "run": (str,), "created_at": (str,), "constitution": (dict, type(None)), "datasets": (list,),
    "parent": (dict, type(None)), "base_model": (dict,), "models": (dict,), "config": (dict,), "seed": (int,),
    "job_digest": (str,), "code": (dict,), "packages": (dict,), "hardware": (dict,), "files": (dict,),
}  # fmt: skip


class Problem(NamedTuple):
    """One thing that is wrong: the file it was found in and a sentence."""

    file: str
    sentence: str


@dataclass(frozen=True)
class Verification:
    """What was checked in a checkpoint folder, in sentences, and what was found wrong."""

    path: Path
    checked: tuple[str, ...]
    problems: tuple[Problem, ...]
    manifest: Mapping[str, Any] | None = None
    """The manifest's content, as far as it could be read at all."""
    manifest_digest: str | None = None
    """sha256 of manifest.json: what the database knows a checkpoint by."""

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems

    @property
    def constitution_digest(self) -> str | None:
        """The constitution the manifest names."""
        constitution = (self.manifest or {}).get("constitution")
        digest = constitution.get("digest") if isinstance(constitution, dict) else None
        return digest if isinstance(digest, str) else None


def manifest_text(content: Mapping[str, Any]) -> str:
    """A manifest as its file holds it, sealed: sorted keys, two spaces, one line end at the end."""
    body = {name: value for name, value in content.items() if name != SEAL}
    return json.dumps(body | {SEAL: _seal(body)}, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


def write_manifest(folder: Path, content: Mapping[str, Any]) -> str:
    """Add the digest of every file in `folder` to `content`, write it as manifest.json, return that file's sha256."""
    listed = {
        path.relative_to(folder).as_posix(): {"sha256": digest_file(path), "bytes": path.stat().st_size}
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.relative_to(folder).as_posix() not in (MANIFEST, SIGNATURE)
    }
    text = manifest_text({"schema": SCHEMA, **content, "files": listed})
    (folder / MANIFEST).write_text(text, encoding="utf-8", newline="")
    return digest_of_text(text)


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """The manifest beside some weights, or None where there is none that can be read. Nothing is verified."""
    try:
        data = json.loads(_small_bytes(folder / MANIFEST))
    except (OSError, ValueError, RecursionError):
        return None
    return data if isinstance(data, dict) else None


def verify(path: Path) -> Verification:
    """Recompute every digest of a checkpoint folder and compare all that must agree. Never raises for bad content."""
    return _Verifier(path).run()


def weights_metadata(path: Path) -> dict[str, str]:
    """The metadata in the header of a safetensors file; nothing else of it is read. Raises ValueError, OSError."""
    with path.open("rb") as file:
        start = file.read(8)
        if len(start) < 8:
            raise ValueError("it is shorter than a safetensors header")
        (length,) = struct.unpack("<Q", start)
        if length > min(SIZE_LIMIT, path.stat().st_size):
            raise ValueError("its header is longer than the file allows")
        header = json.loads(file.read(length))
    metadata = header.get("__metadata__", {}) if isinstance(header, dict) else None
    if not isinstance(metadata, dict):
        raise ValueError("its header is not an object")
    return {str(name): str(value) for name, value in metadata.items()}


class _Verifier:
    """Collects what was checked and what is wrong, in the order a reader would look."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.checked: list[str] = []
        self.problems: list[Problem] = []

    def run(self) -> Verification:
        manifest, digest = None, None
        try:
            manifest = self._manifest()
            if manifest is not None:
                digest = digest_file(self.folder / MANIFEST)
                files = self._files(manifest)
                self._constitution(manifest)
                self._weights(manifest, files)
        except OSError as error:  # what is read one by one is reported one by one; this is the rest
            self.wrong(_named(error, self.folder), f"{_named(error, self.folder)} cannot be read: {error.strerror}.")
        return Verification(self.folder, tuple(self.checked), tuple(self.problems), manifest, digest)

    def wrong(self, file: str, sentence: str) -> None:
        self.problems.append(Problem(_shown(file), sentence))

    def _manifest(self) -> dict[str, Any] | None:
        if not self.folder.is_dir():
            self.wrong(MANIFEST, f"There is no checkpoint folder {self.folder}.")
            return None
        try:
            raw = _small_bytes(self.folder / MANIFEST)
            text = raw.decode("utf-8")
            data = json.loads(text)
        except FileNotFoundError:
            self.wrong(MANIFEST, "The manifest is missing, so nothing says where these weights come from.")
            return None
        except UnicodeDecodeError as error:
            self.wrong(MANIFEST, f"The manifest is damaged: byte {error.start + 1} is not UTF-8 text.")
            return None
        except json.JSONDecodeError as error:
            self.wrong(
                MANIFEST,
                f"The manifest is damaged: not JSON ({error.msg} at line {error.lineno}, column {error.colno}).",
            )
            return None
        except (OSError, ValueError, RecursionError) as error:
            self.wrong(MANIFEST, f"The manifest cannot be read: {error}.")
            return None
        if not isinstance(data, dict):
            self.wrong(MANIFEST, "The manifest is damaged: it should be an object.")
            return None
        if data.get("schema") != SCHEMA:
            self.wrong(
                MANIFEST, f"The manifest is of schema {data.get('schema')!r}; this program reads schema {SCHEMA}."
            )
            return None
        self._shape(data)
        self._seal(data, text)
        return data

    def _shape(self, data: Mapping[str, Any]) -> None:
        for name, kinds in _KINDS.items():
            if name not in data:
                self.wrong(MANIFEST, f"The manifest has no entry {name!r}.")
            elif not isinstance(data[name], kinds) or isinstance(data[name], bool):
                self.wrong(MANIFEST, f"The manifest's entry {name!r} is of the wrong kind.")

    def _seal(self, data: Mapping[str, Any], text: str) -> None:
        body = {name: value for name, value in data.items() if name != SEAL}
        try:
            expected = _seal(body)
            rewritten = manifest_text(data)
        except (ValueError, RecursionError) as error:  # NaN or infinity, which are no JSON; half characters; nesting
            self.wrong(MANIFEST, f"The manifest is damaged: {error}.")
            return
        if data.get(SEAL) != expected:
            self.wrong(
                MANIFEST, f"The manifest was changed: its content does not have the digest it states in {SEAL!r}."
            )
        elif rewritten != text:
            self.wrong(
                MANIFEST, "The manifest was changed: its text is not the one this program writes for its content."
            )
        else:
            self.checked.append(f"{MANIFEST} is whole: its content has the digest it states.")

    def _files(self, manifest: Mapping[str, Any]) -> list[str]:
        """Every listed file is there and equal, nothing else is there. Returns the names that are there."""
        listed = manifest.get("files")
        listed = listed if isinstance(listed, dict) else {}
        present = [name for name in sorted(listed) if self._is_there(name, listed[name])]
        for name in self._found():
            if name not in listed and name != MANIFEST and name.split("/")[0] not in BESIDE:
                self.wrong(name, f"{_shown(name)} is in the folder, but the manifest does not list it.")
        return present

    def _is_there(self, name: str, entry: Any) -> bool:
        try:
            return self._may_be_read(name) and self._same_file(name, entry)
        except OSError as error:
            self.wrong(name, f"{name} cannot be read: {error.strerror}.")
            return False

    def _found(self) -> list[str]:
        """Relative paths of all in the folder that is no plain folder; what cannot be looked into is wrong."""

        def refused(error: OSError) -> None:
            self.wrong(_named(error, self.folder), f"{_named(error, self.folder)} cannot be read: {error.strerror}.")

        found = []
        for where, folders, files in os.walk(self.folder, onerror=refused):
            links = [name for name in folders if os.path.islink(os.path.join(where, name))]
            found += [Path(where, name).relative_to(self.folder).as_posix() for name in (*files, *links)]
        return sorted(found)

    def _may_be_read(self, name: str) -> bool:
        """Names in a manifest are untrusted: only plain relative paths inside the folder are opened."""
        parts = PurePosixPath(name).parts
        plain = (
            name == PurePosixPath(name).as_posix()
            and not name.startswith("/")
            and "\\" not in name
            and name.isprintable()  # no NUL, no line end that forges a line of the report, no half character
        )
        if not parts or not plain or ".." in parts or name == MANIFEST:
            self.wrong(MANIFEST, f"The manifest lists {name!r}, which is not a file inside the folder.")
            return False
        path = self.folder
        for part in parts:
            path = path / part
            if path.is_symlink():
                self.wrong(name, f"{name} is a link, not a file of this folder.")
                return False
        return True

    def _same_file(self, name: str, entry: Any) -> bool:
        path = self.folder / name
        if not isinstance(entry, dict) or not _is_digest(entry.get("sha256")):
            self.wrong(MANIFEST, f"The manifest gives no sha256 for {name}.")
            return path.is_file()
        if not path.is_file():
            self.wrong(name, f"{name} is missing.")
            return False
        size = path.stat().st_size
        if size != entry.get("bytes"):
            self.wrong(name, f"{name} has {size} bytes; the manifest says {entry.get('bytes')!r:.40}.")
        elif (actual := digest_file(path)) != entry["sha256"]:
            self.wrong(
                name, f"{name} was changed: its sha256 is {actual[:12]}…, the manifest says {entry['sha256'][:12]}…."
            )
        else:
            self.checked.append(f"{name} has the sha256 the manifest lists ({size} bytes).")
        return True

    def _constitution(self, manifest: Mapping[str, Any]) -> None:
        named = manifest.get("constitution")
        path = self.folder / CONSTITUTION
        if not isinstance(named, dict):
            if path.exists():
                self.wrong(CONSTITUTION, "There is a constitution in the folder, but the manifest names none.")
            return
        if not _is_digest(named.get("digest")):
            self.wrong(MANIFEST, "The manifest names a constitution without its digest.")
        elif path.is_symlink() or not path.is_file():
            self.wrong(CONSTITUTION, "The constitution that made these weights is missing from the folder.")
        elif digest_file(path) != named["digest"]:
            self.wrong(
                CONSTITUTION, "constitution.json is not the constitution the manifest names: its digest differs."
            )
        else:
            self.checked.append(f"{CONSTITUTION} is the constitution the manifest names ({named['digest'][:12]}…).")

    def _weights(self, manifest: Mapping[str, Any], present: list[str]) -> None:
        weights = [name for name in present if name.endswith(".safetensors")]
        if not weights:
            self.wrong(MANIFEST, "The manifest lists no safetensors weights.")
        expected = {
            "constitution_digest": _constitution_of(manifest) or "",
            "dataset_digests": ",".join(dataset_digests(manifest)),
        }
        for name in weights:
            try:
                metadata = weights_metadata(self.folder / name)
            except (OSError, ValueError, RecursionError) as error:
                self.wrong(name, f"{name} is not a safetensors file that can be read: {error}.")
                continue
            different = [key for key, value in expected.items() if metadata.get(key) != value]
            for key in different:
                words = key.replace("_", " ").removesuffix("s") if key == "constitution_digest" else "dataset digests"
                self.wrong(name, f"The {words} in the header of {name} is not what the manifest says.")
            if not different:
                self.checked.append(f"The header of {name} names the same constitution and datasets as the manifest.")


def dataset_digests(manifest: Mapping[str, Any]) -> list[str]:
    """The digests of the dataset builds a manifest names, in its order."""
    entries = manifest.get("datasets")
    return (
        [str(entry.get("digest")) for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
    )


def _constitution_of(manifest: Mapping[str, Any]) -> str | None:
    named = manifest.get("constitution")
    return str(named.get("digest")) if isinstance(named, dict) else None


def _seal(body: Mapping[str, Any]) -> str:
    return digest_of_text(json.dumps(body, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False))


def _small_bytes(path: Path) -> bytes:
    if path.is_symlink():
        raise ValueError("it is a link")
    if path.exists() and not path.is_file():  # opening a pipe would wait for ever
        raise ValueError("it is no ordinary file")
    with path.open("rb") as file:
        content = file.read(SIZE_LIMIT + 1)
    if len(content) > SIZE_LIMIT:
        raise ValueError("it is far too large")
    return content


def _is_digest(value: object) -> bool:
    return isinstance(value, str) and _DIGEST.fullmatch(value) is not None


def _shown(name: str) -> str:
    """A file's name as it may stand in a report: what would steer a terminal or cannot be written is spelled out."""
    return name if name.isprintable() else repr(name)


def _named(error: OSError, folder: Path) -> str:
    """The file an error is about, within the folder if it lies there."""
    path = Path(os.fsdecode(error.filename or folder))
    return _shown(path.relative_to(folder).as_posix() if path.is_relative_to(folder) else str(path))
