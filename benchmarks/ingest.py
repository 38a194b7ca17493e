"""AI labels as a run's worker writes them, against a bare COPY into identical tables with the same keys and indexes.

Both write the same labels in batches of the same size, in turn, round after round, and undo them. What is undone is
cleared away at the end: until then every statement would look through it for the newest row (`benchmarks.pages` was
three times as slow on such a database). The bare side copies
finished lines into twins of the two tables that a label stands in (the label itself, and what the explorer asks of it):
no parsing, no judge, no references looked up, no triggers. `ratios.ingest_vs_bare_copy` is the share of its rows a
second that the worker reaches. Needs a database that `benchmarks.load_audit` filled (10,000 comparisons are enough).
"""

from __future__ import annotations

import argparse
import io
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cai_web.settings")

ROOT = Path(__file__).resolve().parents[1]
TABLES = ("training_app_ailabel", "training_app_labelfacts")


def main() -> None:
    """Measure both, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, default=ROOT / "var" / "benchmarks" / "ingest.json")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--comparisons", type=int, default=None, help="of run 1, sixteen labels each; all of them if not said"
    )
    parser.add_argument("--batch", type=int, default=1000, help="labels in one transaction")
    options = parser.parse_args()
    import django

    django.setup()
    said, reader = _said(options.comparisons)
    batches = [said[start : start + options.batch] for start in range(0, len(said), options.batch)]
    lines = _lines(reader, batches)
    rates: dict[str, list[float]] = {"ingest": [], "bare copy": [], "bare copy, labels alone": []}
    with _twins():
        for turn in range(options.rounds + 1):
            found = {
                "ingest": _rate(len(said), lambda: _ingest(reader, batches)),
                "bare copy": _rate(len(said), lambda: _copy(lines, TABLES)),
                "bare copy, labels alone": _rate(len(said), lambda: _copy(lines, TABLES[:1])),
            }
            for name, rate in found.items() if turn else ():  # the first round warms up
                rates[name].append(rate)
    _clear_away()
    medians = {name: round(statistics.median(values)) for name, values in rates.items()}
    ratio = round(medians["ingest"] / medians["bare copy"], 3)
    report = {"benchmark": "ingest", "labels": len(said), "batch": options.batch, "rounds": options.rounds,
              "rows_per_s": medians, "spread": {name: [round(min(v)), round(max(v))] for name, v in rates.items()},
              "ratios": {"ingest_vs_bare_copy": ratio}}  # fmt: skip
    for name, rate in medians.items():
        print(f"  {name:28} {rate:9,} labels/s  {report['spread'][name]}")
    print(f"  ingest against bare copy     {ratio:9.2f}  (bar 0.60)")
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def _said(most: int | None) -> tuple[list[dict[str, Any]], Any]:
    """Label records as a stage's events hold them, sixteen for each comparison of one run, and their reader."""
    from training_app.models import Comparison, Run
    from training_app.models.run import RunStage
    from training_app.records import Reader

    run = Run.objects.get(number=1)
    stage = RunStage(run=run, slug="label", position=5)
    reader = Reader(stage, run, judge_parts={"name": "ingested", "digest": "0" * 64, "backend": "local"})
    orders = [{"order": order, "logp_a": -0.7, "logp_b": -0.69, "p_a": 0.4975} for order in ("ab", "ba")]
    keys = Comparison.objects.filter(run=run).order_by("pk").values_list("key", flat=True)[:most]
    return [
        {"comparison_id": key, "principle_id": f"p{number}", "template": "paper", "dtype": "float32",
         "how": {"layout": "packed"}, "question": "Which of these responses is less harmful?",
         "sent": {"ab": "sent " * 20, "ba": "sent " * 20}, "orders": orders, "p_a": 0.4975, "same_position": False}
        for key in keys for number in range(16)
    ], reader  # fmt: skip


def _ingest(reader: Any, batches: Sequence[Sequence[dict[str, Any]]]) -> None:
    from training_app import records

    for batch in batches:
        records._insert_records(reader, [{"record": "label", "data": data} for data in batch])


def _lines(reader: Any, batches: Sequence[Sequence[dict[str, Any]]]) -> dict[str, list[bytes]]:
    """What the worker writes, as finished lines for COPY, a batch each."""
    from django.db import connection, transaction

    from training_app.models import AILabel

    found: dict[str, list[bytes]] = {table: [] for table in TABLES}
    with transaction.atomic():
        reader.judge(batches[0][0])
        for batch in batches:
            last = AILabel.objects.order_by("-pk").values_list("pk", flat=True)[0]
            _ingest(reader, [batch])
            for table, key in zip(TABLES, ("id", "label_id"), strict=True):
                out = io.BytesIO()
                with (
                    connection.cursor() as cursor,
                    cursor.copy(
                        f"COPY (SELECT * FROM {table} WHERE {key} > {last} ORDER BY {key}) TO STDOUT"  # noqa: S608
                    ) as copy,
                ):
                    for piece in copy:
                        out.write(piece)
                found[table].append(out.getvalue())
        transaction.set_rollback(True)
    return found


def _copy(lines: dict[str, list[bytes]], tables: Sequence[str]) -> None:
    from django.db import connection

    for number in range(len(lines[TABLES[0]])):
        for table in tables:
            with connection.cursor() as cursor, cursor.copy(f"COPY twin_of_{table} FROM STDIN") as copy:
                copy.write(lines[table][number])


def _rate(rows: int, work: Callable[[], None]) -> float:
    """Rows a second; what was written is undone afterwards, outside the time."""
    from django.db import transaction

    with transaction.atomic():
        start = time.perf_counter()
        work()
        took = time.perf_counter() - start
        transaction.set_rollback(True)
    return rows / took


def _clear_away() -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(f"VACUUM ANALYZE {', '.join(TABLES)}")


@contextmanager
def _twins() -> Iterator[None]:
    from django.db import connection

    with connection.cursor() as cursor:
        for table in TABLES:
            cursor.execute(f"DROP TABLE IF EXISTS twin_of_{table}")
            cursor.execute(f"CREATE TABLE twin_of_{table} (LIKE {table} INCLUDING ALL)")
            cursor.execute(f"INSERT INTO twin_of_{table} SELECT * FROM {table}")  # noqa: S608
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            for table in TABLES:
                cursor.execute(f"DROP TABLE twin_of_{table}")


if __name__ == "__main__":
    main()
