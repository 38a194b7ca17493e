"""The key that checkpoints are signed with: an elliptic one (P-256) in a PEM file that its owner alone may read.

A key is known by the sha256 of its public half as a PEM file, which is what `sha256sum` prints of that file and what a
signature itself names as its key. Nothing here makes a key unasked. Left out: keys behind a password, keys in hardware,
certificates and Sigstore's own identities, all of which `model-signing` has (docs/operations.md).
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

CURVES = ("secp256r1", "secp384r1", "secp521r1")
"""The curves that OpenSSF model signing knows."""


class NoKey(Exception):
    """There is no key to sign with, or the file is none; the message is one sentence."""


@dataclass(frozen=True)
class PublicKey:
    """The half of a key that everybody may have."""

    pem: str

    @property
    def fingerprint(self) -> str:
        """sha256 of the PEM text, 64 hexadecimal digits."""
        return hashlib.sha256(self.pem.encode("ascii")).hexdigest()


def make_key(path: Path) -> None:
    """Write a new private key, readable by its owner alone. Raises FileExistsError: no key is ever written over."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    pem = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    aside = path.with_name(f"{path.name}.{os.getpid()}")
    with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(pem)
    try:
        os.link(aside, path)  # whole or not at all, and never over another one
    finally:
        aside.unlink()


def public_half(path: Path) -> PublicKey:
    """The public half of the private key in a file. Raises NoKey."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    if not path.is_file():
        raise NoKey(f"There is no signing key at {path}.")
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except OSError as error:
        raise NoKey(f"The signing key at {path} cannot be read: {error.strerror}.") from error
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:  # TypeError: it has a password
        raise NoKey(f"The file {path} is no private key in PEM form without a password.") from error
    return _checked(key.public_key(), path)


def read_public_key(path: Path) -> PublicKey:
    """The public key in a file that holds nothing else. Raises NoKey."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        return _checked(load_pem_public_key(path.read_bytes()), path)
    except OSError as error:
        raise NoKey(f"The public key at {path} cannot be read: {error.strerror}.") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise NoKey(f"The file {path} is no public key in PEM form.") from error


def _checked(key: object, path: Path) -> PublicKey:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name not in CURVES:
        raise NoKey(f"The key at {path} is of a kind that models are not signed with; make one of the curve P-256.")
    pem = key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return PublicKey(pem.decode("ascii"))
