"""Verifies an evidence pack without the app: Python's standard library only, no network, nothing written.

    python verify.py                     inside the unpacked folder
    python verify.py PACK.zip            the pack as it came
    python verify.py --weights FOLDER    also every file of the checkpoint's own folder

This file is itself `verify.py` of every pack. It recomputes the sha256 of each file in the pack, holds the manifests
against the texts, the parents and one another, recomputes the hash of each ledger entry of the excerpt and looks for
the entries that announced the versions and the checkpoints. Where the checkpoint is signed, it holds what the
signature lists against the manifest, and the key against what signature and ledger name; the arithmetic of the
signature itself needs the package `model-signing` (the pack's README says how). What it cannot show: that the excerpt
leaves nothing out, and that the whole pack was not made anew by somebody who changed everything in it alike. Against
the latter, compare the pack's digest, which is printed first, with one that you had from elsewhere.

Exit status: 0 when everything holds, 1 when something does not, 2 when there is no pack to read.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

INDEX = "index.json"
LEDGER = "ledger.jsonl"
SIGNATURE, KEY = "signature/model.sig", "signature/key.pub"
BLOCK = 2**20


class Pack(Protocol):
    """A pack, zipped or unpacked."""

    def names(self) -> list[str]: ...

    def blocks(self, name: str) -> Iterator[bytes]: ...


class ZippedPack:
    """The pack as one file."""

    def __init__(self, path: Path) -> None:
        self.archive = zipfile.ZipFile(path)

    def names(self) -> list[str]:
        return [info.filename for info in self.archive.infolist() if not info.is_dir()]

    def blocks(self, name: str) -> Iterator[bytes]:
        with self.archive.open(name) as file:
            while block := file.read(BLOCK):
                yield block


class UnpackedPack:
    """The pack as a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def names(self) -> list[str]:
        files = (path for path in self.folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
        return sorted(path.relative_to(self.folder).as_posix() for path in files)

    def blocks(self, name: str) -> Iterator[bytes]:
        with (self.folder / name).open("rb") as file:
            while block := file.read(BLOCK):
                yield block


class Check:
    """What was found: sentences that hold, problems, and what was left unchecked."""

    def __init__(self, pack: Pack) -> None:
        self.pack = pack
        self.held: list[str] = []
        self.problems: list[str] = []
        self.notes: list[str] = []
        self.index: dict[str, Any] = {}

    def run(self, weights: Path | None = None) -> Check:
        """Every check, in the order a reader would ask. Stops early only where the index itself cannot be read."""
        if not self._index():
            return self
        manifests = self._manifests()
        self._constitutions(manifests)
        self._parents(manifests)
        entries = self._ledger()
        self._announced(manifests, entries)
        self._signature(manifests, entries)
        if weights is not None:
            self._weights(manifests, weights)
        return self

    def say(self, holds: bool, sentence: str, otherwise: str) -> bool:
        """Keep one finding; returns whether it holds."""
        (self.held if holds else self.problems).append(sentence if holds else otherwise)
        return holds

    def text(self, name: str) -> str:
        """One file of the pack as text."""
        return b"".join(self.pack.blocks(name)).decode("utf-8", "replace")

    def json(self, name: str) -> dict[str, Any]:
        """One JSON file of the pack; an empty object and a problem where it cannot be read."""
        try:
            data = json.loads(self.text(name))
        except (KeyError, OSError, ValueError, RecursionError) as error:
            self.problems.append(f"{name} cannot be read: {error}")
            return {}
        return data if isinstance(data, dict) else {}

    def _index(self) -> bool:
        index = self.json(INDEX)
        if not isinstance(index.get("files"), dict):
            self.problems.append(f"{INDEX} is missing or is not an index of an evidence pack.")
            return False
        self.index = index
        present = set(self.pack.names()) - {INDEX}
        listed = set(index["files"])
        for name in sorted(listed - present):
            self.problems.append(f"{name} is listed and missing.")
        for name in sorted(present - listed):
            self.problems.append(f"{name} is in the pack and not listed.")
        changed = [name for name in sorted(listed & present) if self._digest(name) != index["files"][name]]
        for name in changed:
            self.problems.append(f"{name} was changed: its sha256 is not the listed one.")
        self.say(
            not changed and listed == present,
            f"All {len(listed)} files are there with the sha256 that the index lists.",
            "Not every file is the one that the index lists.",
        )
        return True

    def _digest(self, name: str) -> str:
        return sha256(self.pack.blocks(name))

    def _manifests(self) -> dict[str, dict[str, Any]]:
        """By the sha256 of its file, each checkpoint's manifest."""
        names = [name for name in self.index["files"] if name.startswith("manifests/")]
        found = {self._digest(name): self.json(name) for name in names if name in self.pack.names()}
        subject = str(self.index.get("checkpoint"))
        self.say(
            subject in found,
            f"The manifest of the checkpoint {subject[:12]}… is in the pack, byte for byte.",
            f"The manifest of the checkpoint {subject[:12]}… is not in the pack.",
        )
        for digest, manifest in found.items():
            self.say(
                manifest.get("content_digest") == seal(manifest),
                f"The seal of manifest {digest[:12]}… ({manifest.get('stage')}) holds.",
                f"The seal of manifest {digest[:12]}… does not fit its content.",
            )
        return found

    def _constitutions(self, manifests: dict[str, dict[str, Any]]) -> None:
        texts = {self._digest(name) for name in self.index["files"] if name.startswith("constitution/")}
        for digest, manifest in manifests.items():
            named = part(manifest, "constitution").get("digest")
            self.say(
                named in texts,
                f"The words that made {digest[:12]}… ({str(named)[:12]}…) are in the pack.",
                f"The words that made {digest[:12]}… ({str(named)[:12]}…) are not in the pack.",
            )

    def _parents(self, manifests: dict[str, dict[str, Any]]) -> None:
        for digest, manifest in manifests.items():
            parent = part(manifest, "parent").get("digest")
            if parent is not None:
                self.say(
                    parent in manifests,
                    f"The parent of {digest[:12]}…, {str(parent)[:12]}…, is in the pack.",
                    f"The parent of {digest[:12]}…, {str(parent)[:12]}…, is not in the pack.",
                )

    def _ledger(self) -> list[dict[str, Any]]:
        """The bodies of the excerpt, each checked against its hash; neighbours against each other."""
        bodies: list[dict[str, Any]] = []
        before: tuple[int, str] | None = None
        lines = self.text(LEDGER).splitlines() if LEDGER in self.pack.names() else []
        for place, line in enumerate(lines, start=1):
            try:
                entry = json.loads(line)
                body = json.loads(entry["body"])
                number, previous, own = int(body["seq"]), str(entry["previous_hash"]), str(entry["hash"])
                said = {"verb": str(body["verb"]), "data": dict(body["data"])}
            except (ValueError, KeyError, TypeError, RecursionError):
                self.problems.append(f"Line {place} of {LEDGER} is no ledger entry.")
                continue
            fits = hashlib.sha256((previous + entry["body"]).encode()).hexdigest() == own
            follows = before is None or number != before[0] + 1 or previous == before[1]
            if fits and follows:
                bodies.append(said)
            else:
                self.problems.append(f"Ledger entry {number} was altered: its hash does not fit.")
            before = (number, own)
        self.say(
            bool(bodies) and len(bodies) == len(lines),
            f"The hashes of all {len(bodies)} ledger entries hold.",
            "The ledger's excerpt is missing, empty or altered.",
        )
        return bodies

    def _announced(self, manifests: dict[str, dict[str, Any]], entries: list[dict[str, Any]]) -> None:
        published = {one["data"].get("digest") for one in entries if one["verb"] == "version.publish"}
        kept = {one["data"].get("digest"): one["data"] for one in entries if one["verb"] == "checkpoint.publish"}
        for digest, manifest in manifests.items():
            words = part(manifest, "constitution").get("digest")
            self.say(
                words in published,
                f"The ledger announces the words {str(words)[:12]}….",
                f"The ledger's excerpt does not announce the words {str(words)[:12]}….",
            )
            said = kept.get(digest)
            self.say(
                said is not None and said.get("constitution") == words,
                f"The ledger announces the checkpoint {digest[:12]}… with those words.",
                f"The ledger's excerpt does not announce the checkpoint {digest[:12]}… with those words.",
            )

    def _signature(self, manifests: dict[str, dict[str, Any]], entries: list[dict[str, Any]]) -> None:
        """What the signature says, as far as that needs no cryptography; nothing where there is none."""
        if SIGNATURE not in self.pack.names() and KEY not in self.pack.names():
            return
        bundle, key = self.json(SIGNATURE), self._digest(KEY) if KEY in self.pack.names() else ""
        named = part(part(bundle, "verificationMaterial"), "publicKey").get("hint")
        self.say(
            named == key,
            f"The signature names the key {key[:12]}…, which is in the pack.",
            f"The signature names the key {str(named)[:12]}…, which is not the one in the pack.",
        )
        subject = str(self.index.get("checkpoint"))
        listed = {name: entry.get("sha256") for name, entry in _files(manifests.get(subject))}
        self.say(
            signed_files(bundle) == listed | {"manifest.json": subject},
            f"The signature lists the checkpoint's manifest and its {len(listed)} files, with the same sha256 each.",
            "The signature does not list the files that the manifest lists.",
        )
        own = self._digest(SIGNATURE) if SIGNATURE in self.pack.names() else ""
        said = [one["data"] for one in entries if one["verb"] == "checkpoint.signed"]
        self.say(
            any((one.get("signature"), one.get("key"), one.get("digest")) == (own, key, subject) for one in said),
            f"The ledger announces the signature {own[:12]}… by that key.",
            f"The ledger's excerpt does not announce the signature {own[:12]}… by that key.",
        )
        self.notes.append(
            "Whether the signature holds for its key was not computed; README.md says how model-signing does it."
        )

    def _weights(self, manifests: dict[str, dict[str, Any]], folder: Path) -> None:
        manifest = manifests.get(str(self.index.get("checkpoint")), {})
        for name, listed in sorted(part(manifest, "files").items()):
            path = folder / name
            inside = path.resolve().is_relative_to(folder.resolve())
            same = (
                inside and path.is_file() and isinstance(listed, dict) and sha256(_read(path)) == listed.get("sha256")
            )
            self.say(
                same, f"{name} is the file that the manifest lists.", f"{name} is not the file that the manifest lists."
            )


def sha256(blocks: Iterator[bytes]) -> str:
    """The sha256 of some blocks, 64 hexadecimal digits."""
    digest = hashlib.sha256()
    for block in blocks:
        digest.update(block)
    return digest.hexdigest()


def seal(manifest: dict[str, Any]) -> str:
    """The sha256 that a manifest must carry of itself: canonical JSON without that entry."""
    body = {name: value for name, value in manifest.items() if name != "content_digest"}
    text = json.dumps(body, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def part(manifest: dict[str, Any], name: str) -> dict[str, Any]:
    """An object inside a manifest; an empty one where there is none."""
    found = manifest.get(name)
    return found if isinstance(found, dict) else {}


def _files(manifest: dict[str, Any] | None) -> list[tuple[str, dict[str, Any]]]:
    return [(name, entry) for name, entry in part(manifest or {}, "files").items() if isinstance(entry, dict)]


def signed_files(bundle: dict[str, Any]) -> dict[str, Any]:
    """File → sha256 as a signature's statement lists them; empty where it cannot be read."""
    try:
        statement = json.loads(base64.b64decode(str(part(bundle, "dsseEnvelope").get("payload"))))
        return {str(one["name"]): one["digest"] for one in statement["predicate"]["resources"]}
    except (ValueError, KeyError, TypeError, RecursionError):
        return {}


def open_pack(path: Path) -> Pack:
    """A zip file or an unpacked folder. Raises OSError or zipfile.BadZipFile."""
    return UnpackedPack(path) if path.is_dir() else ZippedPack(path)


def main(arguments: list[str] | None = None, write: Callable[[str], object] = print) -> int:
    """The program; returns its exit status."""
    parser = argparse.ArgumentParser(description="Verifies an evidence pack without the app.")
    parser.add_argument("pack", nargs="?", type=Path, default=Path(__file__).parent, help="the zip or its folder")
    parser.add_argument("--weights", type=Path, help="the checkpoint's own folder, to compare every file of it")
    given = parser.parse_args(arguments)
    try:
        pack = open_pack(given.pack)
        digest = sha256(pack.blocks(INDEX))
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        write(f"{given.pack} is no evidence pack: {error}")
        return 2
    write(f"index {digest}")
    check = Check(pack).run(given.weights)
    for sentence in check.held:
        write(f"ok   {sentence}")
    for sentence in check.problems:
        write(f"BAD  {sentence}")
    for sentence in check.notes:
        write(f"note {sentence}")
    write(f"{len(check.held)} checks hold, {len(check.problems)} do not.")
    return 1 if check.problems else 0


def _read(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            yield block


if __name__ == "__main__":
    sys.exit(main())
