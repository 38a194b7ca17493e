"""OpenSSF model signing of a checkpoint folder: the stage program ``sign``, and verifying what it left.

A signature is one file, `model.sig`: a Sigstore bundle around an in-toto statement that lists the sha256 of every file
of the folder, `manifest.json` and the weights alike, signed with an elliptic key (specification: OpenSSF Model Signing
1.0). Any tool that reads the format verifies it: ``model_signing verify key FOLDER --signature FOLDER/model.sig
--public_key KEY``. The manifest is signed and so cannot list its signature; `manifest.BESIDE` names the few files that
may lie beside the weights without being covered: the signature itself, a model card, and what a hub adds.

What is signed is what the database knows: the statement's digests are held against the manifest before the signature
leaves this program, so a damaged folder is never signed. Left out: transparency logs, which need a network.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training_app.core.checkpoints import sync_path
from training_app.core.digests import SIGNATURE, digest_file
from training_app.core.errors import BadInput
from training_app.core.events import EventLog
from training_app.core.job import Job
from training_app.core.manifest import BESIDE, MANIFEST, Problem, read_manifest
from training_app.core.signing_keys import NoKey, PublicKey, public_half

SIZE_LIMIT = 64 * 2**20
"""Bytes of a signature beyond which it is not read: ours have a few thousand."""


@dataclass(frozen=True)
class SignParams:
    """Whose signature it is to be: the private key's file, and the fingerprint the person saw who asked for it."""

    key: str = ""
    fingerprint: str = ""


def run(job: Job, events: EventLog, should_stop: Callable[[], bool]) -> None:
    """Sign the folder of ``model`` into `model.sig` of the job's own folder; the caller puts it beside the weights.

    Raises BadInput for another key than the one asked for, and for a folder that is not what its digest says.
    """
    params = job.params(SignParams)
    folder, target = job.model.path, job.out / SIGNATURE
    events.started(device="", dtype="", total=1, unit="signatures", resumed_at=0)
    try:
        key = public_half(Path(params.key))
    except NoKey as error:
        raise BadInput(str(error), "Nothing was signed.") from error
    if key.fingerprint != params.fingerprint:
        raise BadInput(
            f"The worker's key is {key.fingerprint[:12]}…; asked for was {params.fingerprint[:12]}….",
            "Give the web server and the workers the same MODEL_SIGNING_KEY, then ask again.",
        )
    if not folder.is_dir():
        raise BadInput(f"There is no checkpoint folder {folder}.", "Nothing was signed.")
    partial = target.with_name(f"{SIGNATURE}.partial")
    try:
        sign_folder(folder, Path(params.key), partial)
    except ValueError as error:  # a link or a special file in the folder
        raise BadInput(f"The folder cannot be signed: {error}", "Nothing was signed.") from error
    if wrong := _differs(statement_of(partial), folder, job.model.digest):
        partial.unlink()
        raise BadInput(f"The folder does not verify, so it was not signed: {wrong}", "Verify the checkpoint first.")
    sync_path(partial)
    partial.replace(target)
    events.progress(1)
    events.finished(outputs={}, summary={"digest": digest_file(target), "fingerprint": key.fingerprint})


def sign_folder(folder: Path, key: Path, target: Path) -> None:
    """Sign every file of `folder` except those that lie beside the weights. Reads all of it. Raises ValueError."""
    from model_signing import hashing, signing

    covered = hashing.Config().set_ignored_paths(paths=sorted(BESIDE), ignore_git_paths=False)
    signing.Config().set_hashing_config(covered).use_elliptic_key_signer(private_key=key).sign(folder, target)


def verify_signature(folder: Path, key: PublicKey, public_key_file: Path) -> list[Problem]:
    """What `model-signing` finds wrong with `model.sig` of a folder under one key; empty when it holds.

    Reads all of it. `public_key_file` is where the key's PEM text lies, because the package reads it from a file.
    """
    from cryptography.exceptions import InvalidSignature
    from model_signing import hashing, verifying

    signature = folder / SIGNATURE
    named = key_named_by(signature)
    if named is None:
        return [Problem(SIGNATURE, "The signature is damaged: it is not a bundle of OpenSSF model signing.")]
    if named != key.fingerprint:
        return [Problem(SIGNATURE, f"It is signed by another key ({named[:12]}…) than {key.fingerprint[:12]}….")]
    covered = hashing.Config().set_ignored_paths(paths=sorted(BESIDE), ignore_git_paths=False)
    config = verifying.Config().use_elliptic_key_verifier(public_key=public_key_file).set_hashing_config(covered)
    try:
        config.verify(folder, signature)
    except InvalidSignature:
        return [Problem(SIGNATURE, "The signature was changed, or what it says was: it does not hold for its key.")]
    except Exception as error:  # what the package raises for files made to hurt it is as varied as they are
        found = _against_folder(statement_of(signature), folder)
        return found or [Problem(SIGNATURE, f"The signature cannot be verified: {error}")]
    return []


def key_named_by(signature: Path) -> str | None:
    """The fingerprint of the key that a signature says it was made with; None where it says none or is damaged."""
    material = _bundle(signature).get("verificationMaterial")
    named = material.get("publicKey") if isinstance(material, dict) else None
    hint = named.get("hint") if isinstance(named, dict) else None
    return hint if isinstance(hint, str) and hint else None


def statement_of(signature: Path) -> dict[str, str]:
    """File → sha256, as a signature's statement lists them; empty where it cannot be read. Nothing is verified."""
    envelope = _bundle(signature).get("dsseEnvelope")
    try:
        payload = envelope.get("payload") if isinstance(envelope, dict) else None
        resources = json.loads(base64.b64decode(payload or ""))["predicate"]["resources"]
        return {str(one["name"]): str(one["digest"]) for one in resources}
    except (ValueError, KeyError, TypeError, RecursionError):
        return {}


def _bundle(signature: Path) -> Mapping[str, Any]:
    try:
        if signature.is_symlink() or signature.stat().st_size > SIZE_LIMIT:
            return {}
        bundle = json.loads(signature.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return bundle if isinstance(bundle, dict) else {}


def _differs(signed: Mapping[str, str], folder: Path, digest: str | None) -> str:
    """Why these are not the files of the manifest with that digest, in a sentence; empty when they are."""
    listed = (read_manifest(folder) or {}).get("files") or {}
    expected = {name: str(entry["sha256"]) for name, entry in listed.items()} | {MANIFEST: str(digest)}
    problems = _differences(expected, signed, "the manifest")
    return problems[0].sentence if problems else ""


def _against_folder(signed: Mapping[str, str], folder: Path) -> list[Problem]:
    """The files that are not what the statement lists, each named."""
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    found = {path.relative_to(folder).as_posix(): path for path in paths}
    covered = {name: path for name, path in found.items() if name.split("/")[0] not in BESIDE}
    return _differences(signed, {name: digest_file(path) for name, path in covered.items()}, "the signature")


def _differences(expected: Mapping[str, str], found: Mapping[str, str], whose: str) -> list[Problem]:
    missing = [Problem(name, f"{name} is missing; {whose} lists it.") for name in expected if name not in found]
    added = [Problem(name, f"{name} is in the folder; {whose} does not list it.") for name in found
             if name not in expected]  # fmt: skip
    changed = [Problem(name, f"{name} was changed: {whose} lists another sha256.") for name in expected
               if name in found and found[name] != expected[name]]  # fmt: skip
    return [*changed, *missing, *added]
