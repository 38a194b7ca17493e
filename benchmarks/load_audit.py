"""Fills a database with comparisons, AI labels and audits by COPY, to measure pages on.

    python -m benchmarks.load_audit --comparisons 1000000 --labels 2000000 --audits 200000

The database is the one the settings name (DATABASE_URL, or the app's own under VAR_DIR) and is migrated first. Every
trigger does its work, so that the explorer finds what is loaded; indexes beside the keys are made again afterwards,
which is what a large restore does too. Texts are made of a vocabulary with a long tail, so that some words are in
every other item and some in a handful. Nothing is read from anywhere. Refused where the database has comparisons.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cai_web.settings")

CHUNK = 50_000
RUNS, AUDITORS, TAGS = 8, 50, ("everyday", "medical", "legal", "money", "violence", "privacy", "children", "rare-tag")
SYLLABLES = ("ba", "ce", "di", "fo", "gu", "la", "me", "ni", "po", "ru", "sa", "te", "vi", "wo", "xa", "bro", "cle")
LATELY = datetime(2026, 11, 1, tzinfo=UTC)
COMPARISON = ("id", "source", "run_id", "prompt_id", "key", "prompt_text", "messages", "response_a", "response_b",
              "identical", "human_choice", "created_at")  # fmt: skip
LABEL = ("id", "run_id", "comparison_id", "principle_id", "judge_id", "question", "sent_ab", "sent_ba", "ab_logp_a",
         "ab_logp_b", "ba_logp_a", "ba_logp_b", "p_ab", "p_ba", "p_a", "votes", "p_a_clamped", "same_position",
         "created_at")  # fmt: skip
AUDIT = ("id", "auditor_id", "label_id", "verdict", "choice", "blind", "blind_choice", "shown_first", "confidence",
         "reason", "comment", "created_at")  # fmt: skip


@dataclass(frozen=True)
class Ground:
    """What the loaded rows point to, by primary key."""

    runs: Sequence[uuid.UUID]
    prompts: Sequence[Sequence[int]]
    """By run."""
    principles: Sequence[Sequence[int]]
    """By run."""
    judges: Sequence[int]
    auditors: Sequence[int]


def main() -> None:
    """Load, and say how long each part took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--comparisons", type=int, default=1_000_000)
    parser.add_argument("--labels", type=int, default=2_000_000)
    parser.add_argument("--audits", type=int, default=200_000)
    parser.add_argument("--json", type=Path, default=None, help="where to write the times")
    options = parser.parse_args()
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", interactive=False, verbosity=0)
    took = load(options.comparisons, options.labels, options.audits, say=lambda line: print(line, flush=True))
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(took, indent=2) + "\n", encoding="utf-8")


