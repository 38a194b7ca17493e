"""`ARTIFACT_STORAGE` as Django's settings of one storage: a folder, or a bucket of an S3-compatible server.

    s3://bucket/prefix?endpoint=https://minio.example:9000&region=eu-central-1
    file:///mnt/exchange

The keys are not part of it: boto3 reads AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (or a profile, or the machine's
role) by itself, and stages do not get to know them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from django.core.exceptions import ImproperlyConfigured

KNOWN = frozenset({"endpoint", "region"})


def artifact_storage(address: str, root: Path) -> dict[str, Any]:
    """The storage's backend and options; without an address the artifact folder itself. Raises ImproperlyConfigured."""
    parts = urlsplit(address)
    if not address or parts.scheme == "file":
        location = Path(parts.path) if address else root
        return {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": str(location)}}
    options = parse_qs(parts.query)
    if parts.scheme != "s3" or not parts.netloc or set(options) - KNOWN or "@" in parts.netloc:
        raise ImproperlyConfigured(
            "ARTIFACT_STORAGE must read s3://bucket/prefix?endpoint=https://host&region=name or file:///folder."
        )
    chosen = {"endpoint_url": options.get("endpoint"), "region_name": options.get("region")}
    return {
        "BACKEND": "storages.backends.s3.S3Storage",
        "OPTIONS": {
            "bucket_name": parts.netloc,
            "location": parts.path.strip("/"),
            "default_acl": None,
            "file_overwrite": True,
            **{name: values[0] for name, values in chosen.items() if values},
        },
    }
