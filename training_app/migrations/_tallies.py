"""SQL that counts what each run made and how it was judged, so that no page counts rows. See _facts.py.

What a worker writes and what people say are counted in different rows: nobody who judges waits for a worker's batch.
"""

from __future__ import annotations

from collections.abc import Callable

from training_app.migrations import _facts

MADE = """
INSERT INTO training_app_runtally (run_id, labels, same_position, steps)
{counted}
ON CONFLICT (run_id) DO UPDATE SET labels = training_app_runtally.labels + excluded.labels,
    same_position = training_app_runtally.same_position + excluded.same_position,
    steps = training_app_runtally.steps + excluded.steps
"""
MADE_LABELS = (
    """SELECT run_id, count(*), count(*) FILTER (WHERE same_position), 0 FROM {fresh} AS fresh GROUP BY run_id"""
)
MADE_STEPS = """SELECT trace.run_id, 0, 0, count(*) FROM {fresh} AS fresh
JOIN training_app_trace AS trace ON trace.id = fresh.trace_id WHERE trace.run_id IS NOT NULL GROUP BY trace.run_id"""

RUN_OF = {
    "label": "JOIN training_app_ailabel AS owner ON owner.id = facts.label_id",
    "step": "JOIN training_app_tracestep AS step ON step.id = facts.step_id "
    "JOIN training_app_trace AS owner ON owner.id = step.trace_id",
}
JUDGED = """
INSERT INTO training_app_runaudits (run_id, labels_audited, labels_overridden, steps_audited, steps_overridden)
SELECT owner.run_id, {columns} FROM training_app_{item}facts AS facts {run_of}
WHERE facts.{item}_id {wanted} AND facts.agrees + facts.overrides > 0 AND owner.run_id IS NOT NULL
GROUP BY owner.run_id ORDER BY owner.run_id
ON CONFLICT (run_id) DO UPDATE SET
    {item}s_audited = training_app_runaudits.{item}s_audited {sign} excluded.{item}s_audited,
    {item}s_overridden = training_app_runaudits.{item}s_overridden {sign} excluded.{item}s_overridden
"""
COLUMNS = {
    "label": "count(*), count(*) FILTER (WHERE facts.overrides > 0), 0, 0",
    "step": "0, 0, count(*), count(*) FILTER (WHERE facts.overrides > 0)",
}


def judged(item: str, *, wanted: str, sign: str = "+") -> str:
    """The statement that adds (or takes away) what some items count for."""
    return JUDGED.format(item=item, columns=COLUMNS[item], run_of=RUN_OF[item], wanted=wanted, sign=sign)


def notes(name: str, counted: str) -> str:
    """SQL that lets the trigger of a table describe its new rows as _facts.py says now, and count them."""
    _, into, insert = _facts.TABLES[name]
    made = MADE.format(counted=counted.format(fresh="fresh"))
    return (
        f"CREATE OR REPLACE FUNCTION explorer_notes_{name}() RETURNS trigger LANGUAGE plpgsql AS $$\nBEGIN\n"
        f"{insert.format(into=into, fresh='fresh')};{made};\nRETURN NULL;\nEND\n$$;"
    )


def replace() -> str:
    """SQL that gives the functions of _facts.py their counting part."""
    parts = [notes(name, fresh) for name, fresh in (("labels", MADE_LABELS), ("steps", MADE_STEPS))]
    for item in ("label", "step"):
        tally = _facts.TALLY.format(into=f"training_app_{item}facts", item=item, wanted="= ANY(wanted)")
        before, after = (judged(item, wanted="= ANY(wanted)", sign=sign) for sign in "-+")
        body = _facts.TALLY_FUNCTION.format(item=item, tally=f"{before};{tally};{after}")
        parts.append(body.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION"))
    return "\n".join(parts)


def put_back() -> str:
    """SQL that takes the counting part away again."""
    again = []
    for name in ("labels", "steps"):
        _, into, insert = _facts.TABLES[name]
        again.append(
            f"CREATE OR REPLACE FUNCTION explorer_notes_{name}() RETURNS trigger LANGUAGE plpgsql AS $$\nBEGIN\n"
            f"{insert.format(into=into, fresh='fresh')};\nRETURN NULL;\nEND\n$$;"
        )
    for item in ("label", "step"):
        tally = _facts.TALLY.format(into=f"training_app_{item}facts", item=item, wanted="= ANY(wanted)")
        body = _facts.TALLY_FUNCTION.format(item=item, tally=tally)
        again.append(body.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION"))
    return "\n".join(again)


def count_again(judged: Callable[..., str] = judged) -> str:
    """SQL that counts everything anew; `judged` gives the statement that counts how items were judged."""
    made = [MADE.format(counted=one.format(fresh=table)) for one, table in
            ((MADE_LABELS, "training_app_ailabel"), (MADE_STEPS, "training_app_tracestep"))]  # fmt: skip
    told = [judged(item, wanted="IS NOT NULL") for item in ("label", "step")]
    emptied = ["DELETE FROM training_app_runtally", "DELETE FROM training_app_runaudits"]
    return ";\n".join([*emptied, *made, *told]) + ";"