def load(
    comparisons: int, labels: int, audits: int, *, say: Callable[[str], None] = lambda line: None
) -> dict[str, float]:
    """Load so many rows of each; returns the seconds of each part and of all. Raises SystemExit where rows are."""
    from training_app.models import AILabel, Audit, AuditFacts, Comparison, ComparisonFacts, LabelFacts

    if Comparison.objects.exists():
        raise SystemExit("This database has comparisons already: name an empty one.")
    took: dict[str, float] = {}

    def timed(what: str, work: Callable[[], Any]) -> Any:
        start = time.perf_counter()
        done = work()
        took[what] = round(time.perf_counter() - start, 1)
        say(f"{what:32} {took[what]:8.1f} s")
        return done

    ground = timed("people, versions, prompts", lambda: _ground(min(comparisons // RUNS, 500)))
    tables = (Comparison, ComparisonFacts, AILabel, LabelFacts, Audit, AuditFacts)
    again = timed("indexes put aside", lambda: _put_aside(tables))
    sentences = _sentences()
    timed("comparisons", lambda: _in_pieces(Comparison, COMPARISON, comparisons, _comparisons(ground, sentences), 2))
    timed("labels", lambda: _in_pieces(AILabel, LABEL, labels, _labels(ground, comparisons), 2))
    timed("audits", lambda: _in_pieces(Audit, AUDIT, audits, _audits(ground, labels, sentences), 1))
    timed("indexes", lambda: _make(again))
    timed("statistics", lambda: _analyze(tables))
    took["all"] = round(sum(took.values()), 1)
    say(f"{'all':32} {took['all']:8.1f} s")
    return took


def _ground(prompts: int) -> Ground:
    from dataclasses import asdict

    from django.contrib.auth.models import Group, User

    from constitutions_app.access import Role
    from constitutions_app.core import principles as core
    from constitutions_app.models import Constitution, PrincipleVersion, Version
    from training_app.core.config import PRESETS
    from training_app.core.judge_spec import JudgeSpec
    from training_app.judges import register
    from training_app.models import Prompt, PromptSet, Run

    people = [User.objects.create_user(f"auditor{number}") for number in range(AUDITORS)]
    for one in people:
        one.groups.add(Group.objects.get(name=Role.AUDITOR))
    constitution = Constitution.objects.create(slug="loaded", name="Loaded", created_by=people[0])
    runs, asked, principles = [], [], []
    parent: Version | None = None
    for number in range(1, RUNS + 1):
        values = tuple(core.Principle(id=f"p{n}", title=f"Principle {n}", text=f"Principle {n} as version {number} "
                                      "says it.") for n in range(16))  # fmt: skip
        whole = core.Constitution("Loaded", principles=values)
        version = Version.objects.create(
            constitution=constitution, number=number, canonical=core.canonical_json(whole), digest=core.digest(whole),
            parent=parent, author=people[0], note=f"Version {number}",
        )  # fmt: skip
        parent = version
        made = PrincipleVersion.objects.bulk_create(
            PrincipleVersion(version=version, key=one.id, position=place, title=one.title, text=one.text, body={},
                             since=number if place <= 4 else 1)
            for place, one in enumerate(values, start=1)
        )  # fmt: skip
        run = Run.objects.create(
            number=number, name=f"Loaded {number}", version=version, preset="demo", seed=1, created_by=people[0],
            base_model={"name": "none", "path": "", "digest": "0" * 64, "chat_template": True},
            config=asdict(PRESETS["demo"]), state="succeeded", finished_at=LATELY,
        )  # fmt: skip
        prompt_set = PromptSet.objects.create(slug=f"loaded-{number}", name=f"Loaded {number}", kind="red_team",
                                              digest="0" * 64, rows=prompts)  # fmt: skip
        kept = Prompt.objects.bulk_create(
            Prompt(prompt_set=prompt_set, key=str(place), position=place, text=f"Prompt {place}",
                   tags=[TAGS[int(len(TAGS) * random.random() ** 4)]])
            for place in range(1, prompts + 1)
        )  # fmt: skip
        runs.append(run.pk)
        asked.append([one.pk for one in kept])
        principles.append([one.pk for one in made])
    judges = [register(JudgeSpec(f"judge-{n}", f"{n:064d}", "paper", "float32"), actor=None).pk for n in range(3)]
    return Ground(runs, asked, principles, judges, [one.pk for one in people])


def _sentences() -> list[str]:
    """Made-up sentences of ten words: a few words that everybody uses, twenty thousand that next to nobody does."""
    chance = random.Random(5)
    made = {"".join(chance.choices(SYLLABLES, k=chance.randint(2, 4))) for _ in range(30_000)}
    words = ["people", "help", "answer", "question", "private", *sorted(made)[:20_000]]
    return [" ".join(words[int(len(words) ** chance.random()) - 1] for _ in range(10)) for _ in range(100_000)]


def _text(chance: random.Random, sentences: Sequence[str], count: int) -> str:
    return ". ".join(chance.choices(sentences, k=count))


Rows = Callable[[int, int], Iterator[tuple[Any, ...]]]


def _comparisons(ground: Ground, sentences: Sequence[str]) -> Rows:
    def rows(first: int, last: int) -> Iterator[tuple[Any, ...]]:
        chance = random.Random(first)
        for pk in range(first, last + 1):
            run = (pk // 5000) % RUNS
            prompts = ground.prompts[run]
            yield (pk, "sampled", ground.runs[run], prompts[pk % len(prompts)], f"k{pk}",
                   _text(chance, sentences, 2), "[]", _text(chance, sentences, 3), _text(chance, sentences, 3),
                   False, "", _time(pk))  # fmt: skip

    return rows


def _labels(ground: Ground, comparisons: int) -> Rows:
    def rows(first: int, last: int) -> Iterator[tuple[Any, ...]]:
        chance = random.Random(-first)
        for pk in range(first, last + 1):
            comparison = (pk - 1) % comparisons + 1
            run = (comparison // 5000) % RUNS
            principle = ground.principles[run][(pk // comparisons + comparison) % 16]
            lean = chance.gauss(0, 1.2)
            p_ab, p_ba = (1 / (1 + math.exp(-lean - chance.gauss(0, 0.5))) for _ in range(2))
            p_a = (p_ab + p_ba) / 2
            yield (pk, ground.runs[run], comparison, principle, ground.judges[0 if chance.random() < 0.9 else pk % 3],
                   "Which is better?", "sent", "sent", math.log(p_ab), math.log(1 - p_ab), math.log(p_ba),
                   math.log(1 - p_ba), p_ab, p_ba, p_a, "[]", p_a, (p_ab > 0.5) != (p_ba > 0.5), _time(pk))  # fmt: skip

    return rows


def _audits(ground: Ground, labels: int, sentences: Sequence[str]) -> Rows:
    def rows(first: int, last: int) -> Iterator[tuple[Any, ...]]:
        chance = random.Random(first + 7)
        for number in range(first, last + 1):
            verdict, choice = chance.choices((("agree", ""), ("override", "a"), ("override", "b"), ("comment", "")),
                                             (70, 12, 12, 6))[0]  # fmt: skip
            comment = _text(chance, sentences, 1) if verdict == "comment" or chance.random() < 0.1 else ""
            reason = chance.choice(("misread", "taste", "other")) if verdict == "override" else ""
            auditor = ground.auditors[int(AUDITORS * chance.random() ** 3)]
            yield (uuid.UUID(int=chance.getrandbits(128), version=4), auditor,
                   int(labels * chance.random() ** 1.5) + 1, verdict, choice, False, "", "", chance.randint(1, 4),
                   reason, comment, _time(number))  # fmt: skip

    return rows


def _time(number: int) -> datetime:
    return LATELY + timedelta(seconds=number)


def _in_pieces(table: Any, columns: Sequence[str], count: int, rows: Rows, threads: int) -> None:
    """COPY in pieces, each a transaction, from so many connections at once; the sequence then goes on behind them."""
    pieces = [(first, min(first + CHUNK - 1, count)) for first in range(1, count + 1, CHUNK)]
    with ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(lambda piece: _copy(table, columns, rows(*piece)), pieces):
            pass
    if table._meta.pk.get_internal_type() == "BigAutoField":
        _run(f"SELECT setval(pg_get_serial_sequence('{table._meta.db_table}', 'id'), {max(count, 1)})")


def _copy(table: Any, columns: Sequence[str], rows: Iterator[tuple[Any, ...]]) -> None:
    from django.db import connection

    try:
        connection.ensure_connection()
        with connection.connection.cursor() as cursor:
            statement = f"COPY {table._meta.db_table} ({', '.join(columns)}) FROM STDIN"
            with cursor.copy(statement) as copy:
                for row in rows:
                    copy.write_row(row)
    finally:
        connection.close()


def _put_aside(tables: Sequence[Any]) -> list[tuple[str, str]]:
    """Drops the indexes that no constraint needs; returns how to make them, by table."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE tablename = ANY(%s) AND indexname NOT IN "
            "(SELECT conname FROM pg_constraint)", [[one._meta.db_table for one in tables]],
        )  # fmt: skip
        found = cursor.fetchall()
        for _, name, _ in found:
            cursor.execute(f'DROP INDEX "{name}"')
    return [(table, definition) for table, _, definition in found]


def _make(aside: Sequence[tuple[str, str]]) -> None:
    """Makes the indexes, two at a time."""
    with ThreadPoolExecutor(2) as pool:
        for _ in pool.map(lambda one: _run("SET maintenance_work_mem = '512MB'", one[1]), aside):
            pass


def _analyze(tables: Sequence[Any]) -> None:
    for one in tables:
        _run(f"VACUUM ANALYZE {one._meta.db_table}")


def _run(*statements: str) -> None:
    from django.db import connection

    try:
        with connection.cursor() as cursor:
            for one in statements:
                cursor.execute(one)
    finally:
        connection.close()


if __name__ == "__main__":
    main()
