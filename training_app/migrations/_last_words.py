"""SQL that counts what people made of an item, with whoever had the last word on it. See _facts.py and _tallies.py.

Beside the state it writes where that comes from (verdicts.py says how it is decided), what an override chose, and how far
people agree where they do not. A run counts an item as overridden unless it came out in the judge's favour.
"""

from __future__ import annotations

from training_app.migrations import _facts, _tallies

# `told`: of each person the newest verdict; `final`: the newest adjudication; `spoken`: when somebody said something.
TALLY = """
UPDATE {into} AS facts
SET agrees = coalesce(told.agrees, 0), overrides = coalesce(told.overrides, 0),
    audits = spoken.audits, audited_at = spoken.audited_at,
    agreement = CASE WHEN told.outcomes > 1
        THEN told.alike::double precision / ((told.agrees + told.overrides) * (told.agrees + told.overrides - 1)) END,
    choice = CASE WHEN final.verdict = 'override' THEN final.choice WHEN final.verdict = 'agree' THEN ''
        WHEN told.outcomes = 1 AND told.overrides > 0 THEN told.choice ELSE '' END,
    facets = ARRAY(SELECT one FROM unnest(facts.facets) AS one WHERE one >> 24 NOT IN (9, 10, 11, 18))
        || explorer_token(9, CASE WHEN final.verdict = 'agree' THEN 1 WHEN final.verdict = 'override' THEN 2
            WHEN coalesce(told.outcomes, 0) = 0 THEN 0 WHEN told.outcomes > 1 THEN 3
            WHEN told.agrees > 0 THEN 1 ELSE 2 END)
        || CASE WHEN final.verdict IS NOT NULL THEN ARRAY[explorer_token(18, 1)]
            WHEN coalesce(told.outcomes, 0) = 0 THEN '{{}}'
            ELSE ARRAY[explorer_token(18, CASE WHEN told.outcomes > 1 THEN 2 ELSE 0 END)] END
        || coalesce(told.auditors, '{{}}')
        || CASE WHEN spoken.commented THEN ARRAY[explorer_token(11, 1)] ELSE '{{}}' END
FROM (
    SELECT {item}_id, sum(counts) AS audits, max(created_at) AS audited_at, bool_or(commented) AS commented
    FROM (
        SELECT {item}_id, created_at, comment <> '' AS commented, 1 AS counts
        FROM training_app_audit WHERE {item}_id {wanted}
        UNION ALL
        SELECT {item}_id, created_at, false, 0 FROM training_app_adjudication WHERE {item}_id {wanted}
    ) AS said GROUP BY {item}_id
) AS spoken
LEFT JOIN (
    SELECT {item}_id, count(*) FILTER (WHERE verdict = 'agree') AS agrees,
        count(*) FILTER (WHERE verdict = 'override') AS overrides, count(DISTINCT outcome) AS outcomes,
        sum(alike - 1) FILTER (WHERE outcome IS NOT NULL) AS alike,
        coalesce(max(choice) FILTER (WHERE verdict = 'override'), '') AS choice,
        array_agg(explorer_token(10, auditor_id)) FILTER (WHERE verdict <> 'withdraw') AS auditors
    FROM (
        SELECT newest.*, count(*) OVER (PARTITION BY {item}_id, outcome) AS alike
        FROM (
            SELECT DISTINCT ON ({item}_id, auditor_id) {item}_id, auditor_id, verdict, choice,
                CASE verdict WHEN 'agree' THEN 'agree' WHEN 'override' THEN 'override ' || choice END AS outcome
            FROM training_app_audit WHERE {item}_id {wanted} AND verdict <> 'comment'
            ORDER BY {item}_id, auditor_id, created_at DESC, id DESC
        ) AS newest
    ) AS weighed
    GROUP BY {item}_id
) AS told USING ({item}_id)
LEFT JOIN (
    SELECT DISTINCT ON ({item}_id) {item}_id, verdict, choice
    FROM training_app_adjudication WHERE {item}_id {wanted}
    ORDER BY {item}_id, created_at DESC, id DESC
) AS final USING ({item}_id)
WHERE facts.{item}_id = spoken.{item}_id
"""

JUDGED = """
INSERT INTO training_app_runaudits (run_id, labels_audited, labels_overridden, steps_audited, steps_overridden)
SELECT owner.run_id, {columns} FROM training_app_{item}facts AS facts {run_of}
WHERE facts.{item}_id {wanted} AND NOT facts.facets @> ARRAY[explorer_token(9, 0)] AND owner.run_id IS NOT NULL
GROUP BY owner.run_id ORDER BY owner.run_id
ON CONFLICT (run_id) DO UPDATE SET
    {item}s_audited = training_app_runaudits.{item}s_audited {sign} excluded.{item}s_audited,
    {item}s_overridden = training_app_runaudits.{item}s_overridden {sign} excluded.{item}s_overridden
"""
OVERRIDDEN = "count(*) FILTER (WHERE facts.facets && ARRAY[explorer_token(9, 2), explorer_token(9, 3)])"
COLUMNS = {"label": f"count(*), {OVERRIDDEN}, 0, 0", "step": f"0, 0, count(*), {OVERRIDDEN}"}

ON_ADJUDICATION = """
CREATE FUNCTION explorer_notes_adjudications() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM explorer_tally_labels(ARRAY(SELECT DISTINCT label_id FROM fresh WHERE label_id IS NOT NULL));
    PERFORM explorer_tally_steps(ARRAY(SELECT DISTINCT step_id FROM fresh WHERE step_id IS NOT NULL));
    RETURN NULL;
END
$$;
CREATE TRIGGER training_app_adjudication_is_explored AFTER INSERT ON training_app_adjudication
    REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION explorer_notes_adjudications();
"""
OFF_ADJUDICATION = """
DROP TRIGGER training_app_adjudication_is_explored ON training_app_adjudication;
DROP FUNCTION explorer_notes_adjudications();
"""


def judged(item: str, *, wanted: str, sign: str = "+") -> str:
    """The statement that adds to the counts of runs (or takes away) what some items count for."""
    return JUDGED.format(item=item, columns=COLUMNS[item], run_of=_tallies.RUN_OF[item], wanted=wanted, sign=sign)


def replace() -> str:
    """SQL that lets what people made of an item follow from audits and adjudications alike."""
    parts = []
    for item in ("label", "step"):
        anew = TALLY.format(into=f"training_app_{item}facts", item=item, wanted="= ANY(wanted)")
        before, after = (judged(item, wanted="= ANY(wanted)", sign=sign) for sign in "-+")
        body = _facts.TALLY_FUNCTION.format(item=item, tally=f"{before};{anew};{after}")
        parts.append(body.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION"))
    return "\n".join([*parts, ON_ADJUDICATION])


def put_back() -> str:
    """SQL that makes adjudications count for nothing again."""
    return OFF_ADJUDICATION + _tallies.replace()


def describe_anew() -> str:
    """SQL that says of every item that somebody spoke about what people made of it, and counts it for its run."""
    told = [
        TALLY.format(into=f"training_app_{item}facts", item=item, wanted="IS NOT NULL") for item in ("label", "step")
    ]
    return ";\n".join([*told, _tallies.count_again(judged)])
