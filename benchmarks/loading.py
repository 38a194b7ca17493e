"""How much memory a long file of prompts takes on its way into the database, and how long it takes.

A file of `--rows` generated prompts is loaded as `manage.py load_prompts` does it, in a process of its own and into a
database of its own: checked to its end first, then written. Its peak memory is held against that of `--few` rows.

    python -m benchmarks.loading --rows 1000000
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # so that it runs as a file, too

from benchmarks import _measuring as measuring
from benchmarks._measuring import Figure, Report
from benchmarks._own_app import app_in

WORDS = "Somebody asks number {0} of many what to do about {1}, and why it would be right or wrong to do it {2} times"


def main() -> None:
    """Load both files, print and write."""
    parser = measuring.options("loading", __doc__ or "")
    parser.add_argument("--rows", type=int, default=100_000, help="rows of the long file")
    parser.add_argument("--few", type=int, default=1000, help="rows of the short one")
    options = parser.parse_args()
    report = Report("loading", measuring.machine(rounds=1), measuring.versions())
    with tempfile.TemporaryDirectory() as folder, app_in(Path(folder)):
        for rows in (options.few, options.rows):
            megabytes, seconds, size = loaded(Path(folder), rows)
            report.results[f"memory_of_{rows}_rows"] = Figure.of([megabytes], "MB")
            report.results[f"rows_per_second_of_{rows}"] = Figure.of([rows / seconds], "rows/s")
            report.notes.append(
                f"{rows} rows, {size / 1e6:.0f} MB: {seconds:.0f} s, at most {megabytes:.0f} MB resident"
            )
    report.print()
    report.write(options.json)


def loaded(folder: Path, rows: int) -> tuple[float, float, int]:
    """Load a file of so many rows; megabytes at the peak, seconds, and the bytes of the file. Raises if it fails."""
    file = folder / f"rows-{rows}.jsonl"
    with file.open("w", encoding="utf-8") as out:
        for number in range(rows):
            text = WORDS.format(number, number * 7919 % 1_000_003, number % 13)
            out.write(json.dumps({"text": text, "tags": ["made"]}) + "\n")
    size, start = file.stat().st_size, time.perf_counter()
    command = [sys.executable, "manage.py", "load_prompts", str(file), "--kind", "red_team"]
    peak = measuring.peak_of(command)
    file.unlink()
    return peak, time.perf_counter() - start, size


if __name__ == "__main__":
    main()
