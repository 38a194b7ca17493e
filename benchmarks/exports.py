"""How fast a worker writes exports of the explorer, on a database that `benchmarks.load_audit` filled.

    VAR_DIR=... python -m benchmarks.exports --json FILE [--files jsonl,parquet,jsonl.texts,parquet.texts,icai.all]

Every file is written as a `default` worker does it, in a process of its own: stretches, the row kept after each, the
file on the disk and its digest. Rows a second count from the claim to the name of the whole file; memory is the peak of
the process, imports included. The file and its row are deleted afterwards. Nothing else should run: a worker that is
up might take the row first.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cai_web.settings")

from benchmarks import _measuring as measuring

ROOT = Path(__file__).resolve().parents[1]
FILES = "jsonl,parquet,jsonl.all,parquet.all,icai.all"
BAR = 100_000
"""Rows a second of ids and figures as JSON lines."""


def main() -> None:
    """Write every file, each in a process of its own; print and keep what it took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, default=ROOT / "var" / "benchmarks" / "exports.json")
    parser.add_argument("--question", default="kind=label", help="as it stands in the explorer's address")
    parser.add_argument("--files", default=FILES, help="forms; behind a point which texts: veiled or all")
    parser.add_argument("--told", type=Path, default=None, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.told:
        options.told.write_text(json.dumps(_written(options.files, options.question)), encoding="utf-8")
        return
    found = {}
    for file in options.files.split(","):
        found[file] = _measured(file, options.question)
        print(f"  {file}: {found[file]}", flush=True)
    told = {"question": options.question, "bar_rows_per_s": BAR, "files": found}
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")


def _measured(file: str, question: str) -> dict[str, float]:
    with tempfile.NamedTemporaryFile("r") as told:
        own = [sys.executable, "-m", "benchmarks.exports", "--files", file, "--question", question]
        peak = measuring.peak_of([*own, "--told", told.name])
        return {**json.load(told), "peak_mb": round(peak, 1)}


def _written(file: str, question: str) -> dict[str, float]:
    """Write one file here; rows, seconds and size."""
    import django

    django.setup()
    from django.http import QueryDict

    from benchmarks._own_app import somebody
    from training_app import artifacts, export_jobs
    from training_app.explorer.filters import Filters
    from training_app.models import Export

    form, _, texts = file.partition(".")
    asked = Filters.from_query(QueryDict(question)).to_query().urlencode()
    row = Export.objects.create(what="items", form=form, texts=texts, question=asked, created_by=somebody())
    try:
        start = time.perf_counter()
        state = export_jobs.run_once(row.pk)
        took = time.perf_counter() - start
        row.refresh_from_db()
        if state != Export.State.SUCCEEDED:
            raise SystemExit(f"{file} was not written: {row.reason or 'another worker took it'}")
        return {"rows": row.done, "seconds": round(took, 2), "rows_per_s": round(row.done / took),
                "mb": round(row.bytes / 1e6, 1)}  # fmt: skip
    finally:
        artifacts.forget(row.folder)
        row.delete()


if __name__ == "__main__":
    main()
